"""The folder of one job: the only thing that backend and supervisor share.

::

    request.json    what is to be run
    status.json     "starting", "training", "ended"; made by the supervisor before anything else
    stop            is there when the job's end was asked for
    lock            held by the supervisor as long as it lives, and by the backend while it changes something
    log             what the script printed; locked as long as anything of the job has it open to print
    ml/             the tree that is /opt/ml in a container

Rule: a status without "ended" whose lock is free belongs to a supervisor that was killed, if it was one of
this machine; a folder without a status belongs to a job that was never started. No process id has to be
trusted to tell.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from trialjob.files import DISK, Disk
from trialjob.private_files import FILE, private_opener

if TYPE_CHECKING:  # each trial's supervisor does without
    from trialjob.orchestrator.ports import Part

with contextlib.suppress(ImportError):  # Windows, where ``platform`` refuses before a lock is asked for
    import fcntl

#: What is kept in request.json and status.json.
Facts: TypeAlias = dict[str, Any]

#: The environment variable by which a job's processes are known.
MARK = "TRIALJOB_JOB_FOLDER"


class JobFolder:
    """Reads and writes the folder of one job; every method may raise OSError."""

    def __init__(self, path: Path, *, disk: Disk = DISK) -> None:
        self.path = path
        self._disk = disk
        self.tree = path / "ml"
        self.log = path / "log"
        self.lock_file = path / "lock"

    def part(self, part: Part) -> Path:
        """Where the script puts a part of what it leaves behind."""
        return self.tree / {"model": "model", "output": "output/data"}[part.value]

    def request(self) -> Facts | None:
        return self._read("request.json")

    def write_request(self, facts: Facts, *, named: bool = True) -> None:
        """Without ``named`` its name is durable when that of the next status is."""
        self._write("request.json", facts, named=named)

    def status(self) -> Facts | None:
        return self._read("status.json")

    def write_status(self, facts: Facts, *, named: bool = True) -> None:
        """Without ``named`` a power failure may bring back the one before it."""
        self._write("status.json", facts, named=named)

    def ask_stop(self) -> None:
        (self.path / "stop").touch(mode=FILE)

    def stop_asked(self) -> bool:
        return (self.path / "stop").exists()

    def lock(self) -> int | None:
        """A descriptor that holds the lock until every process that has it closes it; None when taken."""
        descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                return None
            raise
        return descriptor

    def is_gone(self) -> bool:
        """Whether it was removed."""
        return not self.lock_file.exists()

    def is_removed(self) -> bool:
        """Whether there is no folder for certain: one that cannot be looked at now may be there."""
        try:
            return not stat.S_ISDIR(self.path.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False

    def keep_log(self, descriptor: int) -> None:
        """Lock the log for the process with this descriptor, and those that inherit it."""
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def is_printed_to(self) -> bool:
        """Whether something of the job lives and may print, wherever it is."""
        try:
            descriptor = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def _read(self, name: str) -> Facts | None:
        path = self.path / name
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise OSError(None, f"it is damaged ({error})", str(path)) from error
        if not isinstance(facts, dict):
            raise OSError(None, "it is damaged (no JSON object)", str(path))
        return facts

    def _write(self, name: str, facts: Facts, *, named: bool = True) -> None:
        """Replace the file as a whole: a reader sees the old content or the new, which is durable."""
        path = self.path / name
        fresh = self.path / f".{name}.{os.getpid()}"
        try:
            with open(fresh, "w", encoding="utf-8", opener=private_opener) as file:
                json.dump(facts, file, ensure_ascii=True)
                self._disk.replace(file, path, named=named)
        except OSError:
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise


def files_below(root: Path) -> list[str]:
    """The regular files of a tree by their paths, sorted; links that lead out of the tree are left out."""
    found: list[str] = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            # Where it really is, which is nowhere for a link that leads to itself.
            real = Path(os.path.realpath(path))
            if real.is_relative_to(os.path.realpath(root)) and real.is_file():
                found.append(path.relative_to(root).as_posix())
    return sorted(found)
