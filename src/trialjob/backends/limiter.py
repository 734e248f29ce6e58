"""How often each operation may be called: a token bucket apiece.

Rule: it never waits. A caller without a token does something else and asks again in a later step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trialjob.orchestrator.ports import Clock

#: So much less than a whole token will do, or rounding would refuse a call that is made exactly in time.
_HAIR: Final = 1e-6


class Limiter:
    """A bucket for each operation with a rate; an operation without one is never refused."""

    def __init__(self, clock: Clock, rates: Mapping[str, float]) -> None:
        self._clock = clock
        self._rates = dict(rates)
        #: Tokens, and when they were counted.
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, operation: str) -> bool:
        """Take a token, if there is one."""
        rate = self._rates.get(operation)
        if rate is None:
            return True
        now = self._clock.now()
        tokens = self._tokens(operation, rate, now)
        granted = tokens >= 1.0 - _HAIR
        self._buckets[operation] = (tokens - 1.0 if granted else tokens, now)
        return granted

    def drain(self, operation: str) -> None:
        """Take all tokens: the service itself said that it was too often."""
        if operation in self._rates:
            self._buckets[operation] = (0.0, self._clock.now())

    def wait(self, operation: str) -> float:
        """Seconds until there will be a token."""
        rate = self._rates.get(operation)
        if rate is None:
            return 0.0
        missing = 1.0 - self._tokens(operation, rate, self._clock.now())
        return missing / rate if missing > _HAIR else 0.0

    def _tokens(self, operation: str, rate: float, now: float) -> float:
        size = max(1.0, rate)
        tokens, counted = self._buckets.get(operation, (size, now))
        if now < counted:  # a clock that was set back makes no tokens, and takes none
            self._buckets[operation] = tokens, now
            return tokens
        return min(size, tokens + (now - counted) * rate)
