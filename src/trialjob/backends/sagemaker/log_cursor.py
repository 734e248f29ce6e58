"""Which events of a job's log have been delivered: the mark behind a line, as text.

Lines come late and out of order, so no single position in a log tells what was read. Events become visible
about in the order of their ingestion; so a mark says up to which ingestion time everything has been
delivered, and names the newer ones. Events that were ingested long after they were printed may lie where
reading was over when they came, so those are always named. A mark stays small however long the log is.
Pure.
"""

from __future__ import annotations

import base64
import bisect
import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

#: An event may become visible so many milliseconds later than another of a later ingestion time.
WINDOW: Final = 30_000
#: So many events are named at most, which keeps a mark below some kilobytes.
NAMED: Final = 100
#: An event is late when its ingestion took longer. Reads must go back further than this by some seconds.
LATE: Final = 20_000

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


@dataclass(frozen=True, slots=True)
class Known:
    """A set of events: all that were ingested up to a time, and some others by name."""

    upto: int = -1
    #: Of those after ``upto``; sorted.
    named: tuple[Entry, ...] = ()
    #: Names of late ones, of whatever time, in the order they were added.
    late: tuple[int, ...] = ()

    def has(self, event: LogEvent) -> bool:
        entry = event.entry
        if event.is_late:
            return entry[1] in self.late
        if event.ingested <= self.upto:
            return True
        place = bisect.bisect_left(self.named, entry)
        return place < len(self.named) and self.named[place] == entry

    def with_(self, events: Iterable[LogEvent], *, but: Iterable[LogEvent] = ()) -> Known:
        """This set and ``events``; those in ``but``, which are in neither, stay out of it."""
        events = list(events)
        late = dict.fromkeys([*self.late, *(event.entry[1] for event in events if event.is_late)])
        named = sorted({*self.named, *(event.entry for event in events if not event.is_late)})
        upto = self.upto
        if named:
            # Too many names: give up the oldest, as if they had the whole window behind them.
            bound = max(named[-1][0] - WINDOW, named[-NAMED - 1][0] if len(named) > NAMED else -1)
            upto = max(upto, min([bound, *(event.ingested - 1 for event in but)]))
        return Known(upto, tuple(named[bisect.bisect_right(named, (upto, 1 << 32)) :]), tuple(late)[-NAMED:])

    def encode(self) -> str:
        rows = b"".join(_ROW.pack(min(at - self.upto, 0xFFFFFFFF), name) for at, name in self.named)
        late = b"".join(_NAME.pack(name) for name in self.late)
        return f"{self.upto}.{_text(rows)}.{_text(late)}"

    @classmethod
    def decode(cls, text: str) -> Self:
        upto, rows, late = text.split(".")
        named = _ROW.iter_unpack(base64.urlsafe_b64decode(rows))
        names = _NAME.iter_unpack(base64.urlsafe_b64decode(late))
        return cls(
            int(upto),
            tuple((int(upto) + more, name) for more, name in named),
            tuple(name for (name,) in names),
        )


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


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
