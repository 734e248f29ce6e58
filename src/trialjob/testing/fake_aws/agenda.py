"""What is to happen later, in the order of its time.

Rule: an action runs at its own time, however late ``run`` is called: ``now`` is the action's time while it
runs, and the clock's otherwise. So the history is the same whether the clock is looked at often or rarely.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

from trialjob.orchestrator.ports import Clock


class Agenda:
    """A list of actions by time. It has no lock of its own: its owner holds one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._at: float | None = None

    @property
    def now(self) -> float:
        return self._clock.now() if self._at is None else self._at

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Have ``action`` run ``seconds`` from now."""
        heapq.heappush(self._heap, (self.now + max(0.0, seconds), next(self._order), action))

    def run(self) -> None:
        """Do all that is due."""
        if self._at is not None:
            return
        try:
            while self._heap and self._heap[0][0] <= self._clock.now():
                self._at, _, action = heapq.heappop(self._heap)
                action()
        finally:
            self._at = None
