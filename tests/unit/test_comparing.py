"""Experiments side by side, and the best configurations of one run again."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest

from trialjob import config, experiment
from trialjob.apps.cli.main import main
from trialjob.errors import SpecError
from trialjob.model.ids import ExperimentName
from trialjob.model.limits import Limits
from trialjob.model.metric import Mode, Objective
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core.events import ExperimentCreated
from trialjob.orchestrator.core.state import State
from trialjob.reporting.comparison import comparison, differing
from trialjob.reporting.repeats import repeats, spread_of
from trialjob.testing.histories import History

SCRIPT = """
case "$SM_HP_LR" in 0*) echo "acc=${SM_HP_LR}0$SM_HP_SEED";; esac
"""
SPEC = """
name: x
estimator: {kind: script, source_dir: ., entry_point: t.sh, hyperparameters: {seed: 2}}
space: {lr: {type: choice, values: [0.1, 0.2, 0.3, "<b>"]}}
objective: {metric: acc, mode: max}
metrics: [{name: acc, regex: 'acc=({number})'}]
sampler: {kind: grid}
limits: {max_trials: 4, max_concurrent_trials: 2, max_failures: 99}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("comparing")
    (folder / "t.sh").write_text(SCRIPT)
    (folder / "spec.yaml").write_text(SPEC)
    assert run(folder, "run", str(folder / "spec.yaml"), "--name", "first") == 0
    return folder


def run(folder: Path, *arguments: str) -> int:
    return main([*arguments, "--store", str(folder / "store")])


def state(folder: Path, name: str) -> State:
    return experiment.attach(name, store=folder / "store").state


def test_the_best_are_run_again_with_new_seeds_and_the_same_code(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "t.sh").write_text("exit 1")
    try:
        assert run(folder, "confirm", "first", "--top", "2", "--seeds", "3") == 0
    finally:
        (folder / "t.sh").write_text(SCRIPT)
    text = capsys.readouterr().out
    assert "acc of each configuration, repeated:" in text
    names = experiment.open_store(folder / "store").names()
    (again,) = [name for name in names if name.startswith("first-again-")]
    found = state(folder, again)
    assert found.bundle == state(folder, "first").bundle
    # Neither the seed that it was found with, nor a configuration twice.
    assert sorted((t.config["lr"], t.config["seed"]) for t in found.trials) == [
        *((0.2, 1), (0.2, 3), (0.2, 4), (0.3, 1), (0.3, 3), (0.3, 4))
    ]
    best, second = repeats(found)
    assert (best.config, len(best.trials), best.lowest, best.highest) == ({"lr": 0.3}, 3, 0.301, 0.304)
    assert best.mean == pytest.approx(0.3026667)
    assert best.spread == pytest.approx(0.0015275, rel=1e-3)
    assert second.config == {"lr": 0.2}
    assert run(folder, "results", again) == 0
    text = capsys.readouterr().out
    assert "repeated:" in text
    # Beside its best figure, 0.304, what the configuration brings on average.
    assert "expect 0.30267 of it, the mean of 3 repetitions (spread 0.0015275)" in text
    assert run(folder, "results", "first") == 0
    assert "expect" not in capsys.readouterr().out
    for name, believed in ((again, "expect the mean of it"), ("first", "Each trial ran once")):
        assert run(folder, "report", name, "--output", str(tmp_path / "report.html")) == 0
        assert believed in (tmp_path / "report.html").read_text()


def test_a_seed_that_the_script_does_not_take_is_refused_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.py").write_text(
        "import argparse\np = argparse.ArgumentParser()\np.add_argument('--lr', type=float)\n"
        "print('acc=%s' % p.parse_args().lr)\n"
    )
    (tmp_path / "spec.yaml").write_text(SPEC.replace("t.sh, hyperparameters: {seed: 2}", "t.py"))
    assert (
        run(tmp_path, "run", str(tmp_path / "spec.yaml"), "--name", "strict", "--set", "space.lr.values=[1]")
        == 0
    )
    before = sorted((tmp_path / "store").iterdir())
    assert run(tmp_path, "confirm", "strict", "--top", "1", "--seeds", "1", "--seed-name", "sed") == 2
    told = capsys.readouterr().err
    assert "t.py takes no --sed, and ends when it is given one" in told
    assert "by --seed-name" in told
    assert sorted((tmp_path / "store").iterdir()) == before


def test_values_that_are_equal_in_python_only_are_each_confirmed(folder: Path) -> None:
    alike = ["--set", "space.lr.values=[0,0.0]", "--set", "limits.max_trials=2", "--name", "alike"]
    assert run(folder, "run", str(folder / "spec.yaml"), *alike) == 0
    assert run(folder, "confirm", "alike", "--top", "2", "--seeds", "1") == 0
    (again,) = [name for name in experiment.open_store(folder / "store").names() if "alike-again" in name]
    assert sorted(repr(trial.config["lr"]) for trial in state(folder, again).trials) == ["0", "0.0"]


def test_a_repetition_goes_as_far_as_the_trials_went(tmp_path: Path) -> None:
    (tmp_path / "t.sh").write_text("while :; do echo epoch=$((++e)); echo acc=0.$e; sleep 0.1; done\n")
    regexes = 'metrics=[{name: acc, regex: "acc=({number})"}, {name: epoch, regex: "epoch=({number})"}]'
    fields = ["objective.resource=epoch", "stopping={kind: asha, max_resource: 3}", regexes]
    fields += ["space.lr.values=[0.1, 0.2]", "limits.max_trials=2", "limits.trial_timeout=1m"]
    (tmp_path / "spec.yaml").write_text(SPEC)
    changes = [word for field in fields for word in ("--set", field)]
    assert run(tmp_path, "run", str(tmp_path / "spec.yaml"), *changes, "--name", "far") == 0
    assert run(tmp_path, "confirm", "far", "--top", "1", "--seeds", "1") == 0
    (again,) = [name for name in experiment.open_store(tmp_path / "store").names() if "far-again" in name]
    (trial,) = state(tmp_path, again).trials
    assert trial.status is TrialStatus.COMPLETED


def test_nothing_to_confirm_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = str(folder / "spec.yaml")
    none = ["--set", "space.lr.values=[x]", "--name", "nothing"]
    assert run(folder, "run", spec, *none) != 0
    assert run(folder, "confirm", "nothing") == 2
    assert "nothing has no completed trial with a score" in capsys.readouterr().err


def test_repetitions_are_of_a_hyperparameter_of_the_space(folder: Path) -> None:
    with pytest.raises(SpecError, match="is not in the space"):
        config.load(folder / "spec.yaml", overrides=["repeat_over=seeds"])
    assert config.load(folder / "spec.yaml", overrides=["repeat_over=lr"]).repeat_over == "lr"
    assert repeats(state(folder, "first")) == []


def test_side_by_side(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = ["--set", "space.lr.values=[0.5,0.6]", "--name", "other", "--set", "limits.max_trials=2"]
    assert run(folder, "run", str(folder / "spec.yaml"), *other) == 0
    capsys.readouterr()
    states = [state(folder, "first"), state(folder, "other")]
    lines = {line.head: line.cells for line in comparison(states)}
    assert lines["best"] == ("0.302 (trial 3)", "0.602 (trial 2)")
    assert lines["best of the first 1"] == ("0.102", "0.502")
    assert lines["best of the first 2"] == ("0.202", "0.602")
    assert "best of the first 4" not in lines
    assert lines["completed, mean ± spread"][1] == "0.552 ± 0.070711 of 2"
    different = {line.head: line.cells for line in differing(states)}
    assert different["limits.max_trials"] == ("4", "2")
    assert json.loads(different["space.lr.values"][1]) == [0.5, 0.6]
    assert set(different) == {"limits.max_trials", "space.lr.values"}
    assert run(folder, "compare", "first", "other") == 0
    text = capsys.readouterr().out
    assert "what differs in their specs:" in text
    assert run(folder, "compare", "first") == 2
    assert run(folder, "compare", "first", "nope") == 2


def test_the_largest_numbers_there_are_have_a_mean() -> None:
    """A script may report one for what has diverged; two of them add up to no number."""
    worst, one = sys.float_info.max, {"lr": 0.1, "dropout": 0.1, "layers": 2}
    objective = Objective(metric="acc", mode=Mode.MAX)
    values, document = dict.fromkeys(range(1, 91), worst), {"repeat_over": "hidden"}
    found = History(trials=90, objective=objective, values=values, document=document, given=one).state()
    (group,) = repeats(found)
    assert (group.mean, group.spread) == (worst, 0.0)
    cells = {line.head: line.cells for line in comparison([found])}["completed, mean ± spread"]
    assert cells[0].startswith(f"{worst:.5g} ± 0 of ")
    assert spread_of([worst, -worst]) == math.inf


def test_experiments_without_anything_are_compared_too(folder: Path) -> None:
    nothing = state(folder, "first").__class__(
        version=1,
        name=state(folder, "first").name,
        document={},
        bundle="",
        objective=state(folder, "first").objective,
        limits=state(folder, "first").limits,
        created_at=0.0,
        updated_at=0.0,
    )
    lines = {line.head: line.cells for line in comparison([nothing, nothing])}
    assert lines["best"] == ("-", "-")
    assert lines["trials"] == ("none", "none")
    assert differing([nothing, nothing]) == []


def test_a_journal_of_0_1_0_differs_in_what_it_says_and_not_in_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine: dict[str, Any] = {
        "role": "arn:aws:iam::123456789012:role/tuner",
        "instance_type": "ml.g5.xlarge",
    }
    image = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8.0-gpu-py312"
    common: dict[str, Any] = {
        "space": {"lr": {"type": "uniform", "lower": 0.0, "upper": 1.0}},
        "objective": {"metric": "acc", "mode": "max"},
        "metrics": [{"name": "acc", "regex": "acc=({number})"}],
        "limits": {"max_trials": 4},
    }
    container: dict[str, Any] = {"kind": "container", "image_uri": image, "entrypoint": ["true"]}
    place = {"kind": "sagemaker", "s3_uri": "s3://bucket/tuning"}
    old = {**common, "name": "old", "estimator": {**container, **machine}, "backend": place}
    today = {**place, **machine, "volume_size": 50}
    new = {**common, "name": "new", "estimator": container, "backend": today}
    unread = {**old, "name": "unread", "sampler": {"kind": "of_a_package_that_is_not_here"}}
    store = experiment.open_store(tmp_path / "store")
    for document in (old, config.parse(new).document(), unread):
        name = ExperimentName(str(document["name"]))
        created = ExperimentCreated(
            name=name,
            document=document,
            bundle="",
            objective=Objective(metric="acc", mode=Mode.MAX),
            limits=Limits(max_trials=4),
            trialjob="0.1.0",
        )
        store.journal(name).append([created], after=0, at=1.0)
    assert run(tmp_path, "compare", "old", "new") == 0
    differs = capsys.readouterr().out.partition("what differs in their specs:")[2]
    fields = [line.split()[0] for line in differs.splitlines()[2:]]
    assert fields == ["estimator.dialect", "backend.volume_size"]
    assert run(tmp_path, "compare", "old", "unread") == 0
    differs = capsys.readouterr().out.partition("what differs in their specs:")[2]
    assert "sampler.kind" in differs
    assert "role" not in differs
