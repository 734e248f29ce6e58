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

_ARGUMENTS = slice(45, 47)
#: Bytes of a command line for the name of a process and of a job.
NAME_LENGTH = 128


def leave_guard(folder: Path, answer: int) -> None:
    """Return in a child of this process, which stays as its guard and has no business with ``answer``."""
    become_subreaper()
    child = os.fork()
    if not child:
        become_subreaper()
        return
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    rename("trialjob-guard")
    os.close(answer)  # a process that waits for the answer waits for all this, too
    _, status = os.waitpid(child, 0)
    if status:
        end_descendants(folder)
    os._exit(0)


def rename(*words: str) -> None:
    """Be known by these words in a list of processes, so that what is aimed at another spares this one."""
    with contextlib.suppress(OSError, ValueError):
        import ctypes  # noqa: PLC0415 - as above

        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        begin, end = map(int, fields[_ARGUMENTS])
        line = b"\0".join(map(os.fsencode, words))
        if 0 < begin < end - len(line):
            ctypes.memset(begin, 0, end - begin)
            ctypes.memmove(begin, line, len(line))
