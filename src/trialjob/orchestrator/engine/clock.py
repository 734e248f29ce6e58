"""The system's clock; the one place where real time is read."""

from __future__ import annotations

import threading
import time


class SystemClock:
    """Wall-clock time, with a sleep that another thread or a signal handler can cut short."""

    def __init__(self) -> None:
        self._woken = threading.Event()

    def now(self) -> float:
        return time.time()  # noqa: TID251 - this is the Clock

    def sleep(self, seconds: float) -> None:
        self._woken.wait(seconds)
        self._woken.clear()

    def wake(self) -> None:
        """End a sleep, or the next one."""
        self._woken.set()
