"""A journal in a file, one line a record.

Rule 1: ``append`` returns after fsync; what it returned is on the disk.
Rule 2: a last line without its newline was being written when the power went; it is as if it had never
been, and the next append removes it. Damage anywhere else is refused and nothing is touched.
Rule 3: writers take turns by a file lock and compare versions under it, so of two that decided on the same
version exactly one writes. Being the orchestrator is another, longer lock.
"""

from __future__ import annotations

import errno
import getpass
import json
import os
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from trialjob.errors import ExperimentBusy, JournalConflict, JournalCorrupt, StoreError
from trialjob.model.ids import ExperimentName
from trialjob.orchestrator.core.events import Event, Record
from trialjob.orchestrator.journals.beginnings import begins_alike
from trialjob.orchestrator.journals.codec import decode, encode

#: Seconds to wait for another writer, which holds the lock for one write.
_TURN = 30.0


class JsonlJournal:
    """The journal in ``folder``; the folder is made with the first record."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "journal.jsonl"
        # Where the record after ``_version`` begins, as far as this object has read.
        self._version = 0
        self._offset = 0

    def read(self, after: int = 0) -> Sequence[Record]:
        if after < self._version:
            self._version, self._offset = 0, 0
        records = self._read_on()
        return [record for record in records if record.version > after]

    def append(self, events: Sequence[Event], *, after: int, at: float) -> Record:
        record = Record(version=after + 1, at=at, events=tuple(events))
        line = encode(record)
        with _store_errors(self._path):
            self._folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self._folder / "append.lock", timeout=_TURN):
                if after != self._version:
                    self._version, self._offset = 0, 0
                self._read_on()
                if self._version != after:
                    raise JournalConflict(f"{self._path} is at version {self._version}, not {after}")
                self._write(line)
        self._version += 1
        self._offset += len(line)
        return record

    def receive(self, records: Sequence[Record]) -> None:
        with _store_errors(self._path):
            self._folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self._folder / "append.lock", timeout=_TURN):
                if not begins_alike(self.read(), records):
                    return
                # Others may have read up to some byte, so what is there stays as it is.
                kept = self._path.read_bytes()[: self._offset] if self._version else b""
                lines = [encode(record) for record in records[self._version :]]
                _write_whole(self._path, kept + b"".join(lines))
        self._version += len(lines)
        self._offset += sum(map(len, lines))

    @contextmanager
    def hold(self, seconds: float = 60.0) -> Iterator[None]:  # noqa: ARG002 - the system sees who dies
        with _store_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._lock_path, timeout=0)
            try:
                lock.acquire()
            except Timeout:
                raise ExperimentBusy(
                    f"{self._folder.name} is being run by {self.holder() or 'another process'}; "
                    "stop or detach it there first"
                ) from None
        try:
            with _store_errors(self._folder):
                self._holder_path.write_text(json.dumps(this_process()))
            yield
        finally:
            lock.release()

    def holder(self) -> str | None:
        if not self._lock_path.exists():
            return None
        with _store_errors(self._lock_path):
            lock = FileLock(self._lock_path, timeout=0)
            try:
                lock.acquire()
            except Timeout:
                return self._describe_holder()
            lock.release()
        return None

    @property
    def _lock_path(self) -> Path:
        return self._folder / "orchestrator.lock"

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
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"{self._path} cannot be read: {error.strerror}") from error
        records: list[Record] = []
        # What follows the last newline is a torn line, or nothing.
        for line in data.split(b"\n")[:-1]:
            record = decode(line, f"{self._path}, record {self._version + 1}")
            if record.version != self._version + 1:
                raise JournalCorrupt(
                    f"{self._path}: record {record.version} follows record {self._version}; "
                    "restore the file from a backup"
                )
            records.append(record)
            self._version = record.version
            self._offset += len(line) + 1
        return records

    def _write(self, line: bytes) -> None:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            os.ftruncate(descriptor, self._offset)
            try:
                written = 0
                while written < len(line):
                    written += os.pwrite(descriptor, line[written:], self._offset + written)
                os.fsync(descriptor)
            except OSError:
                # A disk that is full takes half a line; leave the file as it was.
                os.ftruncate(descriptor, self._offset)
                raise
        finally:
            os.close(descriptor)
        if self._version == 0:
            _sync_folder(self._folder)


class FolderStore:
    """Experiments in the folders of a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> Sequence[ExperimentName]:
        with _store_errors(self.root):
            if self.root.exists() and not self.root.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            return sorted(ExperimentName(path.parent.name) for path in self.root.glob("*/journal.jsonl"))

    def journal(self, name: ExperimentName) -> JsonlJournal:
        return JsonlJournal(self.folder(name))

    def where(self, name: str = "") -> str:
        return str(self.root / name)

    def bundle(self, name: ExperimentName, digest: str) -> bytes:
        path = self._bundle(name, digest)
        with _store_errors(path):
            return path.read_bytes()

    def has_code(self, name: ExperimentName) -> bool:
        """Whether some code was brought here for it; that comes before the journal."""
        return any((self.folder(name) / "bundles").glob("*.tar.gz"))

    def keep_bundle(self, name: ExperimentName, digest: str, data: bytes) -> None:
        path = self._bundle(name, digest)
        with _store_errors(path):
            if path.exists():
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_whole(path, data)

    def _bundle(self, name: ExperimentName, digest: str) -> Path:
        return self.folder(name) / "bundles" / f"{digest}.tar.gz"

    def folder(self, name: ExperimentName) -> Path:
        """Where everything of an experiment is kept."""
        return self.root / name


@contextmanager
def _store_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except Timeout as error:
        raise StoreError(f"{path}: another process has kept its lock for {_TURN:g} s") from error
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {error.strerror or error}; nothing was lost, "
            "make room or choose another --store and resume"
        ) from error


def _write_whole(path: Path, data: bytes) -> None:
    """Give a file its content durably, at once or not at all."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".writing-", delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).chmod(0o644)
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the file's name durable too, not only its content."""
    for path in (folder, folder.parent):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def this_process() -> dict[str, object]:
    """Who we are, for whoever finds the experiment held: pid, host and user."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = str(os.getuid())
    return {"pid": os.getpid(), "host": socket.gethostname(), "user": user}
