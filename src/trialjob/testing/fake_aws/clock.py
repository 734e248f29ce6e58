"""The fake's own time: virtual, or real time sped up.

Rule: everything the fake does is dated by one of these; nothing else here reads the machine's clock.
"""

from __future__ import annotations

import threading
import time

#: Where virtual time begins: 2026-01-01T00:00:00Z.
NEW_YEAR_2026 = 1767225600.0


class VirtualClock:
    """Time that stands still until a caller sleeps."""

    def __init__(self, start: float = NEW_YEAR_2026) -> None:
        self._now = start

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += max(0.0, seconds)


class ScaledClock:
    """Real time from now on, ``scale`` times as fast.

    It starts at the machine's own time, so that a program with the real clock can talk to the fake.
    """

    def __init__(self, scale: float = 1.0) -> None:
        if scale <= 0:
            raise ValueError(f"the time scale must be above 0, not {scale}")
        self.scale = scale
        self._origin = time.time()  # noqa: TID251 - the fake is the world that clocks are read from
        self._mark = time.monotonic()
        self._never = threading.Event()

    def now(self) -> float:
        return self._origin + (time.monotonic() - self._mark) * self.scale

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            self._never.wait(seconds / self.scale)
