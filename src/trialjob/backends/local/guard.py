"""The process behind each supervisor: it ends what a supervisor that is killed leaves behind.

Rule: it is an ancestor of everything that the script starts, however that hides, and it has the job's lock
and the claims to GPUs until all of that is gone. So neither is free while anything of the job still runs.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from trialjob.backends.folders.descendants import become_subreaper, end_descendants

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


def _rename() -> None:
    """Have another command line than the supervisor, so that what is aimed at that one spares this one."""
    with contextlib.suppress(OSError, ValueError):
        import ctypes  # noqa: PLC0415 - as above

        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        begin, end = map(int, fields[_ARGUMENTS])
        if 0 < begin < end - len(_NAME):
            ctypes.memset(begin, 0, end - begin)
            ctypes.memmove(begin, _NAME, len(_NAME))
