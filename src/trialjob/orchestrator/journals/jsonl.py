"""A journal in a file, one line a record.

Rule 1: ``append`` returns after fsync; what it returned is on the disk. Who holds the journal acts on what it
reads, so what another has left unsynced is synced first.
Rule 2: a last line without its newline was being written when the power went; it is as if it had never
been, and the next append removes it. Damage anywhere else is refused and nothing is touched.
Rule 3: writers take turns by a file lock and compare versions under it, so of two that decided on the same
version exactly one writes. Being the orchestrator is another, longer lock.
"""

from __future__ import annotations

import errno
import getpass
import hashlib
import json
import os
import shlex
import shutil
import socket
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar, Self

from filelock import FileLock, Timeout

from trialjob.errors import ExperimentBusy, JournalConflict, JournalCorrupt, JournalTooNew, StoreError
from trialjob.files import DISK, Disk
from trialjob.model.ids import ExperimentName, experiment_name_problem
from trialjob.orchestrator.core.events import Event, Record
from trialjob.orchestrator.journals.beginnings import begins_alike
from trialjob.orchestrator.journals.bundles import check_bundle, check_digest
from trialjob.orchestrator.journals.codec import checked, decode, encode
from trialjob.orchestrator.journals.private import FILE, FOLDER, make_private, tighten
from trialjob.orchestrator.journals.store import BaseStore, Document, Documents
from trialjob.orchestrator.journals.troubles import trouble
from trialjob.orchestrator.ports import Clock

#: Seconds to wait for another writer, which holds the lock for one write.
_TURN = 30.0


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
        line = checked(encode(record))
        with _store_errors(self._path):
            make_private(self._folder, root=self._folder.parent, disk=self._disk)
            with FileLock(self._folder / "append.lock", timeout=_TURN, mode=FILE):
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
            make_private(self._folder, root=self._folder.parent, disk=self._disk)
            with FileLock(self._folder / "append.lock", timeout=_TURN, mode=FILE):
                if not begins_alike(self.read(), records):
                    self._settle()
                    return
                # Others may have read up to some byte, so what is there stays as it is.
                kept = self._path.read_bytes()[: self._offset] if self._version else b""
                lines = [checked(encode(record)) for record in records[self._version :]]
                self._disk.write(self._path, kept + b"".join(lines))
                self._keep_name()
        self._version += len(lines)
        self._offset += sum(map(len, lines))

    @contextmanager
    def hold(self, seconds: float = 60.0) -> Iterator[None]:  # noqa: ARG002 - the system sees who dies
        with _store_errors(self._folder):
            make_private(self._folder, root=self._folder.parent, disk=self._disk)
            lock = FileLock(self._lock_path, timeout=0, mode=FILE)
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
                tighten(self._holder_path)
                self._settle()
            yield
        finally:
            lock.release()

    def holder(self) -> str | None:
        with _store_errors(self._lock_path, doing="read"):
            held = self._lock_path.exists() and _is_held(self._lock_path)
        return self._describe_holder() if held else None

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
            with open(self._path, "rb", opener=_open_file) as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(trouble(error, self._path, doing="read")) from error
        *lines, torn = data.split(b"\n")
        records = [self._record(line) for line in lines]
        self._check_torn(torn)
        return records

    def _record(self, line: bytes) -> Record:
        """The record of the line at the offset; moves the offset behind it."""
        record = decode(line, self._place, remedy=self._remedy)
        if record.version != self._version + 1:
            raise JournalCorrupt(
                f"{self._place}: record {record.version} is where record {self._version + 1} should be; "
                f"{self._remedy}"
            )
        self._version = record.version
        self._offset += len(line) + 1
        return record

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
        """Make durable what is there: whoever wrote it may have been killed before that was done."""
        with suppress(FileNotFoundError), self._path.open("rb") as file:
            self._disk.sync(file.fileno())
            self._keep_name()

    def _keep_name(self) -> None:
        """Make the file's name durable too, not only its content; whoever made it may have been killed."""
        if not self._is_named:
            self._disk.sync_names(self._folder)
            self._disk.sync_names(self._folder.parent)
            self._is_named = True


class FolderStore(BaseStore):
    """Experiments in the folders of a folder."""

    kind: ClassVar[str] = "file"

    def __init__(self, root: Path, *, disk: Disk = DISK) -> None:
        self.root = root
        self._disk = disk

    @classmethod
    def open(cls, address: str, clock: Clock) -> Self:  # noqa: ARG003 - it knows no time
        scheme, _, path = address.partition("://")
        if scheme.lower() != cls.kind or not path.startswith("/"):
            raise ValueError("a folder's address is file:///full/path")
        return cls(Path(path))

    def names(self) -> Sequence[ExperimentName]:
        with _store_errors(self.root, doing="read"):
            if not self.root.exists():
                return []
            return sorted(
                ExperimentName(folder.name)
                for folder in self.root.iterdir()
                if not experiment_name_problem(folder.name) and _has_journal(folder)
            )

    def journal(self, name: ExperimentName) -> JsonlJournal:
        return JsonlJournal(self.folder(name), disk=self._disk)

    def where(self, name: str = "") -> str:
        return str(self.root / name)

    def bundle(self, name: ExperimentName, digest: str) -> bytes:
        path = self._bundle(name, digest)
        with _store_errors(path, doing="read"):
            data = path.read_bytes()
        return check_bundle(digest, data, str(path))

    def has_code(self, name: ExperimentName) -> bool:
        """Whether some code was brought here for it; that comes before the journal."""
        return any((self.folder(name) / "bundles").glob("*.tar.gz"))

    def check_not_lost(self, name: ExperimentName) -> None:
        # Both come after the first record: who runs it, and what it has run.
        folder = self.folder(name)
        traces = [folder / each for each in ("orchestrator.json", "jobs")]
        if any(os.path.lexists(each) for each in traces) and not self.journal(name).read():
            raise JournalCorrupt(
                f"{folder / 'journal.jsonl'} has nothing any more, of an experiment that was run: its"
                f" jobs, {name}-0001-1 and so on, may still run, and would be started a second time.\n"
                "  → restore the file from a backup; without one, end its jobs where they run, and then"
                f" `rm -r {shlex.quote(str(folder))}`"
            )

    def forget(self, name: ExperimentName) -> None:
        """Remove the journal of an experiment that this process holds."""
        with _store_errors(self.folder(name)):
            # First what says that it was run: a removal that is broken off here is no loss of a journal.
            (self.folder(name) / "orchestrator.json").unlink(missing_ok=True)
            (self.folder(name) / "journal.jsonl").unlink(missing_ok=True)
            self._disk.sync_names(self.folder(name))

    def clear(self, name: ExperimentName) -> None:
        """Remove what is left of an experiment whose journal is gone."""
        with _store_errors(self.folder(name)):
            shutil.rmtree(self.folder(name))

    def keep_bundle(self, name: ExperimentName, digest: str, data: bytes) -> None:
        path = self._bundle(name, digest)
        check_bundle(digest, data, f"what was to be kept as {path}")
        with _store_errors(path):
            if path.exists():
                self._disk.sync_names(path.parent)  # who gave it its name may have been killed
                return
            make_private(self.folder(name), root=self.root, disk=self._disk)
            self._disk.make_folder(path.parent, mode=FOLDER)
            self._disk.write(path, data)

    def _bundle(self, name: ExperimentName, digest: str) -> Path:
        return self.folder(name) / "bundles" / f"{check_digest(digest, self.where(name))}.tar.gz"

    def folder(self, name: ExperimentName) -> Path:
        """Where everything of an experiment is kept."""
        return self.root / name

    def files(self) -> Sequence[Path]:
        return (self.root,)

    def beside(self, name: ExperimentName) -> str:
        return str(name)

    def documents(self) -> Documents:
        return FolderDocuments(self.root, disk=self._disk)


class FolderDocuments:
    """Documents of a folder, which writers take turns at by a file lock."""

    def __init__(self, root: Path, *, disk: Disk = DISK) -> None:
        self._root = root
        self._disk = disk

    def read(self, key: str) -> Document | None:
        path = self._root / key
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror or error}") from error
        return Document(data=data, etag=hashlib.sha256(data).hexdigest())

    def write(self, key: str, data: bytes, *, replacing: str | None) -> None:
        path = self._root / key
        with _store_errors(path):
            make_private(path.parent, root=self._root, disk=self._disk)
            with FileLock(path.with_name(".lock"), timeout=_TURN, mode=FILE):
                found = self.read(key)
                if (None if found is None else found.etag) != replacing:
                    raise JournalConflict(f"somebody else has written {path}")
                self._disk.write(path, data)

    def names(self, folder: str) -> Sequence[str]:
        path = self._root / folder
        with _store_errors(path):
            found = path.iterdir() if path.is_dir() else ()
            return sorted(each.name for each in found if each.is_file() and not each.name.startswith("."))


def _has_journal(folder: Path) -> bool:
    """Whether an experiment is in it, or may be: one that somebody else keeps to himself is there, too."""
    try:
        (folder / "journal.jsonl").lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _open_file(path: str, flags: int) -> int:
    """Open a file that is one: a pipe in its place would be waited for without end."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is a pipe", path)
    return descriptor


def _is_held(path: Path) -> bool:
    """Whether somebody has that lock; told also where this process may write nothing."""
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return True
    except OSError:
        return _is_locked(path)
    lock.release()
    return False


def _is_locked(path: Path) -> bool:
    """Whether a file that can only be read is locked; only POSIX can tell."""
    try:
        import fcntl  # noqa: PLC0415 - there is none on Windows
    except ImportError:
        return False
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def _store_errors(path: Path, *, doing: str = "written") -> Iterator[None]:
    try:
        yield
    except Timeout as error:
        raise StoreError(
            f"{path}: another process has kept its lock for {_TURN:g} s; "
            "find out what it waits for, and try again"
        ) from error
    except OSError as error:
        raise StoreError(trouble(error, path, doing=doing)) from error


def this_process() -> dict[str, object]:
    """Who we are, for whoever finds the experiment held: pid, host and user."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):
        user = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
    return {"pid": os.getpid(), "host": socket.gethostname(), "user": user}
