"""A token of a package's backend: it comes to the backend, and to nothing that is kept or said."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trialjob import Choice, Limits, Script, Secret, Tuner, config, maximize
from trialjob.apps.cli.main import main
from trialjob.backends.plugin import BACKENDS
from trialjob.config.plugins import section_model
from trialjob.errors import SpecError

CANARY = "canary-5f1c9a77b2e84d06"
PACKAGE = '''
import os
from typing import ClassVar

from trialjob.backends.local.section import Local
from trialjob.backends.plugin import Check
from trialjob.field_types import SecretText


class Loud(Local):
    """Processes of this machine, behind a gate that repeats the token wherever it can."""

    kind: ClassVar[str] = "loud"
    #: What the gate asks for.
    token: SecretText
    #: Where the gate is shut.
    shut: str = ""

    def asked(self, where, token):
        if self.shut == where:
            raise RuntimeError(f"the gate refuses {token}")
        return token

    def open(self, jobs, place):
        token = self.asked("open", place.reveal(self.token))
        return Gate(super().open(jobs, place), self, token)

    def doctor(self, jobs, only=()):
        token = self.asked("doctor", jobs.reveal(self.token))
        yield Check(name="gate", ok=False, detail=f"shut for {token}", remedy=f"revoke {token}")


class Gate:
    def __init__(self, jobs, section, token):
        self.jobs, self.section, self.token = jobs, section, token

    def __getattr__(self, name):
        return getattr(self.jobs, name)

    def submit(self, request):
        with open(os.environ["GATE"], "a") as gate:
            gate.write(self.section.asked("submit", self.token) + "\\n")
        return self.jobs.submit(request)

    def notices(self):
        return [f"the gate knows {self.section.asked('notices', self.token)}"]
'''
SPEC = """
name: gate
estimator: {kind: script, source_dir: code, entry_point: train.sh, dialect: sdk-v2}
space: {x: {type: choice, values: [1, 2]}}
objective: {metric: acc, mode: max}
metrics: [{name: acc, regex: "acc=({number})"}]
limits: {max_trials: 1, max_failures: 1}
backend: {kind: loud, poll_interval: 0.1}
"""


@pytest.fixture(autouse=True)
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the tokens are written that the gate was shown."""
    site, here = tmp_path / "site", tmp_path / "here"
    (info := site / "loud-1.0.dist-info").mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: loud\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[trialjob.backends]\nloud = loud_gate:Loud\n")
    (site / "loud_gate.py").write_text(PACKAGE)
    (here / "code").mkdir(parents=True)
    (here / "code/train.sh").write_text("echo acc=1\n")
    (here / "sweep.yaml").write_text(SPEC)
    monkeypatch.syspath_prepend(site)
    monkeypatch.chdir(here)
    monkeypatch.setenv("TRIALJOB_STORE", str(here / "store"))
    monkeypatch.setenv("TRIALJOB_LOG", str(here / "calls.log"))
    monkeypatch.setenv("GATE", str(tmp_path / "gate"))
    yield tmp_path / "gate"
    sys.modules.pop("loud_gate", None)
    BACKENDS._found.pop("loud", None)
    section_model.cache_clear()


def kept() -> str:
    """All that lies here but for the spec."""
    return "".join(path.read_bytes().decode("latin-1") for path in Path().rglob("*") if path.is_file())


NAMED = ["--set", "backend.token={secret: GATE_TOKEN}"]
WRITTEN = ["--set", f"backend.token={CANARY}"]


@pytest.mark.parametrize("words", [NAMED, WRITTEN], ids=["named", "written"])
def test_it_comes_to_the_gate_and_nowhere_else(
    words: list[str], gate: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    if words is NAMED:
        monkeypatch.setenv("GATE_TOKEN", CANARY)
    assert main(["plan", "sweep.yaml", *words]) == 0
    main(["doctor", "sweep.yaml", *words])
    assert "shut for ***" in capfd.readouterr().out
    assert main(["run", "sweep.yaml", "--yes", "--name", "gate", *words]) == 0
    assert gate.read_text() == f"{CANARY}\n"
    monkeypatch.setenv("TRIALJOB_TOKEN", CANARY)
    for command in (["status", "gate", "--verbose"], ["results", "gate"], ["report", "gate", "-o", "r.html"]):
        assert main(command) == 0
    main(["logs", "gate", "1"])
    main(["audit"])
    told = capfd.readouterr()
    assert CANARY not in kept()
    assert CANARY not in told.out + told.err


@pytest.mark.parametrize("where", ["open", "submit", "notices", "doctor"])
def test_a_package_that_repeats_it_in_an_error_is_masked(
    where: str, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [*WRITTEN, "--set", f"backend.shut={where}"]
    command = ["doctor", "sweep.yaml"] if where == "doctor" else ["run", "sweep.yaml", "--yes"]
    assert main([*command, *words]) != 0
    told = capfd.readouterr()
    assert CANARY not in told.out + told.err + kept()
    assert "raised RuntimeError: the gate refuses ***" in told.out + told.err


def test_it_may_be_given_in_python(gate: Path) -> None:
    loud: Any = BACKENDS.get("loud")
    section = loud(token=CANARY, poll_interval=0.1)
    assert section.token == Secret("TRIALJOB_TOKEN")
    assert CANARY not in repr(section) + section.model_dump_json()
    tuner = Tuner(
        estimator=Script("train.sh", source_dir="code"),
        space={"x": Choice([1])},
        objective=maximize("acc"),
        metrics={"acc": "acc=({number})"},
        limits=Limits(max_trials=1),
        backend=section,
    )
    assert tuner.run().best.score == 1
    assert gate.read_text() == f"{CANARY}\n"
    assert CANARY not in kept()


def test_one_that_is_missing_is_said_before_anything_is_kept(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "sweep.yaml", "--yes", *NAMED]) != 0
    told = capfd.readouterr().err
    assert "backend.token: the environment variable GATE_TOKEN" in told
    assert "export GATE_TOKEN=…" in told
    assert not Path("store/gate").exists()


@pytest.mark.parametrize("token", [7, {"secret": {"vault": CANARY}}, {"secret": ""}, "", [CANARY]])
def test_what_names_none_is_refused(token: object) -> None:
    document = config.read(Path("sweep.yaml"))
    with pytest.raises(SpecError, match="names no secret") as refused:
        config.parse({**document, "backend": {"kind": "loud", "token": token}}, base=Path())
    assert CANARY not in str(refused.value)
    loud: Any = BACKENDS.get("loud")
    with pytest.raises(SpecError) as refused:
        loud(token=token)
    assert CANARY not in str(refused.value)


def test_a_plain_field_that_is_named_like_one_is_pointed_out(capfd: pytest.CaptureFixture[str]) -> None:
    module = Path(sys.path[0]) / "loud_gate.py"
    module.write_text(PACKAGE.replace("token: SecretText", "token: str"))
    main(["plan", "sweep.yaml", *WRITTEN])
    told = capfd.readouterr()
    assert "backend.token: looks like a secret" in told.out + told.err
    assert CANARY not in told.out + told.err
