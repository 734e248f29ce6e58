from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from trialjob.errors import JournalCorrupt, JournalReplaced, JournalTooNew, StoreError
from trialjob.model.ids import ExperimentName
from trialjob.orchestrator.core.events import SpaceExhausted
from trialjob.orchestrator.journals.codec import checked
from trialjob.orchestrator.journals.folder import FolderStore
from trialjob.orchestrator.journals.jsonl import JsonlJournal
from trialjob.orchestrator.journals.memory import MemoryJournal, MemoryStore
from trialjob.orchestrator.ports import Journal
from trialjob.testing.journal_contract import JournalContract


class TestMemoryJournal(JournalContract):
    @pytest.fixture
    def journal(self) -> Journal:
        return MemoryJournal()

    def again(self, journal: Journal) -> Journal:
        return journal


class TestJsonlJournal(JournalContract):
    @pytest.fixture
    def journal(self, tmp_path: Path) -> Journal:
        self.folder = tmp_path / "digits"
        return JsonlJournal(self.folder)

    def again(self, journal: Journal) -> Journal:  # noqa: ARG002 - the contract's signature
        return JsonlJournal(self.folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "digits"


def filled(folder: Path, records: int = 3) -> Path:
    journal = JsonlJournal(folder)
    for version in range(records):
        journal.append([SpaceExhausted()], after=version, at=float(version))
    return folder / "journal.jsonl"


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_torn_last_line_is_as_if_it_had_never_been(folder: Path, cut: int) -> None:
    path = filled(folder)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    journal = JsonlJournal(folder)
    assert len(journal.read()) == 2
    journal.append([SpaceExhausted()], after=2, at=2.0)
    assert path.read_bytes() == whole


def test_a_tail_of_zeros_is_torn_too(folder: Path) -> None:
    path = filled(folder)
    path.write_bytes(path.read_bytes() + b"\0" * 4096)
    assert len(JsonlJournal(folder).read()) == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: [lines[0], b"junk\n", lines[2]],
        lambda lines: [lines[0], lines[1][: len(lines[1]) // 2] + b"\n", lines[2]],
        lambda lines: [lines[0], lines[2]],
        lambda lines: [lines[0], lines[1], lines[1], lines[2]],
        lambda lines: [lines[1], lines[2]],
        lambda lines: [lines[0], b"[]\n", lines[2]],
        lambda lines: [lines[0], b"\0" * 50 + b"\n", lines[2]],
        lambda lines: [lines[0], b"\n", lines[2]],
    ],
)
def test_a_damaged_middle_is_refused_and_untouched(folder: Path, damage: object) -> None:
    path = filled(folder)
    damaged = b"".join(damage(path.read_bytes().splitlines(keepends=True)))  # type: ignore[operator]
    path.write_bytes(damaged)
    with pytest.raises(JournalCorrupt, match=r"journal\.jsonl"):
        JsonlJournal(folder).read()
    with pytest.raises(JournalCorrupt):
        JsonlJournal(folder).append([SpaceExhausted()], after=3, at=9.0)
    assert path.read_bytes() == damaged


def test_a_changed_bit_anywhere_is_found_and_named(folder: Path) -> None:
    path = filled(folder)
    whole = path.read_bytes()
    starts = [0, *(at + 1 for at, byte in enumerate(whole[:-1]) if byte == ord("\n"))]
    for at in range(len(whole)):
        begins = max(start for start in starts if start <= at)
        for bit in range(8):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
            with pytest.raises(JournalCorrupt) as caught:
                JsonlJournal(folder).read()
            place = f"journal.jsonl, line {starts.index(begins) + 1} (at byte {begins}): "
            assert place in str(caught.value), (at, bit)


def test_what_is_said_of_damage_keeps_the_records_before_it(folder: Path) -> None:
    path = filled(folder)
    first, second, third = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second.replace(b"1.0", b"1.5") + third)
    with pytest.raises(JournalCorrupt, match="its checksum does not fit") as caught:
        JsonlJournal(folder).read()
    command = str(caught.value).split("`")[1]
    subprocess.run(shlex.split(command), check=True)
    journal = JsonlJournal(folder)
    assert len(journal.read()) == 1
    journal.append([SpaceExhausted()], after=1, at=1.0)
    assert path.read_bytes() == first + second


def test_lines_without_a_checksum_are_read_among_others(folder: Path) -> None:
    old = b'{"v": 1, "n": %d, "at": 3.0, "events": [{"type":"SpaceExhausted"}]}\n'
    folder.mkdir()
    path = folder / "journal.jsonl"
    path.write_bytes(old % 1)
    journal = JsonlJournal(folder)
    assert len(journal.read()) == 1
    journal.append([SpaceExhausted()], after=1, at=3.0)
    path.write_bytes(path.read_bytes() + old % 3)
    records = JsonlJournal(folder).read()
    assert [(record.version, record.events) for record in records] == [
        (number, (SpaceExhausted(),)) for number in (1, 2, 3)
    ]


UNKNOWN_IN_A_REPORT = (
    b'{"type": "ReportsRead", "trial": 1, "attempt": 1, "cursor": "", '
    b'"reports": [{"resource": 1.0, "metrics": {"loss": 1.0}, "at": 1.0, "weight": 2}]}'
)


@pytest.mark.parametrize(
    "line",
    [
        b'{"v": 2, "n": 4, "at": 3.0, "anything": "else"}\n',
        b'{"v": 1, "n": 4, "at": 3.0, "events": [{"type": "PlanetAligned"}]}\n',
        b'{"v": 1, "n": 4, "at": 3.0, "events": [{"type": "SpaceExhausted", "of": "sobol"}]}\n',
        b'{"v": 1, "n": 4, "at": 3.0, "events": [%s]}\n' % UNKNOWN_IN_A_REPORT,
        checked(b'{"v": 1, "n": 4, "at": 3.0, "events": [], "signed": "ada"}\n'),
    ],
)
def test_what_a_newer_version_wrote_is_refused_and_untouched(folder: Path, line: bytes) -> None:
    path = filled(folder)
    path.write_bytes(path.read_bytes() + line)
    with pytest.raises(JournalTooNew, match="upgrade"):
        JsonlJournal(folder).read()


def test_a_disk_that_is_full_leaves_the_journal_as_it_was(folder: Path) -> None:
    path = filled(folder)
    whole = path.read_bytes()
    # A real full disk: a process that may not write files longer than this one and a few bytes.
    program = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from trialjob.errors import StoreError\n"
        "from trialjob.orchestrator.core.events import SpaceExhausted\n"
        "from trialjob.orchestrator.journals.jsonl import JsonlJournal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({len(whole) + 10},) * 2)\n"
        "try:\n"
        "    JsonlJournal(Path(sys.argv[1])).append([SpaceExhausted()], after=3, at=3.0)\n"
        "except StoreError as error:\n"
        "    print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True
    )
    assert "journal.jsonl cannot be written: File too large" in run.stdout
    assert path.read_bytes() == whole


def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "digits").write_text("a file where a folder should be")
    with pytest.raises(StoreError, match="digits"):
        JsonlJournal(tmp_path / "digits").append([SpaceExhausted()], after=0, at=0.0)


def test_a_killed_holder_holds_nothing(folder: Path) -> None:
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from trialjob.orchestrator.journals.jsonl import JsonlJournal\n"
        "with JsonlJournal(Path(sys.argv[1])).hold():\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert f"process {process.pid} of " in (JsonlJournal(folder).holder() or "")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert JsonlJournal(folder).holder() is None
    with JsonlJournal(folder).hold():
        pass


@pytest.mark.parametrize("records", [0, 2, 3, 5])
@pytest.mark.parametrize("recalls", [False, True])
def test_who_has_read_a_journal_does_not_go_on_in_that_of_another(
    tmp_path: Path, records: int, recalls: bool
) -> None:
    store, name = FolderStore(tmp_path), ExperimentName("digits")
    path = filled(tmp_path / "digits")
    reader, writer = store.journal(name), store.journal(name)
    assert [len(each.read()) for each in (reader, writer)] == [3, 3]
    if recalls:
        reader.read(0)
    with store.journal(name).hold():
        store.forget(name)
    store.clear(name)
    other = store.journal(name)
    for version in range(records):
        other.append([SpaceExhausted()], after=version, at=float(9 - version))
    before = path.read_bytes() if records else b""
    for _ in range(2):
        for after in (3, 0):
            with pytest.raises(JournalReplaced, match="removed, or another"):
                reader.read(after)
        with pytest.raises(JournalReplaced):
            writer.append([SpaceExhausted()], after=3, at=3.0)
    assert (path.read_bytes() if path.exists() else b"") == before
    assert len(other.read()) == len(store.journal(name).read()) == records


def test_stores_know_their_experiments(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    assert list(store.names()) == []
    for name in ("b", "a"):
        store.journal(ExperimentName(name)).append([SpaceExhausted()], after=0, at=0.0)
    (tmp_path / "stray").mkdir()
    assert list(store.names()) == ["a", "b"]
    memory = MemoryStore()
    memory.journal(ExperimentName("x"))
    assert list(memory.names()) == []
    memory.journal(ExperimentName("x")).append([SpaceExhausted()], after=0, at=0.0)
    assert list(memory.names()) == ["x"]
