"""Whatever is wrong with one experiment of a store is said with place and remedy, and costs no other."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tiny_sweep import write_tiny_sweep
from trialjob.apps.cli.main import main
from trialjob.errors import JournalCorrupt, JournalTooNew
from trialjob.orchestrator.core.evolve import replay
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.folder import FolderStore
from trialjob.orchestrator.journals.jsonl import JsonlJournal

GOLDEN = Path(__file__).parents[1] / "golden"
EMPTY_RECORD = b'{"v": 1, "n": 1, "at": 0, "events": []}\n'

#: What is done to the folder of an experiment.
Damage = Callable[[Path], object]


def journal(change: Callable[[bytes], bytes]) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / "journal.jsonl"
        path.write_bytes(change(path.read_bytes()))

    return damage


def lines(change: Callable[[list[bytes]], list[bytes]]) -> Damage:
    return journal(lambda data: b"".join(change(data.splitlines(keepends=True))))


def without_checksums(change: Callable[[bytes], bytes]) -> Damage:
    """As older journals are."""
    return journal(lambda data: change(re.sub(rb', "crc": "[0-9a-f]{8}"\}', b"}", data)))


def instead(name: str, make: Callable[[Path], object]) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        make(path)

    return damage


def to_itself(path: Path) -> None:
    path.symlink_to(path.name)


#: What no command can read over.
UNREADABLE: dict[str, Damage] = {
    "first line gone": lines(lambda found: found[1:]),
    "line gone": lines(lambda found: [found[0], *found[2:]]),
    "line twice": lines(lambda found: [*found[:2], *found[1:]]),
    "bit flipped": journal(lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:]),
    "cut, then written on": lines(lambda found: [found[0], found[1][:30], *found[2:]]),
    "zeros in the middle": journal(lambda data: data[:300] + bytes(100) + data[400:]),
    "a page": journal(lambda _data: b"<html>\n"),
    "bytes": journal(lambda _data: bytes(range(256))),
    "another JSON": journal(lambda _data: b"[]\n"),
    "deep": journal(lambda _data: b"[" * 100_000 + b"\n"),
    "nothing happened": journal(lambda _data: EMPTY_RECORD),
    "created twice": without_checksums(
        lambda data: (
            data + data.splitlines()[0].replace(b'"n": 1', b'"n": %d' % (data.count(b"\n") + 1)) + b"\n"
        )
    ),
    "a trial that was never proposed": without_checksums(
        lambda data: data.replace(b'"trial":1', b'"trial":7')
    ),
    "by a newer one": without_checksums(lambda data: data.replace(b"TrialProposed", b"TrialImagined")),
    "in a newer format": without_checksums(lambda data: data.replace(b'"v": 1', b'"v": 9')),
    "a folder": instead("journal.jsonl", Path.mkdir),
    "a link to itself": instead("journal.jsonl", to_itself),
    "a pipe": instead("journal.jsonl", os.mkfifo),
    "nothing": journal(lambda _data: b""),
    "gone": instead("journal.jsonl", lambda _path: None),
}
#: What can be looked at and not be gone on with.
UNUSABLE: dict[str, Damage] = {
    "lock is a folder": instead("orchestrator.lock", Path.mkdir),
    "lock of writers is a link to itself": instead("append.lock", to_itself),
    "jobs is a file": instead("jobs", Path.touch),
    "a job's status is cut": instead("jobs/tiny-0001-1/status.json", lambda path: path.write_text('{"sta')),
    "a job's status is a list": instead("jobs/tiny-0001-1/status.json", lambda path: path.write_text("[]")),
    "a job's status is a folder": instead("jobs/tiny-0001-1/status.json", Path.mkdir),
}
LOOKS = [
    ["status", "tiny"],
    ["results", "tiny"],
    ["report", "tiny", "-o", "page.html"],
    ["logs", "tiny", "1"],
]
REMEDIES = ("restore", "→", "upgrade", "move away", "check --store", "make room", "have its owner")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with an experiment that goes on and another that has ended."""
    root = tmp_path_factory.mktemp("sound")
    spec = str(write_tiny_sweep(root))
    store = root / "store"
    assert main(["run", spec, "--name", "whole", "--store", str(store)]) == 0
    assert main(["step", "tiny", spec, "--store", str(store)]) == 3
    status = store / "tiny" / "jobs" / "tiny-0001-1" / "status.json"
    clock = SystemClock()
    until = clock.now() + 60
    while not (status.exists() and "ended" in status.read_text()) and clock.now() < until:
        clock.sleep(0.02)
    return store


@pytest.fixture
def store(sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(sound, tmp_path / "store")


def said(capsys: pytest.CaptureFixture[str], words: list[str], store: Path) -> str:
    """What a command says of what it cannot do."""
    capsys.readouterr()
    assert main([*words, "--store", str(store)]) in {2, 3}, words
    told = capsys.readouterr().err
    assert told.startswith("error: "), told
    assert "bug in trialjob" not in told
    assert any(remedy in told for remedy in REMEDIES), told
    return told


def others_go_on(capsys: pytest.CaptureFixture[str], store: Path) -> None:
    """The experiment beside it is seen and moved on as ever."""
    for words in (["status", "whole"], ["step", "whole"]):
        assert main([*words, "--store", str(store)]) == 0
    capsys.readouterr()
    assert main(["list", "--format", "json", "--store", str(store)]) == 0
    listed = {each["experiment"]: each for each in json.loads(capsys.readouterr().out)["experiments"]}
    assert listed["whole"]["state"] == "finished"


@pytest.mark.parametrize("damage", UNREADABLE.values(), ids=UNREADABLE)
def test_a_journal_that_is_no_journal(
    damage: Damage, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(store / "tiny")
    before = kept(store / "tiny")
    for words in (*LOOKS, ["step", "tiny"], ["stop", "tiny", "--no-wait"], ["resume", "tiny"]):
        assert "tiny" in said(capsys, words, store)
    assert kept(store / "tiny") == before
    others_go_on(capsys, store)


LOST = {
    "zeros": journal(lambda data: bytes(len(data))),
    **{name: UNREADABLE[name] for name in ("nothing", "gone")},
}


@pytest.mark.parametrize("damage", LOST.values(), ids=LOST)
def test_a_journal_that_has_nothing_any_more_is_not_begun_anew(
    damage: Damage, store: Path, capsys: pytest.CaptureFixture[str], sound: Path
) -> None:
    status = store / "tiny" / "jobs" / "tiny-0001-1" / "status.json"
    ended = status.read_bytes()
    status.write_bytes(ended.replace(b'"state": "ended"', b'"state": "training"'))
    damage(store / "tiny")
    spec = str(sound.parent / "sweep.yaml")
    others = str(store.parent / "others")
    again = (["step", "tiny", spec], ["run", spec, "--name", "tiny"], ["rm", "tiny", "--yes"])
    for words in (*again, ["push", "tiny", others]):
        assert "has nothing any more" in said(capsys, words, store)
    assert (store / "tiny" / "jobs").is_dir()
    # Where all that it ran here is over, nothing can be started twice.
    status.write_bytes(ended)
    if damage is not LOST["gone"]:
        assert main(["rm", "tiny", "--yes", "--store", str(store)]) == 0
        assert main(["step", "tiny", spec, "--store", str(store)]) == 3


def kept(folder: Path) -> bytes | None:
    """The journal as it is on the disk; None where there is no file to read."""
    path = folder / "journal.jsonl"
    return path.read_bytes() if path.is_file() else None


@pytest.mark.parametrize("damage", UNUSABLE.values(), ids=UNUSABLE)
def test_what_cannot_be_used_is_named_and_can_be_looked_at(
    damage: Damage, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(store / "tiny")
    said(capsys, ["step", "tiny"], store)
    for words in LOOKS[:3]:
        assert main([*words, "--store", str(store)]) == 0
    others_go_on(capsys, store)


def test_what_is_put_back_goes_on(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = store.with_name("copy")
    shutil.copytree(store, copy)
    shutil.rmtree(store / "tiny" / "jobs" / "tiny-0001-1")
    (store / "tiny" / "orchestrator.lock").unlink()
    (store / "tiny" / "orchestrator.lock").mkdir()
    assert "move away what is there" in said(capsys, ["step", "tiny"], store)
    (store / "tiny" / "orchestrator.lock").rmdir()
    shutil.copytree(copy / "tiny" / "jobs" / "tiny-0001-1", store / "tiny" / "jobs" / "tiny-0001-1")
    assert main(["step", "tiny", "--store", str(store)]) == 3


def test_what_is_no_experiment_is_not_listed(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (store / "notes.txt").write_text("mine")
    (store / "a folder").mkdir()
    shutil.copytree(store / "whole", store / "Not a name!")
    (store / "dangling").symlink_to("nowhere")
    others_go_on(capsys, store)
    assert set(FolderStore(store).names()) == {"tiny", "whole"}


def test_a_copy_of_an_experiment_is_looked_at_and_not_run(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(store / "tiny", store / "tiny-old")
    assert main(["status", "tiny-old", "--store", str(store)]) == 0
    for words in (["step", "tiny-old"], ["resume", "tiny-old"], ["stop", "tiny-old", "--no-wait"]):
        assert "holds the journal of tiny" in said(capsys, words, store)
    assert main(["step", "tiny", "--store", str(store)]) == 3


def test_a_store_that_is_a_file(tmp_path: Path, sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    for words in (["list"], *LOOKS, ["step", "tiny"], ["step", "tiny", str(sound.parent / "sweep.yaml")]):
        assert "check --store" in said(capsys, words, tmp_path / "file")


@pytest.mark.parametrize("name", ["experiment-v1", "every-event-v1"])
def test_no_changed_byte_of_an_old_journal_is_taken_for_a_bug(name: str, tmp_path: Path) -> None:
    data = (GOLDEN / name / "journal.jsonl").read_bytes()
    for place in range(0, len(data), 61):
        for byte in (data[place] ^ 1 << place % 7, *b'0"}'):
            (tmp_path / "journal.jsonl").write_bytes(data[:place] + bytes([byte]) + data[place + 1 :])
            try:
                replay(JsonlJournal(tmp_path).read(), str(tmp_path))
            except (JournalCorrupt, JournalTooNew) as error:
                assert str(tmp_path) in str(error)  # noqa: PT017 - it may also be read
