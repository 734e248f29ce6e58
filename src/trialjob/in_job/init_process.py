"""The first process of a container: it passes signals on to its child, and reaps orphans.

Rule: standard library only, Python 3.8.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator

from trialjob.in_job.whole_lines import CUT

#: Seconds for the last processes of a script whose first one has ended.
_LAST_WORDS = 30.0


def signal_group(child: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to the script and what it started; nothing happens when it has ended."""
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, number)


def was_killed(status: int) -> bool:
    """Whether a signal ended a script, as Popen, a shell or a container says it."""
    return status < 0 or status > 128  # noqa: PLR2004 - a shell's own of these says the same


def mark_cut() -> None:
    """Say in the log that what stands before may be broken off."""
    with contextlib.suppress(OSError):
        os.write(1, f"{CUT}\n".encode("ascii"))


class Attendant:
    """Waits for one child after the other, and passes SIGTERM and SIGINT on to the present one at once."""

    def __init__(self, asked: list[int] | None = None) -> None:
        """``asked`` are signals that came before there was anything to pass them on to."""
        self.asked: list[int] = [] if asked is None else asked
        self._child: subprocess.Popen[bytes] | None = None
        self._passed_on = 0

    def listen(self) -> None:
        """Take the signals from here on."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hear)

    def _hear(self, number: int, _frame: object) -> None:
        self.asked.append(number)
        self._pass_on()

    def _pass_on(self) -> None:
        while self._child is not None and self._passed_on < len(self.asked):
            self._passed_on += 1
            signal_group(self._child, self.asked[self._passed_on - 1])

    def to(self, child: subprocess.Popen[bytes]) -> None:
        """Turn to a child, which is told what came while it was being started."""
        self._child = child
        self._pass_on()

    def until_end(self) -> int:
        """The child's status, as Popen has it. What else ends here meanwhile was orphaned, and is buried."""
        child = self._child
        if child is None:
            return 0
        with _signals_told() as signals:
            while hasattr(os, "waitid") and child.returncode is None:
                # Looked at before it is taken away: until then its group's number cannot be another's.
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT | os.WNOHANG)
                if found is None:
                    select.select([signals], [], [])
                    os.read(signals, 4096)
                elif found.si_pid == child.pid:
                    if not self.asked:
                        signal_group(child, signal.SIGKILL)  # what it left would end with the container
                    break
                else:
                    os.waitpid(found.si_pid, 0)
        self._child = None
        status = child.wait()
        if self.asked:
            _let_finish(child.pid)
        return status


@contextlib.contextmanager
def _signals_told() -> Iterator[int]:
    """A file that has something to read once a signal has come, also the one of a child's end.

    A wait for the child itself would miss a signal that comes just before it, or that another thread takes:
    Python hears it when the wait is over, and the script would never be told to save.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    other = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    before = signal.signal(signal.SIGCHLD, lambda *_: None)
    try:
        yield reading
    finally:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL if before is None else before)
        signal.set_wakeup_fd(other)
        os.close(reading)
        os.close(writing)


def _let_finish(group: int) -> None:
    """Give what a shell had started, and was told to end with it, some time to save; then kill it."""
    latest = time.monotonic() + _LAST_WORDS
    while time.monotonic() < latest:
        try:
            # Orphans are the first process's own; as long as one lives, the group's number is not another's.
            if os.waitpid(-group, os.WNOHANG)[0] == 0:
                time.sleep(0.02)  # noqa: TID251 - in a container there is no Clock
        except ChildProcessError:
            return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
