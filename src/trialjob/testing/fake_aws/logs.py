"""CloudWatch Logs: one store of events, and the three calls that read it.

An event has a time of its own and a time from which it can be seen; the calls know only the first, as the
service's do, so a late line appears behind a reader's back.
"""

from __future__ import annotations

import base64
import bisect
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from trialjob.testing.fake_aws.errors import ServiceError
from trialjob.testing.fake_aws.faults import Faults
from trialjob.testing.fake_aws.log_patterns import compile_pattern

PAGE_EVENTS = 10_000
PAGE_BYTES = 1_048_576
_OVERHEAD = 26


@dataclass(frozen=True, slots=True, order=True)
class LogEvent:
    """One event; they are ordered as FilterLogEvents hands them out. Times are in milliseconds."""

    timestamp: int
    ingested: int
    number: int
    stream: str = field(compare=False)
    message: str = field(compare=False)

    @property
    def key(self) -> tuple[int, int, int]:
        return (self.timestamp, self.ingested, self.number)


@dataclass(slots=True)
class Stream:
    created: int
    events: list[LogEvent] = field(default_factory=list)


class LogStore:
    """The events of every log group. Groups and streams appear with their first event."""

    def __init__(self, faults: Faults, account: str, region: str) -> None:
        self._faults = faults
        self._arn = f"arn:aws:logs:{region}:{account}:log-group"
        self._numbers = itertools.count(1)
        self.groups: dict[str, dict[str, Stream]] = {}
        self._order: dict[str, list[LogEvent]] = {}

    def put(self, group: str, stream: str, line: str, at: float) -> None:
        """Keep a line of output as the log driver would: late, out of place or in two, if faults say so."""
        timestamp = at - self._faults.log_shuffle * self._faults.dice("log_shuffle").random()
        ingested = self._faults.ingested(at)
        for part in self._parts(
            line
        ):  # the parts keep their order: it is the driver that is late, not the cut
            self._add(group, stream, part, round(timestamp * 1000), round(ingested * 1000))

    def _parts(self, line: str) -> list[str]:
        if len(line) < 2 or not self._faults.hits("log_split"):
            return [line]
        cut = self._faults.dice("log_split").randrange(1, len(line))
        return [line[:cut], line[cut:]]

    def _add(self, group: str, stream: str, message: str, timestamp: int, ingested: int) -> None:
        event = LogEvent(timestamp, ingested, next(self._numbers), stream, message)
        streams = self.groups.setdefault(group, {})
        bisect.insort(streams.setdefault(stream, Stream(created=ingested)).events, event)
        bisect.insort(self._order.setdefault(group, []), event)

    def events(self, group: str, prefix: str = "") -> list[LogEvent]:
        """All that ever got in, seen or not, of the streams that begin with ``prefix``."""
        return [event for event in self._order.get(group, ()) if event.stream.startswith(prefix)]

    def filter(self, params: dict[str, Any], now: float) -> dict[str, Any]:
        """FilterLogEvents."""
        group = self._group(params)
        if "logStreamNames" in params and "logStreamNamePrefix" in params:
            raise _invalid("Cannot specify both logStreamNames and logStreamNamePrefix")
        streams = self._chosen(group, params)
        after, was_empty = _position(params.get("nextToken"))
        if not was_empty and self._faults.hits("empty_page"):
            return {"events": [], "searchedLogStreams": [], "nextToken": _token([after, True])}
        matches = compile_pattern(params.get("filterPattern", ""))
        found = (
            e for e in self._between(group, params, after, now) if e.stream in streams and matches(e.message)
        )
        page, rest = _cut(found, params.get("limit", PAGE_EVENTS))
        answer: dict[str, Any] = {"events": [_filtered(event) for event in page], "searchedLogStreams": []}
        if rest:
            answer["nextToken"] = _token([page[-1].key, False])
        return answer

    def _chosen(self, group: str, params: dict[str, Any]) -> set[str]:
        streams = self.groups[group]
        if "logStreamNames" in params:
            unknown = set(params["logStreamNames"]) - streams.keys()
            if unknown:
                raise _missing("stream")
            return set(params["logStreamNames"])
        prefix = params.get("logStreamNamePrefix", "")
        return {name for name in streams if name.startswith(prefix)}

    def _between(
        self, group: str, params: dict[str, Any], after: tuple[int, int, int] | None, now: float
    ) -> Iterator[LogEvent]:
        """The group's events in order, from the later of start and page mark, that can be seen now."""
        events = self._order[group]
        start = bisect.bisect_left(events, (params.get("startTime", 0),), key=lambda e: (e.timestamp,))
        if after is not None:
            start = max(start, bisect.bisect_right(events, tuple(after), key=lambda e: e.key))
        end, seen = params.get("endTime"), now * 1000
        for event in itertools.islice(events, start, None):
            if end is not None and event.timestamp > end:
                return
            if event.ingested <= seen:
                yield event

    def get(self, params: dict[str, Any], now: float) -> dict[str, Any]:
        """GetLogEvents: one stream, forwards or backwards, ending when the token repeats itself."""
        stream = self.groups[self._group(params)].get(params.get("logStreamName", ""))
        if stream is None:
            raise _missing("stream")
        low, high = params.get("startTime", 0), params.get("endTime")
        events = [
            event
            for event in stream.events
            if event.ingested <= now * 1000
            and event.timestamp >= low
            and (high is None or event.timestamp < high)
        ]
        start, end = _window(events, params)
        return {
            "events": [
                {"timestamp": e.timestamp, "ingestionTime": e.ingested, "message": e.message}
                for e in events[start:end]
            ],
            "nextForwardToken": f"f/{end}",
            "nextBackwardToken": f"b/{start}",
        }

    def streams(self, params: dict[str, Any], now: float) -> dict[str, Any]:
        """DescribeLogStreams."""
        group = self._group(params)
        prefix, by_time = params.get("logStreamNamePrefix", ""), params.get("orderBy") == "LastEventTime"
        if prefix and by_time:
            raise _invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
        found = [
            (name, stream)
            for name, stream in sorted(self.groups[group].items())
            if name.startswith(prefix) and stream.created <= now * 1000
        ]
        if by_time:
            found.sort(key=lambda item: item[1].events[-1].timestamp)
        if params.get("descending"):
            found.reverse()
        start, limit = _number(params.get("nextToken", "0")), params.get("limit", 50)
        answer: dict[str, Any] = {
            "logStreams": [self._stream(group, name, stream) for name, stream in found[start : start + limit]]
        }
        if start + limit < len(found):
            answer["nextToken"] = str(start + limit)
        return answer

    def _stream(self, group: str, name: str, stream: Stream) -> dict[str, Any]:
        return {
            "logStreamName": name,
            "creationTime": stream.created,
            "firstEventTimestamp": stream.events[0].timestamp,
            "lastEventTimestamp": stream.events[-1].timestamp,
            "lastIngestionTime": max(event.ingested for event in stream.events[-50:]),
            "arn": f"{self._arn}:{group}:log-stream:{name}",
        }

    def _group(self, params: dict[str, Any]) -> str:
        group: str = params.get("logGroupName") or params.get("logGroupIdentifier", "")
        if group not in self.groups:
            raise _missing("group")
        return group


def _window(events: list[LogEvent], params: dict[str, Any]) -> tuple[int, int]:
    limit = min(params.get("limit", PAGE_EVENTS), PAGE_EVENTS)
    direction, _, place = params.get("nextToken", "").partition("/")
    if direction == "f" or (not direction and params.get("startFromHead")):
        start = min(_number(place or "0"), len(events))
        return start, min(start + limit, len(events))
    end = min(_number(place), len(events)) if direction == "b" else len(events)
    return max(0, end - limit), end


def _cut(found: Iterator[LogEvent], limit: int) -> tuple[list[LogEvent], bool]:
    """One page of events, and whether there are more."""
    page: list[LogEvent] = []
    size = 0
    for event in found:
        size += len(event.message.encode()) + _OVERHEAD
        if page and (len(page) >= min(limit, PAGE_EVENTS) or size > PAGE_BYTES):
            return page, True
        page.append(event)
    return page, False


def _filtered(event: LogEvent) -> dict[str, Any]:
    return {
        "logStreamName": event.stream,
        "timestamp": event.timestamp,
        "message": event.message,
        "ingestionTime": event.ingested,
        "eventId": f"{event.timestamp:020d}{event.number:036d}",
    }


def _token(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


def _position(token: str | None) -> tuple[tuple[int, int, int] | None, bool]:
    if token is None:
        return None, False
    try:
        after, was_empty = json.loads(base64.urlsafe_b64decode(token))
        timestamp, ingested, number = after or (0, 0, 0)
    except (ValueError, TypeError):
        raise _invalid("The specified nextToken is invalid.") from None
    return (int(timestamp), int(ingested), int(number)), bool(was_empty)


def _number(token: str) -> int:
    if not token.isdecimal():
        raise _invalid("The specified nextToken is invalid.")
    return int(token)


def _invalid(message: str) -> ServiceError:
    return ServiceError("InvalidParameterException", message)


def _missing(what: str) -> ServiceError:
    return ServiceError("ResourceNotFoundException", f"The specified log {what} does not exist.")
