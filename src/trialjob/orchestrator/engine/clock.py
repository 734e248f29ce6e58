"""The system's clock; the one place where real time is read."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class SystemClock:
    """Wall-clock time, with a sleep that another thread or a signal handler can cut short."""

    def __init__(self, ahead: Callable[[], float] = lambda: 0.0) -> None:
        """``ahead`` says how many seconds a clock that is to be followed is ahead of this machine's."""
        self._ahead = ahead
        self._woken = threading.Event()

    def now(self) -> float:
        return time.time() + self._ahead()  # noqa: TID251 - this is the Clock

    def sleep(self, seconds: float) -> None:
        self._woken.wait(seconds)
        self._woken.clear()

    def wake(self) -> None:
        """End a sleep, or the next one."""
        self._woken.set()
