"""Finds and ends processes; the one file that knows psutil, imported only when there is something to end.

Rule: a process is the job's if it was started by its supervisor and so has its mark, if it can print to the
job's log, or if another such process has started it. A script may drop one of these, and hardly all.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from trialjob.backends.folders.job_folder import MARK
from trialjob.backends.folders.machine import has_open, pid_namespace, start_of

#: A killed process may take so long to go; one that hangs in the kernel is given up.
PATIENCE = 5.0


def kill_descendants(spared: Container[int] = ()) -> None:
    """Kill every descendant of this process, until there is none but ``spared`` children and theirs."""
    me = psutil.Process()

    def found() -> Iterator[psutil.Process]:
        for child in me.children():
            if child.pid not in spared:
                yield child
                with suppress(psutil.Error):
                    yield from child.children(recursive=True)

    _kill(found)


def kill_marked(folder: Path, *, log: Path | None = None, script: Sequence[int | None] = ()) -> None:
    """Kill every process of a job whose supervisor is dead, until there is none.

    ``script`` is the number and the start of its first process, if they are known and of this namespace.
    """
    mark, namespace = str(folder), pid_namespace()

    def is_ours(process: psutil.Process) -> bool:
        pid = process.pid
        if script and None not in script and [pid, start_of(pid)] == [*script]:
            return True
        if _has_mark(process, mark) and pid_namespace(pid) == namespace:
            return True
        return log is not None and has_open(pid, log, to_write=True)

    _kill(lambda: _with_descendants(is_ours))


def _with_descendants(is_ours: Callable[[psutil.Process], bool]) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        if process.pid != os.getpid() and is_ours(process):
            yield process
            # A descendant may have been given another environment.
            with suppress(psutil.Error):
                yield from process.children(recursive=True)


def _has_mark(process: psutil.Process, mark: str) -> bool:
    try:
        return bool(process.environ().get(MARK) == mark)
    except psutil.Error:
        return False


def _kill(find: Callable[[], Iterator[psutil.Process]]) -> None:
    """Kill what ``find`` finds, again and again, because a process may start another before it dies."""
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up:
        alive = [process for process in find() if _lives(process)]
        if not alive:
            return
        for process in alive:
            try:
                process.kill()
            except psutil.Error:
                continue
        # Not psutil's waiting, which would take the script's exit status away from its supervisor.
        time.sleep(0.005)  # noqa: TID251 - waits for the kernel, not for a time


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
