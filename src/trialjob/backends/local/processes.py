"""Finds and ends processes; the one file that knows psutil, imported only when there is something to end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from trialjob.backends.local.folder import MARK

#: A killed process may take so long to go; one that hangs in the kernel is given up.
PATIENCE = 5.0


def kill_descendants() -> None:
    """Kill every descendant of this process, until there is none."""
    me = psutil.Process()
    _kill(lambda: iter(me.children(recursive=True)))


def kill_marked(folder: Path) -> None:
    """Kill every process of a job whose supervisor is dead, until there is none."""
    _kill(lambda: _marked(str(folder)))


def _marked(mark: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark:
                yield process
                # A descendant may have been given another environment.
                yield from process.children(recursive=True)
        except psutil.Error:
            continue


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
