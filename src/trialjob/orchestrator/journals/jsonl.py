"""A journal in a file, one line a record.

Rule 1: ``append`` returns after fsync; what it returned is on the disk. The holder acts on what it
reads, so what another has left unsynced is synced first.
Rule 2: a last line without its newline was being written when the power went; it is as if it had never
been, and the next append removes it. Damage anywhere else is refused and nothing is touched.
Rule 3: writers take turns by a file lock and compare versions under it, so of two that decided on the same
version exactly one writes. Being the orchestrator is another, longer lock.
Rule 4: an experiment may be removed and its name given to another. What was read last is looked for in front
of what is read next, so that no reader goes on in another journal than the one that it began.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shlex
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from trialjob.errors import (
    ExperimentBusy,
    JournalConflict,
    JournalCorrupt,
    JournalReplaced,
    JournalTooNew,
    StoreError,
)
from trialjob.files import DISK, Disk
from trialjob.orchestrator.core.events import Event, Record
from trialjob.orchestrator.core.overview import Seen
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.journals.codec import checked, decode, encode
from trialjob.orchestrator.journals.locks import hold, is_held, store_errors, this_process, turn
from trialjob.orchestrator.journals.os_errors import trouble
from trialjob.orchestrator.journals.prefix import begins_alike
from trialjob.orchestrator.journals.snapshot import is_worth, packed, unpacked
from trialjob.private_files import FILE, make_private, tighten

#: For what may be lost.
_UNSAFE = Disk(sync=lambda _descriptor: None)

#: Bytes of what was read last by which it is known again: they hold the checksum and the end of a line.
_KNOWN = 64

#: Windows would write two bytes for the end of a line.
_BINARY = getattr(os, "O_BINARY", 0)


class JsonlJournal:
    """The journal in ``folder``; the folder is made with the first record."""

    def __init__(self, folder: Path, *, disk: Disk = DISK) -> None:
        self._folder = folder
        self._disk = disk
        # Whether this object has made the file's name durable.
        self._is_named = False
        self._path = folder / "journal.jsonl"
        #: The version that is in the snapshot beside it, as far as that is known here.
        self._kept = 0
        #: What the system says of the file when nothing is new in it.
        self._facts: tuple[int, int, int] | None = None
        self._rewind()

    def _rewind(self) -> None:
        # Where the record after ``_version`` begins, as far as this object has read; and what it has read.
        self._version = 0
        self._offset = 0
        self._digest = hashlib.sha256()
        self._known = b""

    def read(self, after: int = 0) -> Sequence[Record]:
        if after < self._version:
            self._read_on()  # or nothing would be known any more by which another's is told
            self._rewind()
        records = self._read_on()
        return [record for record in records if record.version > after]

    def append(self, events: Sequence[Event], *, after: int, at: float) -> Record:
        record = Record(version=after + 1, at=at, events=tuple(events))
        line = checked(encode(record))
        with store_errors(self._path):
            make_private(self._folder, root=self._folder.parent, disk=self._disk)
            with turn(self._folder / "append.lock"):
                self._read_on()
                if self._version != after:
                    raise JournalConflict(f"{self._path} is at version {self._version}, not {after}")
                self._write(line)
        self._pass(line)
        return record

    def receive(self, records: Sequence[Record]) -> None:
        with store_errors(self._path):
            make_private(self._folder, root=self._folder.parent, disk=self._disk)
            with turn(self._folder / "append.lock"):
                if not begins_alike(self.read(), records):
                    self._settle()
                    return
                # Others may have read up to some byte, so what is there stays as it is.
                kept = self._path.read_bytes()[: self._offset] if self._version else b""
                lines = [checked(encode(record)) for record in records[self._version :]]
                self._disk.write(self._path, kept + b"".join(lines))
                self._keep_name()
        for line in lines:
            self._pass(line)

    def recall(self) -> Seen | None:
        with suppress(OSError, ValueError):
            snapshot = unpacked(_content(self._snapshot))
            if snapshot is not None:
                size = int(snapshot.of.partition("-")[0])
                content = _content(self._path, size)
                digest = hashlib.sha256(content)
                if snapshot.of == f"{size}-{digest.hexdigest()}":
                    version = snapshot.seen.state.version
                    self._version, self._offset, self._digest = version, size, digest
                    self._kept, self._known = version, content[-_KNOWN:]
                    return snapshot.seen
        return None

    def remember(self, state: State) -> None:
        if state.version != self._version or not is_worth(self._version, self._kept):
            return
        self._kept = self._version  # or not to be tried again and again
        with suppress(OSError, ValueError):
            of = f"{self._offset}-{self._digest.hexdigest()}"
            _UNSAFE.write(self._snapshot, packed(of, state))

    @contextmanager
    def hold(self, seconds: float = 60.0) -> Iterator[None]:  # noqa: ARG002 - the system sees who dies
        with store_errors(self._folder):
            make_private(self._folder, root=self._folder.parent, disk=self._disk)
            lock = hold(self._lock_path)
            if lock is None:
                raise ExperimentBusy(
                    f"{self._folder.name} is being run by {self.holder() or 'another process'}; "
                    "stop or detach it there first"
                )
        try:
            with store_errors(self._folder):
                self._holder_path.write_text(json.dumps(this_process()))
                tighten(self._holder_path)
                self._settle()
            yield
        finally:
            lock.release()

    def holder(self) -> str | None:
        with store_errors(self._lock_path, doing="read"):
            held = self._lock_path.exists() and is_held(self._lock_path)
        return self._describe_holder() if held else None

    @property
    def _lock_path(self) -> Path:
        return self._folder / "orchestrator.lock"

    @property
    def _snapshot(self) -> Path:
        return self._folder / "snapshot"

    @property
    def _holder_path(self) -> Path:
        return self._folder / "orchestrator.json"

    def _describe_holder(self) -> str:
        try:
            who = json.loads(self._holder_path.read_text())
            return f"process {who['pid']} of {who['user']} on {who['host']}"
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"

    def _read_on(self) -> list[Record]:
        """The whole records behind the offset; moves the offset behind them."""
        try:
            found = self._path.stat()
            facts = found.st_ino, found.st_size, found.st_mtime_ns
            if facts == self._facts and self._offset == found.st_size:  # most looks find nothing new
                return []
            data = _content(self._path, after=self._offset - len(self._known))
        except FileNotFoundError:
            if not self._version:
                return []
            raise self._replaced() from None
        except OSError as error:
            raise StoreError(trouble(error, self._path, doing="read")) from error
        if not data.startswith(self._known):
            raise self._replaced()
        *lines, torn = data[len(self._known) :].split(b"\n")
        records = [self._record(line) for line in lines]
        self._check_torn(torn)
        self._facts = facts
        return records

    def _replaced(self) -> JournalReplaced:
        return JournalReplaced(
            f"{self._path} is not the journal any more that was read before: it was removed, or another "
            "experiment has its name\n  → look at it again; where nobody has removed it, restore the file"
        )

    def _record(self, line: bytes) -> Record:
        """The record of the line at the offset; moves the offset behind it."""
        record = decode(line, self._place, remedy=self._remedy)
        if record.version != self._version + 1:
            raise JournalCorrupt(
                f"{self._place}: record {record.version} is where record {self._version + 1} should be; "
                f"{self._remedy}"
            )
        self._pass(line + b"\n")
        return record

    def _pass(self, line: bytes) -> None:
        """Move the offset behind the line that begins there."""
        self._version += 1
        self._offset += len(line)
        self._digest.update(line)
        self._known = line[-_KNOWN:]

    def _check_torn(self, torn: bytes) -> None:
        """A line that was being written has no end; one that has an end but no newline was damaged later."""
        try:
            decode(torn[:-1], self._place)
        except (JournalCorrupt, JournalTooNew):
            return
        raise JournalCorrupt(f"{self._place}: damaged, its newline is another character; {self._remedy}")

    @property
    def _place(self) -> str:
        """Where the next record begins."""
        return f"{self._path}, line {self._version + 1} (at byte {self._offset})"

    @property
    def _remedy(self) -> str:
        return (
            "restore the file from a backup; without one, keep a copy and cut it to the records before "
            f"this one with `truncate -s {self._offset} {shlex.quote(str(self._path))}`"
        )

    def _write(self, line: bytes) -> None:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | _BINARY, FILE)
        try:
            os.ftruncate(descriptor, self._offset)
            try:
                os.lseek(descriptor, self._offset, os.SEEK_SET)
                left = memoryview(line)
                while left:
                    left = left[os.write(descriptor, left) :]
                self._disk.sync(descriptor)
            except OSError:
                # A disk that is full takes half a line; leave the file as it was.
                os.ftruncate(descriptor, self._offset)
                raise
        finally:
            os.close(descriptor)
        self._keep_name()

    def _settle(self) -> None:
        """Make durable what is there: its writer may have been killed before that."""
        with suppress(FileNotFoundError), self._path.open("rb") as file:
            self._disk.sync(file.fileno())
            self._keep_name()

    def _keep_name(self) -> None:
        """Make the file's name durable too, not only its content; its maker may have been killed."""
        if not self._is_named:
            self._disk.sync_names(self._folder)
            self._disk.sync_names(self._folder.parent)
            self._is_named = True


def _content(path: Path, size: int = -1, *, after: int = 0) -> bytes:
    """What is in a file, so many bytes at most, behind its first ``after``."""
    with open(path, "rb", opener=_open_file) as file:
        file.seek(after)
        return file.read(size)


def _open_file(path: str, flags: int) -> int:
    """Open a file that is one: a pipe in its place would be waited for without end."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is a pipe", path)
    return descriptor
