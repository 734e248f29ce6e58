"""Virtual time: it passes when a caller sleeps and at no other moment."""

from __future__ import annotations


class VirtualClock:
    """Begins at ``start`` seconds since the epoch."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._now = start

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds
