"""Looking at experiments in a store that nobody can write."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tiny_sweep import write_tiny_sweep
from trialjob.apps.cli.main import main
from trialjob.orchestrator.journals.jsonl import JsonlJournal
from trialjob.testing import namespaces

COMMANDS = [
    ["status", "tiny"],
    ["status", "tiny", "--format", "json"],
    ["list"],
    ["results", "tiny"],
    ["results", "tiny", "--format", "csv"],
    ["logs", "tiny", "1"],
    ["watch", "tiny"],
    ["report", "tiny", "-o", "page.html"],
    ["download", "tiny", "--logs", "--to", "here"],
]
LOOK = """
import sys
from trialjob.apps.cli.main import main
for words in {commands!r}:
    print("#", *words, flush=True)
    status = main([*words, "--store", {store!r}])
    assert status == 0, (words, status)
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    spec, store = write_tiny_sweep(tmp_path / "code"), tmp_path / "store"
    assert main(["run", str(spec), "--name", "tiny", "--store", str(store)]) == 0
    return store


def look(store: Path, commands: list[list[str]]) -> str:
    if reason := namespaces.why_not():
        pytest.skip(reason)
    program = namespaces.python(LOOK.format(commands=commands, store=str(store)))
    looked = subprocess.run(
        namespaces.read_only(store, program), cwd=store.parent, capture_output=True, text=True, check=False
    )
    assert looked.returncode == 0, looked.stdout + looked.stderr
    return looked.stdout


def test_every_look_works(store: Path) -> None:
    told = look(store, COMMANDS)
    assert "acc=0.1" in told
    assert "finished" in told


def test_who_runs_it_is_told(store: Path) -> None:
    with JsonlJournal(store / "tiny").hold():
        assert "run by process" in look(store, [["status", "tiny"]])
    assert "run by process" not in look(store, [["status", "tiny"]])


REFUSED = """
import sys
from trialjob.apps.cli.main import main
sys.stderr = sys.stdout
for words in (
    ["step", "new", {spec!r}],
    ["run", {spec!r}],
    ["rm", "tiny", "--yes"],
    ["resume", "tiny", "--set", "limits.max_trials=3"],
):
    status = main([*words, "--store", {store!r}])
    assert status in (2, 3), (words, status)
assert main(["step", "tiny", "--store", {store!r}]) == 0
"""


def test_what_would_write_says_what_it_cannot_write_and_what_to_do(store: Path) -> None:
    if reason := namespaces.why_not():
        pytest.skip(reason)
    spec = str(store.parent / "code" / "sweep.yaml")
    program = namespaces.python(REFUSED.format(spec=spec, store=str(store)))
    tried = subprocess.run(
        namespaces.read_only(store, program), cwd=store.parent, capture_output=True, text=True, check=False
    )
    assert tried.returncode == 0, tried.stdout + tried.stderr
    assert tried.stdout.count("Read-only file system; nothing was lost, have its owner let you in") == 4
    assert "a bug" not in tried.stdout
