"""Every command that writes a file where its user says: what cannot be written, and what is left of it."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from trialjob.apps.cli.main import main

SPEC = """
name: f
estimator: {kind: script, source_dir: code, entry_point: train.sh}
space: {x: {type: choice, values: [1]}}
objective: {metric: acc, mode: max}
metrics: [{name: acc, regex: "acc=({number})"}]
limits: {max_trials: 1}
backend: {kind: local, poll_interval: 0.1}
"""
WANDB = """
program: train.py
method: random
run_cap: 4
metric: {name: acc, goal: maximize}
parameters: {lr: {min: 0.1, max: 0.2}}
"""
WRITERS: dict[str, Sequence[str]] = {
    "report": ["report", "f", "-o"],
    "schema": ["schema", "-o"],
    "init": ["init", "code", "--yes", "-o"],
    "import": ["import", "wandb.yaml", "-o"],
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIALJOB_STORE", str(tmp_path / "store"))
    Path("code").mkdir()
    Path("code/train.sh").write_text("echo acc=1\n")
    Path("sweep.yaml").write_text(SPEC)
    Path("wandb.yaml").write_text(WANDB)
    Path("afile").write_text("precious")


@pytest.fixture
def experiment(here: None) -> None:  # noqa: ARG001 - where it is
    assert main(["run", "sweep.yaml", "--yes", "--name", "f"]) == 0


@pytest.fixture
def full() -> Iterator[Callable[[], None]]:
    """Call it, and no file takes more than a few bytes: the disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def names() -> set[str]:
    return {str(path) for path in Path().rglob("*") if path.parts[0] != "store"}


@pytest.mark.usefixtures("experiment")
@pytest.mark.parametrize("words", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize(
    ("where", "said", "remedy"),
    [
        ("none/a/x", "none/a/x cannot be written: No such file", "mkdir -p none/a"),
        ("afile/x", "afile/x cannot be written: Not a directory", "name another place with -o"),
    ],
)
def test_what_cannot_be_written_makes_nothing(
    words: Sequence[str], where: str, said: str, remedy: str, capfd: pytest.CaptureFixture[str]
) -> None:
    before = names()
    assert main([*words, where]) == 2
    told = capfd.readouterr().err
    assert said in told
    assert remedy in told
    assert names() == before
    # And the remedy works.
    if "mkdir" in remedy:
        assert os.system(remedy) == 0  # noqa: S605 - what is told to the user
        assert main([*words, where]) == 0
        assert Path(where).stat().st_size


@pytest.mark.usefixtures("experiment")
@pytest.mark.parametrize("words", WRITERS.values(), ids=WRITERS)
def test_a_folder_is_said_to_be_one(words: Sequence[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "code"]) == 2
    assert "code" in (told := capfd.readouterr().err)
    assert "is a folder" in told or "is a directory" in told or "is there already" in told


@pytest.mark.usefixtures("experiment")
@pytest.mark.parametrize("words", WRITERS.values(), ids=WRITERS)
def test_a_full_disk_leaves_no_part_and_what_was_there(
    words: Sequence[str], full: Callable[[], None], capfd: pytest.CaptureFixture[str]
) -> None:
    overwrites = words[0] in {"report", "schema"}
    where = "afile" if overwrites else "new.yaml"
    before = names()
    full()
    assert main([*words, where]) == 2
    assert f"{where} cannot be written: File too large" in capfd.readouterr().err
    assert Path("afile").read_text() == "precious"
    assert {name for name in names() - before if not name.startswith(".trialjob")} == set()


def test_a_first_spec_without_room_for_its_schema_is_not_in_the_way(
    capfd: pytest.CaptureFixture[str],
) -> None:
    Path(".trialjob").write_text("a file of the user's")
    words = [*WRITERS["init"], "new.yaml"]
    assert main(words) == 2
    assert ".trialjob/spec.schema.json cannot be written" in capfd.readouterr().err
    assert not Path("new.yaml").exists()
    Path(".trialjob").unlink()
    assert main(words) == 0


@pytest.mark.usefixtures("experiment")
@pytest.mark.parametrize("where", ["/dev/zero", "code"])
def test_an_optuna_journal_is_a_file(where: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Optuna read /dev/zero until no memory was left."""
    assert main(["export", "f", "--optuna", where]) == 2
    assert f"{where} is no file; name one" in capfd.readouterr().err


def test_a_log_that_cannot_be_written_is_said_before_the_server_is(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", "0", "--log", "none/x.log"]) == 2
    told = capfd.readouterr()
    assert "--log none/x.log cannot be written: No such file or directory" in told.err
    assert "#token=" not in told.out
