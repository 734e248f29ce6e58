"""The process behind each supervisor: it ends what a supervisor that is killed leaves behind.

Rule: it is an ancestor of everything that the script starts, however that hides, and it has the job's lock
and the claims to GPUs until all of that is gone. So neither is free while anything of the job still runs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

#: The prctl that makes orphaned descendants our children (linux/prctl.h).
_PR_SET_CHILD_SUBREAPER = 36
_NAME = b"trialjob-guard"
_ARGUMENTS = slice(45, 47)


def leave_guard(folder: Path, answer: int) -> None:
    """Return in a child of this process, which stays as its guard and has no business with ``answer``."""
    become_subreaper()
    child = os.fork()
    if not child:
        become_subreaper()
        return
    os.close(answer)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _rename()
    _, status = os.waitpid(child, 0)
    if status:
        end_descendants(folder)
    os._exit(0)


def end_descendants(folder: Path) -> None:
    """Kill everything that has been started by this process or what it started."""
    # Imported when it is needed, because most scripts end by themselves.
    from trialjob.backends.local import processes  # noqa: PLC0415

    if is_subreaper():
        processes.kill_descendants()
    else:
        processes.kill_marked(folder)


def is_subreaper() -> bool:
    return sys.platform == "linux"


def become_subreaper() -> None:
    if is_subreaper():
        import ctypes  # noqa: PLC0415 - only where it is needed

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _rename() -> None:
    """Have another command line than the supervisor, so that what is aimed at that one spares this one."""
    with contextlib.suppress(OSError, ValueError):
        import ctypes  # noqa: PLC0415 - as above

        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        begin, end = map(int, fields[_ARGUMENTS])
        if 0 < begin < end - len(_NAME):
            ctypes.memset(begin, 0, end - begin)
            ctypes.memmove(begin, _NAME, len(_NAME))
