"""What could not be passed to a program is refused of a new experiment, and of no old one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trialjob import config, experiment
from trialjob.config.hyperparameter_passing import passing_problems
from trialjob.errors import SpecError
from trialjob.in_job.variables import LONGEST
from trialjob.planning.planner import Asked, plan

LONG = {"type": "choice", "values": ["x" * LONGEST]}
UNIFORM = {"type": "uniform", "lower": 0, "upper": 1}


def spec(folder: Path, space: dict[str, Any] | None = None, **estimator: Any) -> config.ExperimentSpec:  # noqa: ANN401
    (folder / "train.py").touch()
    return config.parse({
        "name": "passed",
        "estimator": {"kind": "script", "source_dir": str(folder), "entry_point": "train.py", **estimator},
        "space": space or {"lr": UNIFORM},
        "objective": {"metric": "acc", "mode": "max"},
        "metrics": [{"name": "acc", "regex": "acc=({number})"}],
        "sampler": {"kind": "random", "seed": 0},
        "limits": {"max_trials": 1},
        "backend": {"kind": "local"},
    })  # fmt: skip


def said(given: config.ExperimentSpec) -> list[str]:
    return [f"{problem.field}: {problem.message}" for problem in passing_problems(given)]


BRANCHES = {"type": "choice", "values": {"sgd": {"Lr": UNIFORM}, "adam": {}}}


@pytest.mark.parametrize(
    ("space", "constants", "names"),
    [
        ({"lr": UNIFORM, "LR": UNIFORM}, {}, ("lr", "LR", "SM_HP_LR")),
        ({"lr": UNIFORM}, {"Lr": 1}, ("lr", "Lr", "SM_HP_LR")),
        ({"lr": UNIFORM}, {"b-s": 1, "b_s": 2}, ("b-s", "b_s", "SM_HP_B_S")),
        ({"lr": UNIFORM, "optimizer": BRANCHES}, {}, ("lr", "Lr", "SM_HP_LR")),
    ],
)  # fmt: skip
def test_names_that_share_a_variable_are_both_named(
    space: dict[str, Any], constants: dict[str, Any], names: tuple[str, ...], tmp_path: Path
) -> None:
    (message,) = said(spec(tmp_path, space, hyperparameters=constants))
    assert all(name in message for name in names)


def test_channels_share_variables_too(tmp_path: Path) -> None:
    (message,) = said(spec(tmp_path, inputs={"train": str(tmp_path), "Train": str(tmp_path)}))
    assert "SM_CHANNEL_TRAIN" in message
    assert said(spec(tmp_path, {"a": UNIFORM, "a_b": UNIFORM}, inputs={"a": str(tmp_path)})) == []


@pytest.mark.parametrize("letter", ["x", "ü"])
def test_the_longest_value_that_is_taken_can_be_passed(letter: str, tmp_path: Path) -> None:
    room = (LONGEST - len("SM_HP_NOTE=") - 1) // len(letter.encode())
    assert said(spec(tmp_path, hyperparameters={"note": letter * room})) == []
    (message,) = said(spec(tmp_path, hyperparameters={"note": letter * (room + 1)}))
    assert "estimator.hyperparameters.note" in message
    assert len(message) < 400
    # And Linux agrees.
    if sys.platform == "linux":
        run = [sys.executable, "-S", "-c", "", "--note", letter * room]
        assert subprocess.run(run, env={"SM_HP_NOTE": letter * room}, check=False).returncode == 0
        with pytest.raises(OSError, match="too long"):
            subprocess.run(run, env={"SM_HP_NOTE": letter * (room + 1)}, check=False)


@pytest.mark.parametrize(
    ("estimator", "space", "field"),
    [
        ({}, {"note": {"type": "choice", "values": ["a", "x" * LONGEST]}}, "space.note"),
        ({}, {"o": {"type": "choice", "values": {"a": {"b": LONG}}}}, "b"),
        ({"environment": {"NOTE": "x" * LONGEST}}, None, "estimator.environment.NOTE"),
        ({"hyperparameters": {"list": ["x" * 70_000] * 2}}, None, "estimator.hyperparameters.list"),
        ({"hyperparameters": {f"p{number}": "x" * 100_000 for number in range(10)}}, None, "all values"),
    ],
    ids=["choice", "inner", "environment", "list", "total"],
)  # fmt: skip
def test_what_no_program_can_be_given_is_refused(
    estimator: dict[str, Any], space: dict[str, Any] | None, field: str, tmp_path: Path
) -> None:
    (message,) = said(spec(tmp_path, space, **estimator))
    assert field in message


def test_values_that_are_joined_to_one_word_that_is_too_long_are_refused(tmp_path: Path) -> None:
    half = {"type": "choice", "values": ["x", "y" * 70_000]}
    space = {"a": half, "b": half}
    apart = spec(tmp_path, space, arguments=["--both", "{a}", "{b}"])
    assert said(apart) == []
    (message,) = said(spec(tmp_path, space, arguments=["--both", "{a}{b}"]))
    assert "estimator.arguments[1]" in message
    assert '"{a}{b}" may become' in message
    (message,) = said(spec(tmp_path, {"a": half}, arguments=["y" * LONGEST, "{a}"]))
    assert "estimator.arguments[0]" in message


def test_plan_and_run_refuse_and_keep_nothing(tmp_path: Path) -> None:
    given = spec(tmp_path, {"lr": UNIFORM, "LR": UNIFORM})
    with pytest.raises(SpecError, match="SM_HP_LR"):
        plan(given, Asked(), store=tmp_path / "store")
    with pytest.raises(SpecError, match="SM_HP_LR"):
        experiment.create(given, store=tmp_path / "store")
    assert not (tmp_path / "store" / "passed" / "journal.jsonl").exists()


def test_an_experiment_that_has_begun_is_read_as_it_is(tmp_path: Path) -> None:
    document = spec(tmp_path, {"lr": UNIFORM, "LR": UNIFORM}).document()
    assert list(config.parse(document, files=False).space) == ["lr", "LR"]
