"""How long something is waited for, by a clock that may be set back meanwhile.

Rule: what is waited for since a moment that is still to come is waited for since now. So a clock that is set
back in between at most doubles a wait.
"""

from __future__ import annotations

from trialjob.orchestrator.ports import Clock


class Deadline:
    """Begins with its making, and is over after so many seconds."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock, self._seconds = clock, seconds
        self._since = clock.now()

    def left(self) -> float:
        """Seconds; 0 or less when it is over."""
        now = self._clock.now()
        self._since = min(self._since, now)
        return self._since + self._seconds - now

    @property
    def is_over(self) -> bool:
        return self.left() <= 0.0
