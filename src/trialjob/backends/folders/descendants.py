"""Ends everything that a process has started, however it hides."""

from __future__ import annotations

import sys
from collections.abc import Container
from pathlib import Path

#: The prctl that makes orphaned descendants our children (linux/prctl.h).
_PR_SET_CHILD_SUBREAPER = 36


def end_descendants(folder: Path, *, spared: Container[int] = ()) -> None:
    """Kill everything that has been started by this process or what it started.

    ``spared`` are children of it that stay, with all that they have started.
    """
    # Imported when it is needed, because most scripts end by themselves.
    from trialjob.backends.folders import processes  # noqa: PLC0415

    if is_subreaper():
        processes.kill_descendants(spared)
    else:
        processes.kill_marked(folder)


def is_subreaper() -> bool:
    return sys.platform == "linux"


def become_subreaper() -> None:
    if is_subreaper():
        import ctypes  # noqa: PLC0415 - only where it is needed

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
