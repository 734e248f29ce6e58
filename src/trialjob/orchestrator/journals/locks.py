"""The lock files of a store in a folder: writers take turns, and one process holds an experiment."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from trialjob.errors import StoreError
from trialjob.orchestrator.journals.os_errors import trouble
from trialjob.private_files import FILE

#: Seconds to wait for another writer, which holds the lock for one write.
_TURN = 30.0


def turn(path: Path) -> FileLock:
    """The lock of a writer's turn, to be entered within ``store_errors``."""
    return FileLock(path, timeout=_TURN, mode=FILE)


def hold(path: Path) -> FileLock | None:
    """The lock, taken until it is released; None when another process has it."""
    lock = FileLock(path, timeout=0, mode=FILE)
    try:
        lock.acquire()
    except Timeout:
        return None
    return lock


def is_held(path: Path) -> bool:
    """Whether a process has that lock; told also where this process may write nothing."""
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
def store_errors(path: Path, *, doing: str = "written") -> Iterator[None]:
    """Say every error of the system about ``path`` in words; raises StoreError."""
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
    """Who holds the experiment, for a process that finds it held: pid, host and user."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):
        user = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
    return {"pid": os.getpid(), "host": socket.gethostname(), "user": user}
