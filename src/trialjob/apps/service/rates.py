"""How often a caller may ask: so many at once, and then so many a second."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

#: Requests of one token, and tries without a good one from one address.
_BURST, _RATE = 200.0, 50.0
_WRONG_BURST, _WRONG_RATE = 20.0, 0.5
#: So many are remembered, those who asked last.
_KEPT: Final = 10_000


class Rates:
    """A bucket for each caller. Safe to be used by several threads."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def waits(self, who: str) -> float:
        """Count a request; the seconds until it is welcome, 0 for now."""
        burst, rate = (_WRONG_BURST, _WRONG_RATE) if who.startswith(("wrong ", "noted")) else (_BURST, _RATE)
        with self._lock:
            now = self._now()
            left, then = self._buckets.get(who, (burst, now))
            left = min(burst, left + (now - then) * rate)
            if left < 1.0:
                return max(1.0, (1.0 - left) / rate)
            self._buckets[who] = left - 1.0, now
            self._buckets.move_to_end(who)
            while len(self._buckets) > _KEPT:
                self._buckets.popitem(last=False)
            return 0.0
