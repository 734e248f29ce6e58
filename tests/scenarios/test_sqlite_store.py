"""A stranger's store, known to trialjob by nothing but its package's entry point, in every command."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from program_output import output_of
from trialjob.model.ids import ExperimentName
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals import STORES
from trialjob.orchestrator.journals.store import BaseStore
from trialjob.orchestrator.ports import Journal
from trialjob.testing.journal_contract import JournalContract
from trialjob.testing.store_contract import StoreContract

PACKAGE = Path(__file__).parents[2] / "examples/plugins/sqlite-store"
SCRIPT = """\
import os, json
from trialjob.reporting import report
x = float(json.loads(os.environ["SM_HPS"])["x"])
report(loss=x * x, epoch=1)
"""
SPEC: dict[str, Any] = {
    "name": "strange",
    "estimator": {"kind": "script", "source_dir": "code", "entry_point": "train.py"},
    "backend": {"kind": "local"},
    "space": {"x": {"type": "uniform", "lower": 0.0, "upper": 1.0}},
    "objective": {"metric": "loss", "mode": "min"},
    "sampler": {"kind": "random", "seed": 1},
    "limits": {"max_trials": 3, "max_concurrent_trials": 2},
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pip leaves of the package: its module, and what its pyproject.toml says."""
    folder = tmp_path_factory.mktemp("site")
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    (folder / "trialjob_sqlite.py").write_bytes((PACKAGE / "trialjob_sqlite.py").read_bytes())
    info = folder / "trialjob_sqlite-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 1.0\n")
    points = "".join(
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
        for group, entries in project["entry-points"].items()
    )
    (info / "entry_points.txt").write_text(points)
    return folder


@pytest.fixture
def _installed(site: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        yield


@pytest.mark.usefixtures("_installed")
class TestSqliteStore(StoreContract):
    @pytest.fixture
    def address(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/deep/sweeps.db"

    def lose(self, store: BaseStore, address: str) -> None:
        del store
        Path(address.removeprefix("sqlite:///")).write_bytes(b"")


@pytest.mark.usefixtures("_installed")
class TestSqliteJournal(JournalContract):
    @pytest.fixture
    def journal(self, tmp_path: Path) -> Journal:
        self.address = f"sqlite:///{tmp_path}/sweeps.db"
        return self.opened()

    def opened(self) -> Journal:
        store = STORES.get("sqlite").open(self.address, SystemClock())
        return store.journal(ExperimentName("digits"))

    def again(self, journal: Journal) -> Journal:
        del journal
        return self.opened()


Run = Callable[..., str]


@pytest.fixture
def run(site: Path, tmp_path: Path) -> Run:
    """Runs a command as a user does, in a folder of the user's."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code/train.py").write_text(SCRIPT)
    (tmp_path / "spec.json").write_text(json.dumps(SPEC))
    environment = {**os.environ, "PYTHONPATH": str(site), "TRIALJOB_STORE": "sqlite:///sweeps.db"}

    def command(*words: str, status: int = 0, python: str = "") -> str:
        start = ["-c", python] if python else ["-m", "trialjob", *words]
        return output_of([sys.executable, *start], tmp_path, environment, status=status)

    return command


def test_every_command_works_in_it(run: Run, tmp_path: Path) -> None:
    run("plan", "spec.json")
    run("doctor", "spec.json")
    assert not (tmp_path / "sweeps.db").exists()
    run("run", "spec.json", "--name", "strange")
    assert json.loads(run("results", "strange", "--format", "json"))["trials"]
    assert "strange" in run("list")
    run("status", "strange")
    assert "no experiment of this store has jobs" in run("audit")
    run("watch", "strange")
    run("logs", "strange", "1")
    run("run", "spec.json", "--name", "other", "--set", "limits.max_trials=2")
    run("compare", "strange", "other")
    run("report", "strange", "-o", "report.html")
    run("resume", "strange", "--set", "limits.max_trials=4")
    run("step", "strange")
    run("stop", "strange")
    listed = json.loads(run("list", "--format", "json"))["experiments"]
    assert [each["experiment"] for each in listed] == ["other", "strange"]
    python = "from trialjob import Tuner; print(len(Tuner.attach('strange').result().trials), 'trials')"
    assert "4 trials" in run(python=python)
    assert {path.name for path in tmp_path.iterdir()} >= {"sweeps.db", "sweeps.db.jobs"}


def test_an_unknown_scheme_is_refused_before_anything_is_written(run: Run, tmp_path: Path) -> None:
    told = run("run", "spec.json", "--store", "sqlit:///sweeps.db", status=2)
    assert "did you mean 'sqlite'?" in told
    assert "trialjob.stores" in told
    told = run("run", "spec.json", "--store", "sqlite://sweeps.db", status=2)
    assert "sqlite:///sweeps.db" in told
    assert {path.name for path in tmp_path.iterdir()} == {"code", "spec.json"}
