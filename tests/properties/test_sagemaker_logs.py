"""Every line of every log once: whatever the order, the delays, the cuts and the crashes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from trialjob.backends.sagemaker.log_cursor import FLOODS, NAMED, Known, LogEvent, Mark
from trialjob.backends.sagemaker.logs import LogBuffer, is_cut, put_together, tail_of
from trialjob.model.ids import JobName

JOBS = [JobName("run-0001-1"), JobName("run-0002-1")]
OVERLAP = 30_000


@dataclass(frozen=True)
class Printed:
    """A line of output, and what CloudWatch makes of it."""

    job: JobName
    text: str
    at: int
    shuffle: int
    late: int
    unseen: int
    cut: int
    stream: int

    def rows(self, number: int) -> list[tuple[int, dict[str, Any]]]:
        """When each event can be seen, and the event."""
        cut = self.cut % len(self.text)
        parts = [part for part in (self.text[:cut], self.text[cut:]) if part]
        ingested = self.at + self.late
        return [
            (
                ingested + self.unseen,
                {
                    "logStreamName": f"{self.job}/algo-1-{self.stream}",
                    "timestamp": self.at - self.shuffle,
                    "ingestionTime": ingested,
                    "eventId": f"{self.at - self.shuffle:020d}{number:05d}{place}",
                    "message": part,
                },
            )
            for place, part in enumerate(parts)
        ]


def text_of(number: int, *, report: bool) -> str:
    if report:
        return "[trialjob] " + json.dumps({"seq": number, "metrics": {"epoch": number, "note": 'a "b" é'}})
    return f"line {number}"


@st.composite
def logs(draw: st.DrawFn) -> list[Printed]:
    count = draw(st.integers(1, 25))
    at = 1_000_000_000_000
    printed = []
    for number in range(count):
        report = draw(st.booleans())
        at += draw(st.sampled_from([0, 0, 1, 500, 5_000, 60_000]))
        printed.append(
            Printed(
                job=draw(st.sampled_from(JOBS)),
                text=text_of(number, report=report),
                at=at,
                shuffle=draw(st.sampled_from([0, 0, 700, 5_000])),
                late=draw(st.sampled_from([0, 0, 300, 20_000, 90_000])),
                unseen=draw(st.sampled_from([0, 0, 0, 10_000])),
                cut=draw(st.integers(0, 80)) if report and draw(st.booleans()) else 0,
                stream=at // 100_000_000,
            )
        )
    return printed


class Reader:
    """An orchestrator: reads, journals marks, dies, reads on from a mark."""

    def __init__(self, printed: list[Printed]) -> None:
        self.printed = printed
        self.rows = [row for number, line in enumerate(printed) for row in line.rows(number)]
        self.book = LogBuffer()
        self.lines: dict[JobName, list[tuple[str, str]]] = {job: [] for job in JOBS}
        self.began = printed[0].at - 10_000

    def visible(self, now: int, since: int) -> list[Mapping[str, Any]]:
        rows = [row for seen, row in self.rows if seen <= now and row["timestamp"] >= since]
        return sorted(rows, key=lambda row: (row["timestamp"], row["ingestionTime"], row["eventId"]))

    def poll(self, now: int) -> None:
        for job in JOBS:
            self.book.watch(job, self.cursor(job), self.began)
        since = self.book.since()
        assert since is not None
        self.book.absorb(self.visible(now, since - OVERLAP), self.book.jobs)
        self.take()

    def take(self) -> None:
        for job in JOBS:
            self.lines[job] += [(line.text, line.cursor) for line in self.book.take(job)]

    def cursor(self, job: JobName) -> str:
        return self.lines[job][-1][1] if self.lines[job] else ""

    def crash(self, kept: float) -> None:
        """Forget all but a part of what was delivered, as if the rest had not been journaled."""
        self.book = LogBuffer()
        for job in JOBS:
            del self.lines[job][int(len(self.lines[job]) * kept) :]

    def drain(self) -> None:
        for job in JOBS:
            self.book.watch(job, self.cursor(job), self.began)
            self.book.absorb(self.visible(1 << 60, 0), [job])
            self.book.release(job)
        self.take()


STEPS = st.lists(
    st.tuples(st.sampled_from([1, 3_000, 10_000, 40_000]), st.one_of(st.none(), st.floats(0, 1))),
    max_size=25,
)


@given(logs(), STEPS)
@settings(max_examples=200, deadline=None)
def test_every_line_is_delivered_once(printed: list[Printed], steps: list[tuple[int, float | None]]) -> None:
    reader = Reader(printed)
    now = reader.began
    for wait, kept in steps:
        now += wait
        reader.poll(now)
        if kept is not None:
            reader.crash(kept)
    reader.poll(now)
    reader.drain()
    for job in JOBS:
        found = sorted("".join(text for text, _ in reader.lines[job]))
        assert found == sorted("".join(line.text for line in printed if line.job == job))


@given(logs(), STEPS)
@settings(max_examples=150, deadline=None)
def test_every_report_is_whole_unless_its_parts_are_torn_apart(
    printed: list[Printed], steps: list[tuple[int, float | None]]
) -> None:
    apart = [  # a line's parts stay neighbours when no other line has the same moment
        Printed(line.job, line.text, line.at + 10_001 * number, 0, line.late, line.unseen, line.cut, 1)
        for number, line in enumerate(printed)
    ]
    reader = Reader(apart)
    now = reader.began
    for wait, kept in steps:
        now += wait
        reader.poll(now)
        if kept is not None:
            reader.crash(kept)
    reader.drain()
    for job in JOBS:
        assert sorted(text for text, _ in reader.lines[job]) == sorted(
            line.text for line in apart if line.job == job
        )


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=True) | st.text(max_size=8),
        lambda inner: st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=6,
    ),
    st.integers(1, 10_000),
)
def test_a_cut_report_is_seen_to_be_cut_and_put_together(value: object, cut: int) -> None:
    text = "[trialjob] " + json.dumps({"metrics": value})
    place = 1 + cut % (len(text) - 1)
    events = [LogEvent("s", 1, 1, str(i), part) for i, part in enumerate((text[:place], text[place:]))]
    assert is_cut(text[:place])
    assert not is_cut(text)
    assert put_together(events) == ([events], [])
    assert put_together(events[:1]) == ([], events[:1])


@given(st.lists(st.text(alphabet='[trialjob] {}":,1ae\\u\n', max_size=30), max_size=6))
def test_nothing_is_lost_or_made_up_when_lines_are_put_together(texts: list[str]) -> None:
    events = [LogEvent("s", 1, 1, str(number), text) for number, text in enumerate(texts)]
    lines, held = put_together(events)
    assert [event for line in lines for event in line] + held == events


def test_a_line_that_only_looks_cut_waits_for_the_next_one_and_no_longer() -> None:
    events = [LogEvent("s", n, n, str(n), text) for n, text in enumerate(['[trialjob] {"a": 1', "then died"])]
    assert put_together(events) == ([[events[0]], [events[1]]], [])


def row(stream: str, at: int, message: str) -> dict[str, Any]:
    name = f"{JOBS[0]}/algo-1-{stream}"
    return {
        "logStreamName": name,
        "timestamp": at,
        "ingestionTime": at,
        "eventId": f"{at}",
        "message": message,
    }


def test_the_beginning_of_a_line_is_not_forgotten_while_others_go_on() -> None:
    begun = [row("1", 1_000, '[trialjob] {"metrics": {"a"'), row("2", 2_000, "later")]
    later = [row("2", 100_000, "much later")]
    book = LogBuffer()
    book.watch(JOBS[0], "", 0)
    book.absorb(begun, JOBS)
    book.absorb(begun + later, JOBS)
    first = book.take(JOBS[0])
    assert [line.text for line in first] == ["later", "much later"]
    again = LogBuffer()
    again.watch(JOBS[0], first[-1].cursor, 0)
    again.absorb([*begun, *later, row("1", 1_001, ": 1}}")], JOBS)
    assert [line.text for line in again.take(JOBS[0])] == ['[trialjob] {"metrics": {"a": 1}}']


def test_what_comes_late_all_at_once_is_delivered_once_however_much_it_is() -> None:
    """CloudWatch was away for a minute, while a job printed a line each 200 ms."""

    def row(number: int, text: str) -> dict[str, Any]:
        at = 1_000_000 + 200 * number
        return {
            "logStreamName": f"{JOBS[0]}/algo-1-1",
            "timestamp": at,
            "ingestionTime": 1_090_000 + number,
            "eventId": f"{number:05d}",
            "message": text,
        }

    cut = '[trialjob] {"metrics": {"a"'
    rows = [row(number, f"line {number}") for number in range(300)] + [row(300, cut)]
    book = LogBuffer()
    book.watch(JOBS[0], "", 0)
    book.absorb(rows, JOBS)
    lines = book.take(JOBS[0])
    texts = [line.text for line in lines]
    assert texts == [f"line {number}" for number in range(300)]
    assert not book.absorb(rows, JOBS)
    assert len(lines[-1].cursor) < 2_000
    rest = [*rows, row(301, ": 1}}")]
    for place in (0, 99, 200, 298, 299):
        again = LogBuffer()
        again.watch(JOBS[0], lines[place].cursor, 0)
        again.absorb(rows, JOBS)
        assert [line.text for line in again.take(JOBS[0])] == texts[place + 1 :]
        again.absorb(rest, JOBS)
        assert [line.text for line in again.take(JOBS[0])] == [f"{cut}: 1}}}}"]
        assert not again.absorb(rest, JOBS)


def test_the_tail_of_a_log_is_its_last_lines_in_order() -> None:
    rows = [
        {"logStreamName": "j/algo-1-1", "timestamp": n, "eventId": str(n), "message": f"line {n}"}
        for n in range(9, 0, -1)
    ]
    assert tail_of(rows).splitlines() == [f"line {n}" for n in range(1, 10)]
    assert len(tail_of([{**row, "message": "x" * 5000} for row in rows])) <= 4096


entries = st.lists(st.tuples(st.integers(0, 200_000), st.sampled_from([0, 5, 2_000, 90_000])), max_size=300)


def events_of(rows: list[tuple[int, int]], name: str = "") -> list[LogEvent]:
    return [LogEvent("s", at, at + late, f"{at}/{late}{name}", "") for at, late in rows]


@given(entries, entries)
def test_a_known_set_holds_all_it_was_given_and_stays_small(
    first: list[tuple[int, int]], second: list[tuple[int, int]]
) -> None:
    events = events_of(first + second)
    known = Known().with_(events[: len(events) // 2]).with_(events)
    assert all(known.has(event) for event in events)
    assert max(len(known.named), len(known.late)) <= NAMED
    assert len(known.floods) <= FLOODS
    assert Known.decode(known.encode()) == known
    newest = max((event.ingested for event in events), default=0)
    assert not known.has(LogEvent("s", newest + 1, newest + 1, "new", ""))
    assert not known.has(LogEvent("s", -100_000, 0, "came late", ""))


@given(entries, entries)
def test_what_is_held_back_stays_out_of_a_known_set(
    given_: list[tuple[int, int]], held: list[tuple[int, int]]
) -> None:
    events, out = events_of(given_), events_of(held, "held")
    late = [event for event in out if event.is_late][: FLOODS // 2]  # one of each stream that is cut
    out = [event for event in out if not event.is_late or event in late]
    known = Known().with_(events, but=out)
    assert all(known.has(event) for event in events)
    assert not any(known.has(event) for event in out)


@given(entries, st.text(alphabet="algo-1;|x", max_size=20), st.integers(0, 1 << 42))
def test_a_mark_survives_being_written_down(rows: list[tuple[int, int]], stream: str, at: int) -> None:
    events = events_of(rows)
    before, batch = Known().with_(events[: len(events) // 2]), Known().with_(events)
    mark = Mark(before, batch, (stream, at, at + 5, "12345"))
    assert Mark.decode(mark.encode()) == mark
