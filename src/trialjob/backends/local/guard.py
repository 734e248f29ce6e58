"""The process behind all supervisors of a backend: it ends what one that is killed leaves behind.

Rule: it is an ancestor of everything that the scripts start, however that hides, and it has each job's lock
and claims to GPUs until all of that job is gone. So neither is free while anything of the job still runs.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from trialjob.backends.folders.descendants import become_subreaper, end_descendants

_ARGUMENTS = slice(45, 47)
#: Bytes of a command line for the name of a process and of a job.
NAME_LENGTH = 128
#: Sent to the other end of the line when a job has ended.
_ENDED = b"."
_IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Guard:
    """Waits for supervisors, which are children of this process."""

    def __init__(self) -> None:
        become_subreaper()
        for number in _IGNORED:
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        #: By supervisor: the job's folder, its lock and its claims.
        self._jobs: dict[int, tuple[Path, Sequence[int]]] = {}

    def keep(self, supervisor: int, folder: Path, descriptors: Sequence[int]) -> None:
        """Have a job's lock and claims until nothing of it is left."""
        self._jobs[supervisor] = folder, descriptors

    def leave(self) -> None:
        """In a new supervisor: have nothing of other jobs, and hear signals as any process does."""
        signal.set_wakeup_fd(-1)
        for number in (*_IGNORED, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        for descriptor in chain((self._woken, self._wake), *(held for _, held in self._jobs.values())):
            os.close(descriptor)
        become_subreaper()

    def wait(self, line: socket.socket) -> None:
        """Return when there is something to read, and say meanwhile when a job has ended."""
        asked, ready = line.fileno(), list[int]()
        while asked not in ready:
            ready, _, _ = select.select([asked, self._woken], [], [])
            if self._woken in ready:
                os.read(self._woken, 4096)
                if self._bury():
                    with contextlib.suppress(OSError):  # no process reads it
                        line.send(_ENDED, socket.MSG_DONTWAIT)

    def finish(self) -> None:
        """Return when the last job has ended."""
        rename("trialjob-guard")
        while self._jobs:
            self._let_go(*os.waitpid(-1, 0))

    def _bury(self) -> bool:
        """Reap what has ended; whether a job has."""
        before = len(self._jobs)
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                self._let_go(*ended)
        return len(self._jobs) < before

    def _let_go(self, process: int, status: int) -> None:
        """If it was a supervisor, give back what its job had, once nothing is left of that."""
        if process not in self._jobs:
            return
        folder, descriptors = self._jobs.pop(process)
        if status:
            end_descendants(folder, spared=self._jobs)
        for descriptor in descriptors:
            os.close(descriptor)


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
