"""Python functions as trials: by name, by value, and the reasons when that is not possible."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trialjob import Function, Result, SpecError, Tuner, maximize, uniform
from trialjob.reporting import Context, get_context

HELP = "def double(x):\n    return 2 * x\n"
TRAINING = """\
from helpful import double

def train(context):
    lr = context.hyperparameters["lr"]
    assert isinstance(lr, float) and context.hyperparameters["layers"] == [3, 4]
    for epoch in (1, 2):
        context.report(epoch=epoch, acc=double(lr) * epoch)
"""


def tuner(estimator: Any, folder: Path, trials: int = 2) -> Result:  # noqa: ANN401
    return Tuner(
        estimator=estimator,
        space={"lr": uniform(0, 1)},
        objective=maximize("acc"),
        limits={"max_trials": trials, "max_concurrent_trials": 2},
        name="functions",
        store=folder / "store",
    ).run()


def lines(folder: Path, trial: int = 1) -> str:
    return (folder / "store" / "functions" / "jobs" / f"functions-{trial:04d}-1" / "log").read_text()


def scale() -> float:
    return 3.0


def train(context: Context) -> dict[str, float]:
    """Ships with the module it stands in, which is no installation."""
    assert context.experiment == "functions"
    assert (context.attempt, context.resumes) == (1, False)
    assert context.checkpoint_dir is not None
    assert context.model_dir is not None
    (context.checkpoint_dir / "state").write_text("1")
    assert context.resumes
    return {"acc": scale() * context.hyperparameters["lr"], "trial": context.trial}


def test_a_function_is_an_estimator(tmp_path: Path) -> None:
    found = tuner(train, tmp_path)
    assert [trial.status for trial in found.trials] == ["completed"] * 2, lines(tmp_path)
    assert [trial.score for trial in found.trials] == [
        pytest.approx(3 * float(str(trial.config["lr"]))) for trial in found.trials
    ]


def test_what_a_function_closes_over_goes_along(tmp_path: Path) -> None:
    factor = 7.0

    def inner(context: Context) -> None:
        context.report(acc=factor * context.hyperparameters["lr"])

    found = tuner(Function(inner), tmp_path, trials=2)
    assert [trial.score for trial in found.trials] == [
        pytest.approx(7 * float(str(trial.config["lr"]))) for trial in found.trials
    ]


def test_a_function_of_a_module_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "training.py").write_text(TRAINING)
    (tmp_path / "src" / "helpful.py").write_text(HELP)
    # A module that is called as ours is, and must be found where the user means it.
    (tmp_path / "src" / "report.py").write_text("mine = True\n")
    (tmp_path / "sweep.yaml").write_text(
        "name: functions\n"
        "estimator: {kind: function, source_dir: src, function: 'training:train',\n"
        "            hyperparameters: {layers: [3, 4]}}\n"
        "space: {lr: {type: uniform, lower: 0, upper: 1}}\n"
        "objective: {metric: acc, mode: max}\n"
        "limits: {max_trials: 2, max_concurrent_trials: 2}\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "trialjob", "run", "sweep.yaml", "--name", "functions", "--store", "store"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr + lines(tmp_path)
    assert "2 trials: 2 completed" in done.stdout


def test_an_open_file_is_named(tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as file:

        def inner(context: Context) -> None:
            file.write(context.experiment)

        with pytest.raises(SpecError, match=r"estimator\.function: .*inner cannot be shipped: .*files"):
            tuner(inner, tmp_path)


def test_another_python_is_told(tmp_path: Path) -> None:
    estimator = Function(train)
    document = estimator.document()
    folder = Path(document["source_dir"])
    (folder / "function.json").write_text(json.dumps({"python": [3, 7]}))
    program = Path(__file__).parents[2] / "src" / "trialjob" / "in_job" / "function.py"
    done = subprocess.run(
        [sys.executable, str(program), document["function"]],
        cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 1
    assert "shipped from Python 3.7" in done.stderr


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("training", "module:name"),
        ("other:train", "no module other"),
        ("a b:train", "module:name"),
        (":x", "module"),
    ],
)
def test_a_wrong_name_is_told_before_anything_starts(function: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "training.py").write_text(TRAINING)
    given = Given({"kind": "function", "function": function, "source_dir": str(tmp_path)})
    with pytest.raises(SpecError, match=rf"(?s)estimator\.function: .*{words}"):
        tuner(given, tmp_path)


class Given:
    title = "given"

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def document(self) -> dict[str, Any]:
        return self._document


def test_outside_a_job_a_context_has_sensible_values(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("SM_", "TRIALJOB_")):
            monkeypatch.delenv(name)
    context = get_context()
    assert (context.hyperparameters, context.inputs, context.trial, context.attempt) == ({}, {}, 0, 0)
    assert (context.checkpoint_dir, context.model_dir, context.max_resource) == (None, None, None)
    assert not context.resumes


def test_channels_have_their_own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SM_CHANNELS", '["Train-set"]')
    monkeypatch.setenv("SM_CHANNEL_TRAIN-SET", "/data")
    monkeypatch.setenv("TRIALJOB_MAX_RESOURCE", "9")
    context = get_context()
    assert context.inputs == {"Train-set": Path("/data")}
    assert context.max_resource == 9


STOPPED = """\
import sys, time
sys.path.insert(0, {source!r})
from trialjob.reporting import get_context
context = get_context()
assert not context.should_stop()
print("ready", flush=True)
for _ in range(600):
    if context.should_stop():
        print("saved")
        sys.exit(0)
    time.sleep(0.05)
"""


def test_a_script_that_asks_is_told_to_stop() -> None:
    source = str(Path(__file__).parents[2] / "src")
    with subprocess.Popen(
        [sys.executable, "-c", STOPPED.format(source=source)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        assert process.stdout.read() == "saved\n"
    assert process.returncode == 0


DISTRIBUTED = """\
import torch.distributed as dist
from trialjob.reporting import get_context
dist.init_process_group("gloo")
from torch import tensor
total = tensor([1.0])
dist.all_reduce(total)
get_context().report(acc=total.item(), epoch=1)
dist.destroy_process_group()
"""


def test_two_processes_on_this_machine_report_once(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(DISTRIBUTED)
    document = {
        "kind": "script", "source_dir": str(tmp_path), "entry_point": "train.py",
        "distribution": "torchrun", "processes": 2,
    }  # fmt: skip
    found = tuner(Given(document), tmp_path)
    assert [trial.score for trial in found.trials] == [2.0, 2.0], lines(tmp_path)
    assert lines(tmp_path).count("[trialjob]") == 1
