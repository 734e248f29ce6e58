"""The commands that run experiments, on real processes: tiny shell scripts."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import trialjob
from trialjob import config, experiment
from trialjob.apps.cli.main import main
from trialjob.apps.naming import unique_name
from trialjob.errors import SpecError
from trialjob.model.ids import MAX_EXPERIMENT_NAME, ExperimentName, experiment_name_problem

SPEC = """
name: tiny
estimator: {kind: script, source_dir: ., entry_point: train.sh}
space: {x: {type: choice, values: [1, 2, 3, 4]}}
objective: {metric: acc, mode: max}
metrics: [{name: acc, regex: "acc=({number})"}]
sampler: {kind: grid}
limits: {max_trials: 2, max_concurrent_trials: 2, max_failures: 1}
backend: {kind: local, poll_interval: 20ms, stop_grace: 200ms}
"""


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIALJOB_STORE", str(tmp_path / "store"))
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "train.sh").write_text("echo acc=0.$2\n")
    (folder / "sweep.yaml").write_text(SPEC)
    return folder / "sweep.yaml"


def results(name: str, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    capsys.readouterr()
    assert main(["results", name, "--format", "json"]) == 0
    value: dict[str, object] = json.loads(capsys.readouterr().out)
    return value


def command(*arguments: str) -> list[str]:
    program = "import sys; from trialjob.apps.cli.main import main; sys.exit(main())"
    return [sys.executable, "-c", program, *arguments]


def told(capsys: pytest.CaptureFixture[str], before: str, after: str) -> list[str]:
    """The words of the command that stands between the two in what went wrong."""
    return shlex.split(capsys.readouterr().err.partition(before)[2].partition(after)[0])


def test_what_to_do_about_a_name_works_as_it_is_printed(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = str(tmp_path / "another store")
    assert main(["run", str(spec), "--name", "one", "--store", store]) == 0
    assert main(["run", str(spec), "--name", "one", "--store", store]) == 2
    resume = told(capsys, "→ trialjob ", "\n")
    assert resume == ["resume", "one", "--store", store]
    assert main(resume) == 0
    assert main(["status", "nobody", "--store", store]) == 2
    shown = told(capsys, "→ trialjob ", "\n")
    assert main(shown) == 0
    assert "one" in capsys.readouterr().out


def test_a_run_gets_a_unique_name_and_ends_with_status_0(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(spec)]) == 0
    text = capsys.readouterr().out
    name = re.match(r"experiment (tiny-[a-z0-9]{5}), kept in ", text)
    assert name is not None
    assert "bash train.sh -x 2" in text
    value = results(name[1], capsys)
    assert (value["state"], value["reason"]) == ("finished", "max_trials")


def test_a_name_is_taken_as_it_is_and_only_once(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(spec), "--name", "007", "--backend", "local"]) == 0
    assert capsys.readouterr().out.startswith("experiment 007, kept in ")
    assert main(["run", str(spec), "--name", "007"]) == 2
    assert "007 exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--name", "a/b"], "name"),
        (["--set", "limits.max_trial=3"], "did you mean"),
        (["--set", "limits.max_trials=0"], "limits.max_trials"),
    ],
)
def test_a_wrong_spec_is_status_2(
    arguments: list[str], words: str, spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(spec), *arguments]) == 2
    told = capsys.readouterr()
    assert words in told.err
    assert told.out == ""


def test_failures_are_status_1_and_show_the_log(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (spec.parent / "train.sh").write_text("echo it broke; exit 9\n")
    assert main(["run", str(spec), "--name", "bad"]) == 1
    text = capsys.readouterr().out
    assert "bad failed: " in text
    assert "  | it broke" in text


def test_resume_may_raise_limits_and_nothing_else(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(spec), "--name", "more"]) == 0
    assert main(["resume", "more", "--set", "limits.max_trials=3"]) == 0
    assert len(results("more", capsys)["trials"]) == 3  # type: ignore[arg-type]
    assert main(["resume", "more", str(spec), "--set", "limits.max_trials=4"]) == 0
    assert len(results("more", capsys)["trials"]) == 4  # type: ignore[arg-type]
    assert main(["resume", "more", str(spec), "--set", "objective.mode=min"]) == 2
    assert "objective.mode" in capsys.readouterr().err


def test_limits_that_are_raised_of_what_is_ending_hold_after_the_end_and_that_is_told(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session = experiment.create(config.load(spec, overrides=["name=more"]), store=None)
    session.ask_stop()
    remedy = "  → once it has ended: trialjob resume more\n"
    with experiment.open_store(None).journal(ExperimentName("more")).hold():
        assert main(["resume", "more", "--set", "limits.max_trials=3"]) == 3
    told = capsys.readouterr()
    assert "more is ending: stopped by the user; before that no trial is started\n" + remedy in told.out
    assert "goes on under this" not in told.out
    assert main(["resume", "more", "--set", "limits.max_trials=4"]) == 3
    assert remedy in capsys.readouterr().out
    assert main(["resume", "more"]) == 0
    assert len(results("more", capsys)["trials"]) == 4  # type: ignore[arg-type]


def test_limits_are_changed_of_what_another_process_runs_and_that_is_told(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(spec), "--name", "more"]) == 0
    capsys.readouterr()
    with experiment.open_store(None).journal(ExperimentName("more")).hold():
        assert main(["resume", "more", "--set", "limits.max_trials=3"]) == 0
        told = capsys.readouterr()
        assert "changed limits.max_trials: 2 → 3\n" in told.out
        assert " runs more, and goes on under this\n" in told.out
        assert not told.err
        assert main(["resume", "more", "--set", "limits.max_trials=3"]) == 2  # nothing is changed by it
        assert "more is being run by" in capsys.readouterr().err
    assert main(["resume", "more"]) == 0
    assert len(results("more", capsys)["trials"]) == 3  # type: ignore[arg-type]


def test_sigterm_detaches_and_stop_takes_over(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (spec.parent / "train.sh").write_text("echo acc=0.5; sleep 60\n")
    with subprocess.Popen(
        command("run", str(spec), "--name", "long"), stdout=subprocess.PIPE, text=True
    ) as orchestrator:
        assert orchestrator.stdout is not None
        while "trial 2 started" not in orchestrator.stdout.readline():
            pass
        orchestrator.send_signal(signal.SIGTERM)
        said = orchestrator.stdout.read()
    assert orchestrator.returncode == 3
    assert "2 jobs run on. Come back with:\n  trialjob resume long\n" in said
    assert main(["stop", "long"]) == 0
    value = results("long", capsys)
    assert (value["state"], value["reason"]) == ("stopped", "stopped")
    assert main(["stop", "long"]) == 0
    assert "has ended already" in capsys.readouterr().out


def test_stop_waits_for_the_process_that_runs_it(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (spec.parent / "train.sh").write_text("echo acc=0.5; sleep 60\n")
    with subprocess.Popen(
        command("run", str(spec), "--name", "held"), stdout=subprocess.PIPE, text=True
    ) as orchestrator:
        assert orchestrator.stdout is not None
        while "trial 2 started" not in orchestrator.stdout.readline():
            pass
        assert main(["resume", "held"]) == 2
        assert "held is being run by process" in capsys.readouterr().err
        assert main(["stop", "held"]) == 0
        assert "waiting for its end" in capsys.readouterr().out
        orchestrator.stdout.read()
    assert orchestrator.returncode == 3
    assert results("held", capsys)["state"] == "stopped"


def test_nobody_reading_does_not_end_a_run(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        command("run", str(spec), "--name", "unread"),
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")
    assert results("unread", capsys)["state"] == "finished"


def test_logs_follow_to_the_end(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(spec), "--name", "logged"]) == 0
    capsys.readouterr()
    assert main(["logs", "logged", "1", "--follow"]) == 0
    assert "acc=0.1\n" in capsys.readouterr().out


def test_the_same_in_python(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tuner = trialjob.Tuner(
        estimator=trialjob.Script("train.sh", source_dir=str(spec.parent)),
        space={"x": trialjob.choice([1, 2, 3])},
        objective=trialjob.maximize("acc"),
        metrics={"acc": "acc=({number})"},
        sampler=trialjob.grid_search(),
        limits={"max_trials": 9},
        backend=trialjob.local(poll_interval="20ms"),
        name="python",
    )
    result = tuner.run()
    assert (result.state, result.reason) == ("finished", "space_exhausted")
    assert (result.best.config, result.best.score) == ({"x": 3}, 0.3)
    again = trialjob.Tuner.attach("python")
    assert again.result().best == result.best
    assert "best: trial 3" in capsys.readouterr().out


def test_a_tuner_and_a_file_make_the_same_document(spec: Path) -> None:
    tuner = trialjob.Tuner(
        estimator=trialjob.Script("train.sh", source_dir=str(spec.parent), hyperparameters={"epochs": 3}),
        space={
            "a": trialjob.uniform(0, 1),
            "b": trialjob.loguniform(1e-4, 1),
            "c": trialjob.randint(1, 5),
            "d": trialjob.choice(["x", 1]),
        },
        objective=trialjob.minimize("loss", resource="step"),
        sampler=trialjob.random_search(seed=0),
        stopping=trialjob.asha(max_resource=27, reduction_factor=4),
        limits={"max_trials": 4, "timeout": "1h"},
        metrics={"loss": "loss=({number})"},
        name="same",
    )
    (spec.parent / "same.yaml").write_text(
        """
name: same
estimator: {kind: script, source_dir: ., entry_point: train.sh, hyperparameters: {epochs: 3}}
space:
  a: {type: uniform, lower: 0, upper: 1}
  b: {type: loguniform, lower: 1.0e-4, upper: 1}
  c: {type: randint, lower: 1, upper: 5}
  d: {type: choice, values: [x, 1]}
objective: {metric: loss, mode: min, resource: step}
metrics: [{name: loss, regex: "loss=({number})"}]
sampler: {kind: random, seed: 0}
stopping: {kind: asha, max_resource: 27, reduction_factor: 4}
limits: {max_trials: 4, timeout: 1h}
"""
    )
    assert tuner.spec.document() == config.load(spec.parent / "same.yaml").document()


def test_a_wrong_tuner_says_so_before_anything_starts(spec: Path) -> None:
    with pytest.raises(SpecError, match=r"limits\.max_trials"):
        trialjob.Tuner(
            estimator=trialjob.Script("train.sh", source_dir=str(spec.parent)),
            space={"x": trialjob.choice([1])},
            objective=trialjob.maximize("acc"),
            limits={"max_trials": 0},
            stopping=trialjob.no_stopping(),
        )


def test_unique_names_fit() -> None:
    for base in ("a", "x" * MAX_EXPERIMENT_NAME, "a-" * 23 + "bcdefg"):
        assert experiment_name_problem(unique_name(base)) is None
    assert unique_name("a") != unique_name("a")
