"""A sampler and a stateful stopping rule of packages in real commands, found by their entry points alone.

No pip and no network: their folder is on the path, with what pip would have left there.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from program_output import output_of
from trialjob import config, experiment
from trialjob.apps.aws_lambda import handler
from trialjob.testing.fake_aws import Durations, FakeAws, ScaledClock
from trialjob.testing.installed import install

PLUGINS = Path(__file__).parents[2] / "examples" / "plugins"
#: It has nothing better to say after the first epoch, and then only waits for its end.
SCRIPT = """
for epoch in 1 2 3; do echo "epoch: $epoch"; echo "loss: $SM_HP_RATE"; done
exec sleep 100
"""
SPEC: dict[str, Any] = {
    "name": "strange",
    "estimator": {"kind": "script", "source_dir": ".", "entry_point": "train.sh"},
    "space": {"rate": {"type": "loguniform", "lower": 0.001, "upper": 1.2}},
    "objective": {"metric": "loss", "mode": "min"},
    "metrics": [
        {"name": "epoch", "regex": "epoch: ({number})"},
        {"name": "loss", "regex": "loss: ({number})"},
    ],
    "sampler": {"kind": "small_gp", "seed": 3, "n_startup_trials": 2, "candidates": 50},
    "stopping": {"kind": "plateau", "patience": 2, "spare": 100},
    # One at a time: what a model proposes depends on which of the trials before have ended.
    "limits": {"max_trials": 4, "max_concurrent_trials": 1, "trial_timeout": "90s"},
    "backend": {"kind": "local", "poll_interval": 0.2},
}
PYTHON = """
import json
from trialjob import Tuner, Script, loguniform, minimize
from trialjob_plateau import Plateau
from trialjob_small_gp import SmallGP

spec = json.load(open("sweep.json"))
tuner = Tuner(
    name="python",
    store="store",
    estimator=Script("train.sh", source_dir="."),
    space={"rate": loguniform(0.001, 1.2)},
    objective=minimize("loss"),
    metrics={each["name"]: each["regex"] for each in spec["metrics"]},
    sampler=SmallGP(seed=3, n_startup_trials=2, candidates=50),
    stopping=Plateau(patience=2, spare=100),
    limits=spec["limits"],
    backend=spec["backend"],
)
print(json.dumps([trial.config for trial in tuner.run().trials]))
"""


class Machine:
    """A folder with a spec, where the packages may be installed or not."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.site = folder, folder / "site"
        self.site.mkdir()
        (folder / "train.sh").write_text(SCRIPT)
        self.write(SPEC)

    def write(self, spec: dict[str, Any]) -> None:
        (self.folder / "sweep.json").write_text(json.dumps(spec))

    def call(self, *arguments: str, installed: bool = True, status: int = 0) -> str:
        """What a process says that has this status."""
        path = {"PYTHONPATH": str(self.site)} if installed else {}
        env = {**os.environ, "TRIALJOB_STORE": "store", **path}
        return output_of([sys.executable, *arguments], self.folder, env, status=status)

    def trialjob(self, *arguments: str, installed: bool = True, status: int = 0) -> str:
        return self.call("-m", "trialjob", *arguments, installed=installed, status=status)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    install(PLUGINS / "gp-sampler", machine.site)
    install(PLUGINS / "plateau-rule", machine.site)
    return machine


def test_they_work_in_every_command(machine: Machine) -> None:
    assert "small_gp over rate" in machine.trialjob("plan", "sweep.json")
    assert "nothing wrong" in machine.trialjob("doctor", "sweep.json")
    machine.trialjob("run", "sweep.json", "--name", "strange")
    assert "no experiment of this store has jobs" in machine.trialjob("audit")
    machine.trialjob("resume", "strange", "--set", "limits.max_trials=6")
    result = json.loads(machine.trialjob("results", "strange", "--format", "json"))
    trials = result["trials"]
    assert len(trials) == 6
    # The script would have gone on: it is the rule that has ended each, for its own reason.
    assert {trial["status"] for trial in trials} == {"pruned"}
    assert {trial["reason"] for trial in trials} == {"no better loss in 2 reports; 2 are allowed"}
    # In Python they are objects, and propose and stop the same.
    configs = json.loads(machine.call("-c", PYTHON).splitlines()[-1])
    assert configs == [trial["config"] for trial in trials][:4]
    assert "strange" in machine.trialjob("compare", "strange", "python")
    assert "6 pruned" in machine.trialjob("watch", "strange")
    machine.trialjob("report", "strange", "--output", "page.html")
    assert "no better loss" in (machine.folder / "page.html").read_text()


def test_without_its_package_a_kind_is_refused_and_nothing_is_written(machine: Machine) -> None:
    told = machine.trialjob("run", "sweep.json", "--name", "strange", installed=False, status=2)
    assert 'sampler.kind: "small_gp" is not known' in told
    assert "packages bring others by the entry points trialjob.stopping" in told
    assert 'install the one with "plateau"' in told
    assert not (machine.folder / "store").exists()
    machine.write({**SPEC, "stopping": {"kind": "platau"}, "sampler": {"kind": "smal_gp"}})
    told = machine.trialjob("plan", "sweep.json", status=2)
    assert "did you mean 'plateau'?" in told
    assert "did you mean 'small_gp'?" in told


def test_an_experiment_is_read_without_its_packages_and_not_resumed(machine: Machine) -> None:
    machine.trialjob("run", "sweep.json", "--name", "strange")
    told = machine.trialjob("resume", "strange", "--set", "limits.max_trials=6", installed=False, status=2)
    assert 'stopping.kind: "plateau" is not known' in told
    assert "4 of 4" in machine.trialjob("status", "strange", installed=False)
    machine.trialjob("resume", "strange", installed=False, status=2)
    # It has not been opened again by a process that cannot run it.
    result = json.loads(machine.trialjob("results", "strange", "--format", "json", installed=False))
    assert result["state"] == "finished"


def test_what_runs_is_stopped_without_its_packages(machine: Machine) -> None:
    machine.trialjob("step", "strange", "sweep.json", status=3)
    assert "1 open" in machine.trialjob("status", "strange", installed=False)
    # Where jobs are, what they print and what they cost asks for no rule.
    assert "no experiment of this store has jobs" in machine.trialjob("audit", installed=False)
    machine.trialjob("logs", "strange", "1", installed=False)
    machine.trialjob("download", "strange", "--trial", "1", "--logs", installed=False)
    machine.trialjob("resume", "strange", installed=False, status=2)
    machine.trialjob("step", "strange", installed=False, status=2)
    assert "1 open" in machine.trialjob("status", "strange", installed=False)
    machine.trialjob("stop", "strange", installed=False)
    result = json.loads(machine.trialjob("results", "strange", "--format", "json", installed=False))
    assert result["state"] == "stopped"
    told = machine.trialjob("resume", "strange", installed=False, status=2)
    assert 'stopping.kind: "plateau" is not known' in told


BROKEN = """
from dataclasses import dataclass
from typing import ClassVar
from trialjob.orchestrator.core.search import BaseRule, BaseSampler


@dataclass(frozen=True, kw_only=True)
class Guess(BaseSampler):
    kind: ClassVar[str] = "guess"
    def make(self, search): return self
    def tell(self, events): pass
    def ask(self, trial): return {"rate": 7.5}


@dataclass(frozen=True, kw_only=True)
class Breaks(BaseRule):
    kind: ClassVar[str] = "breaks"
    def judge(self, state, trial, report): return 1 / 0
"""


def test_what_breaks_is_the_package_s_and_the_experiment_is_kept(machine: Machine) -> None:
    project = '[project]\nname = "breaking"\nversion = "1"\n'
    points = '[project.entry-points."trialjob.{}"]\n{} = "breaking:{}"\n'
    package = machine.folder / "breaking"
    package.mkdir()
    (package / "breaking.py").write_text(BROKEN)
    both = points.format("samplers", "guess", "Guess") + points.format("stopping", "breaks", "Breaks")
    (package / "pyproject.toml").write_text(project + both)
    install(package, machine.site)
    machine.write({**SPEC, "sampler": {"kind": "guess"}, "stopping": {"kind": "none"}})
    told = machine.trialjob("run", "sweep.json", "--name", "odd", status=3)
    assert "the sampler 'guess' proposed what is not of the space for trial 1: rate 7.5 is not in its" in told
    assert "trialjob resume odd" in told
    machine.write({**SPEC, "stopping": {"kind": "breaks"}})
    told = machine.trialjob("run", "sweep.json", "--name", "broken", status=3)
    assert "this is a bug in the package breaking: ZeroDivisionError: division by zero" in told
    assert "in judge() of breaking.py, line 18\n  → update the package, or have it mended\n" in told
    assert "apps/cli" not in told, "frames of ours are no help to who wrote it"
    assert "trialjob resume broken" in told
    machine.trialjob("stop", "broken")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    with FakeAws(clock=ScaledClock(10), durations=Durations(cold_start=5, download=1, upload=1)) as fake:
        for name, value in fake.env.items():
            monkeypatch.setenv(name, value)
        yield fake


def test_a_lambda_steps_them(machine: Machine, fake: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a spec in the inbox names is of no package; what was started elsewhere may be."""
    fake.create_bucket("bucket")
    monkeypatch.syspath_prepend(machine.site)
    monkeypatch.setenv("TRIALJOB_STORE", "s3://bucket/strangers")
    image = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8.0-gpu-py312"
    lines = "echo loss: 0.2; echo loss: 0.2; echo loss: 0.2; sleep 600"
    limits = {"max_trials": 2, "max_concurrent_trials": 2}
    estimator = {
        "kind": "container", "image_uri": image, "role": fake.create_role(), "instance_type": "ml.g5.xlarge",
        "entrypoint": ["sh", "-c", lines],
    }  # fmt: skip
    backend = {"kind": "sagemaker", "s3_uri": "s3://bucket/tuning", "poll_interval": 1}
    spec = {
        **SPEC,
        "estimator": estimator,
        "backend": backend,
        "metrics": SPEC["metrics"][1:],
        "limits": limits,
    }
    experiment.create(config.parse(spec), store="s3://bucket/strangers")
    for _ in range(20):
        told = handler({"for": "10s"})
        assert not told["errors"]
        if told["experiments"] == {"strange": "finished"}:
            break
    state = experiment.attach("strange", store="s3://bucket/strangers").state
    assert {trial.status.value for trial in state.trials} == {"pruned"}
    assert len(state.trials) == 2
