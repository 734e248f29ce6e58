"""The logs of all watched jobs: events in, each line out once, whatever happens to events and to us.

An event is what the service's log driver took for a line. What it holds is cut as everywhere
(``logs.lines``), so that each state of a progress bar is a line of its own here too.

Rule 1: pure. It is told events, in any order and any number of times, and never reads a clock.
Rule 2: a book made from marks alone goes on where the one that made them stopped: a line behind a mark is
delivered, a line before it is not, also when it only arrives now.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

from trialjob.backends.sagemaker.log_cursor import LogEvent, Mark
from trialjob.logs.lines import lines_of
from trialjob.model.ids import JobName
from trialjob.model.job import LogLine

TAIL_LINES: Final = 20
TAIL_LENGTH: Final = 4096
#: For so many minutes it is kept in mind how late lines came.
_REMEMBERED: Final = 10
#: A cut line is not put together beyond this length.
_LONGEST: Final = 65_536
#: What log drivers take at once: Docker's, the training toolkit's, and events of CloudWatch with and without
#: what is counted for each, in bytes; and how much of such a line is put together.
_FULL: Final = (16_384, 65_536, 262_118, 262_144, 1_048_550, 1_048_576)
_LONGEST_FULL: Final = 4 * 1_048_576

_MARK: Final = "[trialjob]"
_BEGUN: Final = tuple(_MARK[:length] for length in range(1, len(_MARK)))
_JSON: Final = json.JSONDecoder()
_WORDS: Final = ("true", "false", "null", "NaN", "Infinity", "-Infinity")
_NUMBER: Final = re.compile(r"-?[0-9]*\.?[0-9]*(?:[eE][+-]?[0-9]*)?")
_OTHER_HOST: Final = re.compile(r"algo-(?!1-)[0-9]+-")


def event_of(row: Mapping[str, Any]) -> tuple[JobName, LogEvent] | None:
    """A row of FilterLogEvents and its job; None for what no reports come from, such as a second instance."""
    job, _, stream = str(row.get("logStreamName", "")).partition("/")
    if _OTHER_HOST.match(stream):
        return None
    timestamp = int(row.get("timestamp", 0))
    return JobName(job), LogEvent(
        stream=stream,
        timestamp=timestamp,
        ingested=int(row.get("ingestionTime", timestamp)),
        id=str(row.get("eventId", "")),
        message=str(row.get("message", "")),
    )


@dataclass(slots=True)
class _Log:
    """One job's log."""

    mark: Mark
    #: What its owner was last given, and will come back with unless it has forgotten it.
    handed: str
    #: Where reading must begin, in milliseconds; None once it has been read with the others.
    behind: int | None
    #: The beginnings of lines whose rest has not come yet.
    held: list[LogEvent] = field(default_factory=list)
    ready: list[LogLine] = field(default_factory=list)
    has_lines: bool = False
    #: Where its lines have been.
    streams: set[str] = field(default_factory=set)


class LogBuffer:
    """What has been read of which job."""

    def __init__(self) -> None:
        self._logs: dict[JobName, _Log] = {}
        #: The newest event's time.
        self._newest: int | None = None
        #: The longest that a line took from being printed to being taken in, of those of each minute.
        self._lags: dict[int, int] = {}

    def watch(self, job: JobName, cursor: str, began: int) -> bool:
        """Follow a job from ``cursor`` on, or from its beginning, which is ``began`` milliseconds.

        Returns False when that is what was being done. Raises ValueError for a cursor that is none.
        """
        log = self._logs.get(job)
        if log is not None and log.handed == cursor:
            return False
        mark = Mark.decode(cursor) if cursor else Mark()
        behind = mark.last[1] if cursor else began
        self._logs[job] = _Log(mark=mark, handed=cursor, behind=behind, has_lines=bool(cursor))
        return True

    def keep(self, jobs: Iterable[JobName]) -> None:
        """Forget all others."""
        for job in self._logs.keys() - set(jobs):
            del self._logs[job]

    @property
    def is_begun(self) -> bool:
        """True once any line was read."""
        return self._newest is not None

    @property
    def jobs(self) -> frozenset[JobName]:
        return frozenset(self._logs)

    def since(self) -> int | None:
        """From when on to read for all to be up to date, in milliseconds; None when no job is watched."""
        starts = [log.behind for log in self._logs.values() if log.behind is not None]
        if self._newest is not None and len(starts) < len(self._logs):
            starts.append(self._newest)
        return min(starts, default=None)

    def absorb(self, rows: Iterable[Mapping[str, Any]], jobs: Iterable[JobName]) -> bool:
        """Take in all that one read brought of ``jobs``, which it began early enough for.

        Returns whether anything was new. The read must be whole: of a page cut off, the rest would be
        taken for delivered.
        """
        sorted_rows: dict[JobName, list[LogEvent]] = {job: [] for job in jobs if job in self._logs}
        for row in rows:
            found = event_of(row)
            if found is None:
                continue
            job, event = found
            self._newest = max(event.timestamp, self._newest or 0)
            self._note_lag(event)
            if job in sorted_rows:
                sorted_rows[job].append(event)
        news = [self._take_in(self._logs[job], events) for job, events in sorted_rows.items()]
        return any(news)

    @property
    def lag(self) -> int:
        """The longest that a line of late took from being printed to being taken in, in milliseconds."""
        return max(self._lags.values(), default=0)

    def _note_lag(self, event: LogEvent) -> None:
        minute = event.ingested // 60_000
        known = self._lags.get(minute)
        if known is None:
            # One line that was late does not make the service a slow one for ever.
            newest = max(minute, *self._lags, 0)
            self._lags = {at: lag for at, lag in self._lags.items() if at > newest - _REMEMBERED}
        self._lags[minute] = max(known or 0, event.ingested - event.timestamp)

    def _take_in(self, log: _Log, events: list[LogEvent]) -> bool:
        if self._newest is not None:
            log.behind = None
        log.streams.update(event.stream for event in events)
        held = {event.key for event in log.held}
        fresh = sorted({event for event in events if event.key not in held and not log.mark.has(event)})
        if log.mark.before != log.mark.batch:
            fresh = self._finish(log, fresh)
        if fresh:
            lines, log.held = put_together(sorted([*log.held, *fresh]))
            self._deliver(log, lines)
        return bool(fresh)

    def _finish(self, log: _Log, fresh: list[LogEvent]) -> list[LogEvent]:
        """The mark stood amid a batch: deliver what was behind it first, and return the rest of ``fresh``."""
        before, batch = log.mark.before, log.mark.batch
        lines, cut = put_together([event for event in fresh if batch.has(event)])
        self._hand(log, Mark.head(before, batch), [*lines, *([event] for event in cut)])
        # What of its first event had been delivered was left out.
        log.mark = Mark(batch, batch)
        return [event for event in fresh if not batch.has(event)]

    def _deliver(self, log: _Log, lines: Sequence[Sequence[LogEvent]]) -> None:
        before = log.mark.before
        known = before.with_((event for line in lines for event in line), but=log.held)
        self._hand(log, Mark.head(before, known), lines)
        log.mark = Mark(known, known)

    def _hand(self, log: _Log, head: str, lines: Sequence[Sequence[LogEvent]]) -> None:
        for line in lines:
            texts = lines_of(_text(line))
            known = log.mark.lines if line[0].key == log.mark.last else 0
            for number, text in enumerate(texts[known:], start=known + 1):
                is_last = number == len(texts)
                tail = Mark.tail(line[-1].key) if is_last else Mark.tail(line[0].key, number)
                log.ready.append(LogLine(text=text, cursor=head + tail, at=line[0].timestamp / 1000))
        log.has_lines = log.has_lines or bool(lines)

    def release(self, job: JobName) -> None:
        """No more will come: make ready also the lines that look unfinished."""
        log = self._logs[job]
        lines, log.held = [[event] for event in log.held], []
        if lines:
            self._deliver(log, lines)

    def take(self, job: JobName) -> tuple[LogLine, ...]:
        """The lines that are ready; they are not handed out again."""
        log = self._logs.get(job)
        if log is None or not log.ready:
            return ()
        lines, log.ready = tuple(log.ready), []
        log.handed = lines[-1].cursor
        return lines

    def stream(self, job: JobName) -> str:
        """The one stream in which the lines of a job have been; "" where there is none yet, or another."""
        log = self._logs.get(job)
        return next(iter(log.streams)) if log is not None and len(log.streams) == 1 else ""

    def has_lines(self, job: JobName) -> bool:
        log = self._logs.get(job)
        return log is not None and log.has_lines


def tail_of(rows: Iterable[Mapping[str, Any]]) -> str:
    """The last lines of a log, for a person who asks why its job failed."""
    events = sorted({found[1] for row in rows if (found := event_of(row)) is not None})
    lines, cut = put_together(events)
    texts = [text for line in [*lines, *([event] for event in cut)] for text in lines_of(_text(line))]
    return "\n".join(texts[-TAIL_LINES:])[-TAIL_LENGTH:]


def _text(line: Iterable[LogEvent]) -> str:
    return "".join(event.message for event in line)


# Lines that arrive in pieces


def put_together(events: Sequence[LogEvent]) -> tuple[list[list[LogEvent]], list[LogEvent]]:
    """The events of each line, and the beginnings of lines that are not finished yet.

    Only two kinds can be told to be cut: lines of the reporter, whose JSON stops somewhere, and those that
    are as long as what a log driver takes at once. Their rest is what comes next in the same stream, unless
    that does not fit.
    """
    lines: list[list[LogEvent]] = []
    held: list[LogEvent] = []
    for _, stream in groupby(events, key=lambda event: event.stream):
        line: list[LogEvent] = []
        for event in stream:
            text = _text(line)
            if line and not _fits(text, event.message):
                lines += [[part] for part in line]
                line = []
            line.append(event)
            if not (is_full(event.message) or is_cut(_text(line))):
                lines.append(line)
                line = []
        held += line
    return lines, held


def _fits(begun: str, rest: str) -> bool:
    """Whether ``rest`` may be what was cut off ``begun``."""
    if not is_cut(begun):
        return len(begun) + len(rest) <= _LONGEST_FULL
    if _MARK in rest or len(begun) + len(rest) > _LONGEST:
        return False
    whole = begun + rest
    return _MARK in whole and (is_cut(whole) or _is_whole(whole))


def is_full(text: str) -> bool:
    """Whether ``text`` is as long as what a log driver takes at once, so that a rest is likely to follow."""
    if len(text) < _FULL[0] // 4 or text.endswith(("\n", "\r")):
        return False
    size = len(text.encode("utf-8", "replace"))
    # No character is cut in two, and one has four bytes at most.
    return any(full - 4 < size <= full for full in _FULL)


def is_cut(text: str) -> bool:
    """Whether ``text`` ends amid a line of the reporter."""
    if not text.endswith("\n") and text.endswith(_BEGUN):
        return True
    rest = _json_of(text)
    if rest is None or not _LONGEST > len(rest) > 0:
        return rest == ""
    try:
        _JSON.raw_decode(rest)
    except json.JSONDecodeError as error:
        return _goes_on(error, rest)
    except RecursionError:
        return False
    return False


def _is_whole(text: str) -> bool:
    rest = _json_of(text)
    try:
        return bool(rest) and bool(_JSON.raw_decode(rest or ""))
    except (ValueError, RecursionError):
        return False


def _json_of(text: str) -> str | None:
    """What stands behind the last mark, if that is or may become an object."""
    _, mark, rest = text.rpartition(_MARK)
    rest = rest.removeprefix(" ")
    return rest if mark and (rest.startswith("{") or not rest) else None


def _goes_on(error: json.JSONDecodeError, text: str) -> bool:
    """Whether the JSON is wrong only because it stops too early."""
    rest = text[error.pos :]
    return (
        error.msg.startswith("Unterminated string")
        or (error.msg.startswith("Invalid \\u") and len(rest) <= len("uXXXX"))
        or not rest.strip()
        or any(word.startswith(rest) for word in _WORDS)
        or _NUMBER.fullmatch(rest) is not None
    )
