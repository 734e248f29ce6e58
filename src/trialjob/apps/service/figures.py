"""The report's figures of an experiment that runs, for all who look at it.

Rule: a figure is made at most a tenth of the time, by one at a time. One that took long is shown for so
much longer, and a caller meanwhile learns when there will be another. So ten thousand trials and a hundred
readers cost no more than a report now and then.
"""

from __future__ import annotations

import gzip
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Final

from trialjob.model.space import Space
from trialjob.orchestrator.core.state import State
from trialjob.reporting.html.context import material
from trialjob.reporting.html.data import shown_json
from trialjob.reporting.html.sections import section

#: A figure is good for so many times as long as it took to make, and so many seconds at least and at most.
_RESTS, _SHORTEST, _LONGEST = 10.0, 1.0, 60.0
#: So many are kept, those asked for last; with 10,000 trials one has some hundred KB.
_KEPT: Final = 64
#: Bytes grow by a hundredth from this level of compression on, and time doubles.
_LEVEL: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A figure as it was at a version of the journal."""

    version: int
    #: JSON, compressed by gzip.
    packed: bytes
    #: Until when it is not made anew, whatever happens.
    until: float


@dataclass(slots=True)
class _Slot:
    lock: threading.Lock = field(default_factory=threading.Lock)
    drawn: Drawn | None = None


class LiveFigures:
    """The figures of a experiments's experiments. Safe to be used by several threads."""

    def __init__(self, shown: Callable[[str], str], now: Callable[[], float] = time.monotonic) -> None:
        """``shown`` makes of a text what the caller may read."""
        self._shown, self._now = shown, now
        self._slots: OrderedDict[tuple[str, float, str], _Slot] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, figure: str, state: State, space: Callable[[], Space]) -> tuple[Drawn, float | None]:
        """A figure, and in how many seconds there can be a newer one; None when this is the newest."""
        slot = self._slot((state.name, state.created_at, figure))
        drawn = slot.drawn
        if drawn is not None and (drawn.version >= state.version or self._now() < drawn.until):
            return drawn, self._waits(drawn, state)
        if not slot.lock.acquire(blocking=drawn is None):  # another thread makes it
            return drawn or self._made(figure, state, space()), _SHORTEST
        try:
            drawn = slot.drawn
            if drawn is None or (drawn.version < state.version and self._now() >= drawn.until):
                drawn = slot.drawn = self._made(figure, state, space())
            return drawn, self._waits(drawn, state)
        finally:
            slot.lock.release()

    def _waits(self, drawn: Drawn, state: State) -> float | None:
        return None if drawn.version >= state.version else max(_SHORTEST, drawn.until - self._now())

    def _slot(self, key: tuple[str, float, str]) -> _Slot:
        with self._lock:
            slot = self._slots.setdefault(key, _Slot())
            self._slots.move_to_end(key)
            while len(self._slots) > _KEPT:
                self._slots.popitem(last=False)
        return slot

    def _made(self, figure: str, state: State, space: Space) -> Drawn:
        began = self._now()
        made = section(material(state, space, live=True), figure)
        document = {**asdict(made), "title": made.title, "version": state.version}
        packed = gzip.compress(self._shown(shown_json(document)).encode(), _LEVEL, mtime=0)
        ended = self._now()
        until = ended + min(_LONGEST, max(_SHORTEST, _RESTS * (ended - began)))
        return Drawn(version=state.version, packed=packed, until=until)
