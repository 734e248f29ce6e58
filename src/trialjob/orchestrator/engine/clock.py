"""The system's clock; the one place where real time is read."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from contextlib import suppress


class SystemClock:
    """Wall-clock time, with a sleep that another thread or a signal handler can cut short."""

    def __init__(self, ahead: Callable[[], float] = lambda: 0.0) -> None:
        """``ahead`` says how many seconds a clock that is to be followed is ahead of this machine's."""
        self._ahead = ahead
        # No Event: a handler that comes while this very thread is inside of one waits for its lock for ever.
        # A SimpleQueue's put is made for handlers.
        self._woken: queue.SimpleQueue[None] = queue.SimpleQueue()

    def now(self) -> float:
        return time.time() + self._ahead()  # noqa: TID251 - this is the Clock

    def sleep(self, seconds: float) -> None:
        with suppress(queue.Empty):
            self._woken.get(timeout=max(seconds, 0.0))
            while True:
                self._woken.get_nowait()

    def wake(self) -> None:
        """End a sleep, or the next one."""
        self._woken.put(None)
