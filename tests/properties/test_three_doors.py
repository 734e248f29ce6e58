"""The same bytes make the same reports on this machine, on SageMaker and in a check, however they come."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trialjob.backends.folders.log import read_lines
from trialjob.backends.sagemaker.logs import LogBuffer
from trialjob.logs.check import check_log
from trialjob.logs.metrics import expand, readers
from trialjob.model.ids import JobName
from trialjob.model.job import LogLine
from trialjob.model.metric import MetricDefinition, Mode, Objective, Report
from trialjob.orchestrator.ports import LogReader

OBJECTIVE = Objective(metric="acc", mode=Mode.MAX)
JOB = JobName("run-0001-1")
NUMBERS = st.sampled_from(["0.5", "0.93", "1e-05", "-2", "1,234.5", "nan", "12", "3."])
KEYS = st.sampled_from(["acc", "loss", "epoch"])
VALUES = st.builds("{}={}".format, KEYS, NUMBERS).map(str.encode)
SENT = st.dictionaries(KEYS, st.integers(0, 9), min_size=1)
BREAKS = st.sampled_from([b"\r", b"\r", b"\n", b"\r\n", b" "])
STRANGE = st.sampled_from([b"\x0b", b"\x0c", b"\x85", "\u2028".encode(), b"\0", b"\xff", "\ufeff".encode()])
SHOWN = st.sampled_from([b"#011", b"#015", b"\x1b[32m", b"\x08", "é█".encode(), b"#033[0m", b"x" * 9_000])
PIECES = st.one_of(
    VALUES,
    VALUES,
    BREAKS,
    BREAKS,
    STRANGE,
    SHOWN,
    SENT.map(lambda sent: b"[trialjob] " + json.dumps({"metrics": sent}).encode() + b"\n"),
    SENT.map(lambda sent: b"[tune-metric]: " + json.dumps(sent).encode()),
)
LOGS = st.lists(PIECES, max_size=40).map(b"".join)
NAMES = st.sampled_from([["acc"], ["acc", "epoch"], ["acc", "loss", "epoch"]])

Said = list[tuple[float, str, Any]]


def definitions_of(names: Sequence[str]) -> list[MetricDefinition]:
    return [MetricDefinition(name=name, regex=expand(rf"{name}=({{number}})")) for name in names]


def said(reports: Sequence[Report]) -> Said:
    return [(report.resource, repr(dict(report.metrics)), report.order) for report in reports]


class Orchestrator:
    """Reads lines, journals reports with the mark of each, and dies."""

    def __init__(self, names: Sequence[str]) -> None:
        self._readers = readers(definitions_of(names), OBJECTIVE)
        self.reports: list[Report] = []
        self.mark = ""
        self.reader: LogReader = self._readers(())

    def take(self, lines: Sequence[LogLine], *, ended: bool = False) -> None:
        found = [each for line in lines for each in self.reader.feed(line.text, 0.0, line.cursor)]
        found += self.reader.end() if ended else ()
        self.reports += [each.report for each in found]
        self.mark = found[-1].cursor if found else self.mark

    def die(self) -> None:
        self.reader = self._readers(tuple(self.reports))


def on_this_machine(
    path: Path,
    data: bytes,
    names: Sequence[str],
    cuts: Sequence[int] = (),
    deaths: Collection[int] = (),
    *,
    cut_off: bool = False,
) -> Said:
    orchestrator, cursor = Orchestrator(names), ""
    for number, size in enumerate([*cuts, len(data)]):
        path.write_bytes(data[:size])
        more, ended = True, number == len(cuts)
        while more:
            found = read_lines(path, cursor, ended=ended, cut_off=cut_off)
            cursor, more = (found.lines[-1].cursor if found.lines else cursor), found.more
            orchestrator.take(found.lines, ended=ended and not more)
        if number in deaths and not ended:
            orchestrator.die()
            cursor = orchestrator.mark
    return said(orchestrator.reports)


def events_of(data: bytes, tear: int) -> Iterator[dict[str, Any]]:
    """What a log driver makes of it: an event for each \\n, and two of a line of the reporter's."""
    for number, chunk in enumerate(data.split(b"\n")):
        message = chunk.decode("utf-8", "replace")
        start = message.rfind("[trialjob] {") + len("[trialjob] {")
        place = start + tear % max(1, len(message) - start)
        torn = "[trialjob] {" in message and place < len(message)
        parts = [message[:place], message[place:]] if torn else [message]
        for part, text in enumerate(parts):
            if text:
                at = 1_000_000 + number * 1_000 + part
                name = {"logStreamName": f"{JOB}/algo-1-1", "eventId": f"{number:05d}{part}"}
                yield {**name, "timestamp": at, "ingestionTime": at, "message": text}


def on_sagemaker(
    data: bytes, names: Sequence[str], *, tear: int, cuts: Sequence[int] = (), deaths: Collection[int] = ()
) -> Said:
    orchestrator, book, events = Orchestrator(names), LogBuffer(), list(events_of(data, tear))
    cursor = ""
    for number, seen in enumerate([*(cut % (len(events) + 1) for cut in cuts), len(events)]):
        book.watch(JOB, cursor, 0)
        book.absorb(events[:seen], [JOB])
        ended = number == len(cuts)
        if ended:
            book.release(JOB)
        lines = book.take(JOB)
        cursor = lines[-1].cursor if lines else cursor
        orchestrator.take(lines, ended=ended)
        if number in deaths:
            orchestrator.die()
            book, cursor = LogBuffer(), orchestrator.mark
    return said(orchestrator.reports)


@given(
    data=LOGS,
    names=NAMES,
    cuts=st.lists(st.integers(0, 2_000), max_size=6).map(sorted),
    deaths=st.sets(st.integers(0, 5)),
    tear=st.integers(0, 200),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
def test_three_doors_agree(
    tmp_path: Path, *, data: bytes, names: list[str], cuts: list[int], deaths: set[int], tear: int
) -> None:
    checked = said(check_log(data, definitions_of(names), OBJECTIVE).reports)
    assert on_this_machine(tmp_path / "log", data, names) == checked
    assert on_this_machine(tmp_path / "log", data, names, cuts, deaths) == checked
    assert on_sagemaker(data, names, tear=tear) == checked
    assert on_sagemaker(data, names, tear=tear, cuts=cuts, deaths=deaths) == checked


@given(data=LOGS, names=NAMES, size=st.integers(0, 400), tear=st.integers(0, 200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
def test_three_doors_agree_on_what_a_kill_has_torn(
    tmp_path: Path, data: bytes, names: list[str], size: int, tear: int
) -> None:
    torn = data[:size]
    marked = torn + b"[trialjob-cut]\n"
    checked = said(check_log(marked, definitions_of(names), OBJECTIVE).reports)
    assert on_this_machine(tmp_path / "log", torn, names, cut_off=True) == checked
    assert on_sagemaker(marked, names, tear=tear) == checked


@pytest.mark.parametrize("size", [16_384, 65_536, 200_000, 262_144])
def test_a_line_of_any_length_is_read_alike(tmp_path: Path, size: int) -> None:
    bar = b"acc=0.123456789 epoch=3 |" + "█".encode() * 7
    data = bar * (size // len(bar) + 2) + b"\nacc=0.75\n"
    checked = said(check_log(data, definitions_of(["acc", "epoch"]), OBJECTIVE).reports)
    assert {metrics for _, metrics, _ in checked} == {"{'acc': 0.123456789}", "{'acc': 0.75}"}
    assert on_this_machine(tmp_path / "log", data, ["acc", "epoch"], (1_000, size), {0, 1}) == checked
    first, second = data.split(b"\n")[:2]
    pieces = [first[at : at + 16_384].decode("utf-8", "ignore") for at in range(0, len(first), 16_384)]
    if "".join(pieces).encode() != first:  # a driver cuts no character in two
        return
    events = [
        {"logStreamName": f"{JOB}/algo-1-1", "eventId": f"{place}", "timestamp": 1, "message": text}
        for place, text in enumerate([*pieces, second.decode()])
    ]
    book, orchestrator = LogBuffer(), Orchestrator(["acc", "epoch"])
    book.watch(JOB, "", 0)
    book.absorb(events, [JOB])
    book.release(JOB)
    orchestrator.take(book.take(JOB), ended=True)
    assert said(orchestrator.reports) == checked


def test_nothing_but_a_break_ends_a_line() -> None:
    for other in ("\x0b", "\x0c", "\x85", "\u2028", "\u2029", "\x1c", "\x1e"):
        text = f"acc=0.5{other}epoch=3"
        (found,) = check_log(text.encode(), definitions_of(["acc", "epoch"]), OBJECTIVE).reports
        assert (found.resource, found.metrics) == (3.0, {"acc": 0.5})
