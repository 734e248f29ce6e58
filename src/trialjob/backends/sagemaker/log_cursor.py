"""Which events of a job's log have been delivered: the mark behind a line, as text.

Lines come late and out of order, so no single position in a log tells what was read. Events become visible
about in the order of their ingestion; so a mark says up to which ingestion time everything has been
delivered, and names the newer ones. Events that were ingested long after they were printed may lie where
reading was over when they came, so those are named; where they are too many, as after an outage, the oldest
are known by their times and by how late they came. A mark stays small however long the log is. Pure.
"""

from __future__ import annotations

import base64
import bisect
import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple, Self

#: An event may become visible so many milliseconds later than another of a later ingestion time.
WINDOW: Final = 30_000
#: So many events are named at most, which keeps a mark below some kilobytes.
NAMED: Final = 100
#: An event is late when its ingestion took longer. Reads must go back further than this by some seconds.
LATE: Final = 20_000
#: So many stretches of time with too many late events are told apart.
FLOODS: Final = 16

_FLOOD: Final = struct.Struct(">qqqq")
_ROW: Final = struct.Struct(">IL")
_NAME: Final = struct.Struct(">L")
#: Ingestion time and shortened id of one event.
Entry = tuple[int, int]


@dataclass(frozen=True, slots=True, order=True)
class LogEvent:
    """One event of FilterLogEvents; times in milliseconds. Ordered as a log is read."""

    stream: str
    timestamp: int
    ingested: int
    id: str
    message: str

    @property
    def key(self) -> tuple[str, int, int, str]:
        return (self.stream, self.timestamp, self.ingested, self.id)

    @property
    def entry(self) -> Entry:
        return (self.ingested, int.from_bytes(hashlib.blake2b(self.id.encode(), digest_size=4).digest()))

    @property
    def is_late(self) -> bool:
        return self.ingested - self.timestamp > LATE


class Flood(NamedTuple):
    """Late events that are too many to be named: all of a stretch of time that came so late at most."""

    first: int
    last: int
    #: The longest that one took, and when the newest was ingested.
    lag: int
    ingested: int

    @classmethod
    def of(cls, event: LogEvent) -> Self:
        return cls(event.timestamp, event.timestamp, event.ingested - event.timestamp, event.ingested)

    def has(self, event: LogEvent) -> bool:
        is_then = self.first <= event.timestamp <= self.last
        return is_then and event.ingested <= min(self.ingested, event.timestamp + self.lag)

    def and_(self, other: Self) -> Flood:
        """Both, and what lies between them."""
        return Flood(min(self.first, other.first), *map(max, self[1:], other[1:]))


@dataclass(frozen=True, slots=True)
class Known:
    """A set of events: all that were ingested up to a time, and some others by name."""

    upto: int = -1
    #: Of those after ``upto``; sorted.
    named: tuple[Entry, ...] = ()
    #: Names of late ones, of whatever time, in the order they were added.
    late: tuple[int, ...] = ()
    #: Of more late ones than are named; in the order of their times.
    floods: tuple[Flood, ...] = ()

    def has(self, event: LogEvent) -> bool:
        entry = event.entry
        if event.is_late:
            return entry[1] in self.late or any(flood.has(event) for flood in self.floods)
        if event.ingested <= self.upto:
            return True
        place = bisect.bisect_left(self.named, entry)
        return place < len(self.named) and self.named[place] == entry

    def with_(self, events: Iterable[LogEvent], *, but: Iterable[LogEvent] = ()) -> Known:
        """This set and ``events``; those in ``but``, which are in neither, stay out of it."""
        events, but = list(events), list(but)
        late, floods = self._with_late(
            [event for event in events if event.is_late], [event for event in but if event.is_late]
        )
        named = sorted({*self.named, *(event.entry for event in events if not event.is_late)})
        upto = self.upto
        if named:
            # Too many names: give up the oldest, as if they had the whole window behind them.
            bound = max(named[-1][0] - WINDOW, named[-NAMED - 1][0] if len(named) > NAMED else -1)
            upto = max(upto, min([bound, *(event.ingested - 1 for event in but)]))
        return Known(upto, tuple(named[bisect.bisect_right(named, (upto, 1 << 32)) :]), late, floods)

    def _with_late(
        self, events: list[LogEvent], but: list[LogEvent]
    ) -> tuple[tuple[int, ...], tuple[Flood, ...]]:
        """The names of late events, and the floods, with these; the newest are named if there is room."""
        fresh = [event for event in events if not self.has(event)]
        beside = [event for event in fresh if _has_any(Flood.of(event), but)]
        others = sorted({*fresh} - {*beside}, key=lambda event: (event.ingested, event))
        count = min(len(others), max(0, len(self.late) + len(fresh) - NAMED))
        floods = list(self.floods)
        for event in sorted(others[:count]):
            floods = _few(sorted([*floods, Flood.of(event)]), but)
        names = (event.entry[1] for event in [*others[count:], *beside])
        return tuple(dict.fromkeys([*self.late, *names]))[-NAMED:], tuple(floods)

    def encode(self) -> str:
        rows = b"".join(_ROW.pack(min(at - self.upto, 0xFFFFFFFF), name) for at, name in self.named)
        late = b"".join(_NAME.pack(name) for name in self.late)
        floods = b"".join(_FLOOD.pack(*flood) for flood in self.floods)
        return f"{self.upto}.{_text(rows)}.{_text(late)}{f'.{_text(floods)}' if floods else ''}"

    @classmethod
    def decode(cls, text: str) -> Self:
        upto, rows, late, *floods = text.split(".")
        named = _ROW.iter_unpack(_data(rows))
        names = _NAME.iter_unpack(_data(late))
        return cls(
            int(upto),
            tuple((int(upto) + more, name) for more, name in named),
            tuple(name for (name,) in names),
            tuple(Flood(*row) for part in floods for row in _FLOOD.iter_unpack(_data(part))),
        )


def _has_any(flood: Flood, events: Iterable[LogEvent]) -> bool:
    return any(flood.has(event) for event in events)


def _few(floods: list[Flood], but: list[LogEvent]) -> list[Flood]:
    """``floods`` with two that are near each other made one, if they are too many and ``but`` allows it."""
    if len(floods) <= FLOODS:
        return floods
    joined = [
        (after.first - before.last, place)
        for place, (before, after) in enumerate(pairwise(floods))
        if not _has_any(before.and_(after), but)
    ]
    if not joined:
        return floods[1:]
    _, place = min(joined)
    return [*floods[:place], floods[place].and_(floods[place + 1]), *floods[place + 2 :]]


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


def _data(text: str) -> bytes:
    return base64.urlsafe_b64decode(text)


@dataclass(frozen=True, slots=True)
class Mark:
    """What had been delivered when a line was: all of ``before``, and of ``batch`` what is not behind it."""

    before: Known = Known()
    batch: Known = Known()
    #: Stream, time, ingestion time and id of the line's last event.
    last: tuple[str, int, int, str] = ("", 0, 0, "")
    #: Of the text that begins with the event ``last`` only so many lines; 0 for all.
    lines: int = 0

    def has(self, event: LogEvent) -> bool:
        reached = event.key < self.last if self.lines else event.key <= self.last
        return self.before.has(event) or (reached and self.batch.has(event))

    def encode(self) -> str:
        return f"{self.head(self.before, self.batch)}{self.tail(self.last, self.lines)}"

    @staticmethod
    def head(before: Known, batch: Known) -> str:
        """What the marks of one batch have in common."""
        return f"1;{before.encode()};{'' if batch == before else batch.encode()};"

    @staticmethod
    def tail(last: tuple[str, int, int, str], lines: int = 0) -> str:
        stream, timestamp, ingested, name = last
        return f"{timestamp}{f'+{lines}' if lines else ''};{ingested};{name};{stream}"

    @classmethod
    def decode(cls, text: str) -> Self:
        """Raises ValueError for a text that is no mark."""
        version, before, batch, timestamp, ingested, name, stream = text.split(";", 6)
        if version != "1":
            raise ValueError(f"a log mark of version {version}")
        known = Known.decode(before)
        printed, _, lines = timestamp.partition("+")
        last = (stream, int(printed), int(ingested), name)
        return cls(known, Known.decode(batch) if batch else known, last, int(lines or 0))
