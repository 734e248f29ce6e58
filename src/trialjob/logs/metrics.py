"""Turns the lines of a job's log into reports: lines of the in-job reporter, and regular expressions.

Rule 1: right behind the line that a report goes up to, a reader remembers nothing but the reports so far. So
reading may go on there with a new reader, and every report comes out the same.
Rule 2: where the reporter sends the objective, it alone makes the reports. A script that also prints the
value, where a regex finds it, would otherwise report every epoch twice.
Rule 3: Syne Tune's reporter is read as regular expressions are, for all that the spec has none for. So
scripts written for it run as they are, and whatever the spec or our reporter says of a metric wins.
Rule 4: no line can break or stall it. A log is whatever a stranger's program prints.
Rule 5: every match of a line counts, in order, and none that is a part of a number only.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from trialjob.logs.candidate_lines import Nearest, words_of
from trialjob.logs.lines import lines_of
from trialjob.logs.numbers import NUMBER, is_part, parse_number
from trialjob.logs.pairing import Find, Pairing, Values
from trialjob.logs.reporter import first_mark, sent_in, tuned_in
from trialjob.logs.visible_text import plain
from trialjob.model.metric import MetricDefinition, Objective, Report
from trialjob.orchestrator.ports import FoundReport, LogReaders

#: No pattern is given more at a time: it may take as long as the square of this.
LONGEST_LINE = 8_192
#: What a match may have of a longer line. A pattern that passes over more, such as ``.*acc=(…)``, reads its
#: end only, where the last of it is.
_LONGEST_MATCH = LONGEST_LINE // 2

_TORN_NUMBER = re.compile(r"[0-9A-Za-z.,_+-]*")


def expand(regex: str) -> str:
    """``regex`` with ``{number}`` replaced; all other braces stay."""
    return regex.replace("{number}", NUMBER)


def compiled(regex: str, flags: int = 0) -> re.Pattern[str]:
    """The pattern of an expanded regex; ValueError says in words why it cannot be one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return re.compile(regex, flags)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A place where a regex matches."""

    #: As a person would see the line, and where in it the match is.
    text: str
    start: int
    #: What the group has taken, and where.
    group: str
    span: tuple[int, int]
    #: The number that it is, if it is the whole of one.
    number: float | None
    #: It is only a part of the number that stands there.
    cut: bool


def matches_of(pattern: re.Pattern[str], text: str, seen: Sequence[str]) -> Iterator[Match]:
    """Every match in a line: in what a person sees of it, or else in the line as it is."""
    found = False
    offset = 0
    for piece in seen:
        for match, start in _found_in(pattern, piece):
            found = True
            yield _match(match, offset + start)
        offset += len(piece) + 1
    if not found and (len(seen) != 1 or seen[0] is not text):
        # Of what was written over, only the last counts.
        end, start = _end_of(text)
        for match in pattern.finditer(end):
            yield _match(match, start)


def _found_in(pattern: re.Pattern[str], text: str) -> Iterator[tuple[re.Match[str], int]]:
    """Every match, and where the text that it is of begins."""
    end, before = _end_of(text)
    last = list(pattern.finditer(end))
    if before:
        found = list(_in_turn(pattern, text))
        is_local = all(match.end() - match.start() <= _LONGEST_MATCH for match in found)
        if is_local and {before + match.start(1) for match in last} <= {match.start(1) for match in found}:
            return ((match, 0) for match in found)
    return ((match, before) for match in last)


def _in_turn(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """The matches in one part after the other of a long line, each seen with as much behind it."""
    at = 0
    for start in range(0, len(text) - _LONGEST_MATCH, _LONGEST_MATCH):
        end = start + LONGEST_LINE
        for match in pattern.finditer(text, max(start, at), end):
            if match.start() >= start + _LONGEST_MATCH and end < len(text):
                break
            yield match
            at = max(match.end(), match.start() + 1)


def _end_of(text: str) -> tuple[str, int]:
    """The end of a long line, from a place on where no number is torn, and where that is."""
    if len(text) <= LONGEST_LINE:
        return text, 0
    torn = _TORN_NUMBER.match(text, len(text) - LONGEST_LINE)
    start = torn.end() if torn is not None and torn.end() < len(text) else len(text) - LONGEST_LINE
    return text[start:], start


def _match(match: re.Match[str], offset: int) -> Match:
    text = match.string
    group = match[1]
    value, cut = None, False
    if group is not None:
        value = parse_number(group)
        if value is not None and is_part(text, *match.span(1)):
            value, cut = None, True
    return Match(
        text=text, start=offset + match.start(), group=group or "", span=match.span(1), number=value, cut=cut
    )


class LineReader:
    """Reads one attempt's log, line by line."""

    def __init__(
        self,
        definitions: Sequence[MetricDefinition],
        objective: Objective,
        earlier: Sequence[Report] = (),
        mask: Callable[[str], str] = str,
    ) -> None:
        self._patterns = [(definition.name, compiled(definition.regex)) for definition in definitions]
        self._defined = frozenset(definition.name for definition in definitions)
        self._objective = objective
        self._newest = earlier[-1] if earlier else None
        self._reporter_has_it = any(objective.metric in r.metrics for r in earlier if not r.scraped)
        self._pairing = Pairing(objective, earlier, resource_is_defined=objective.resource in self._defined)
        #: What the reporter has sent of a report that needs several lines, by its number.
        self._parts: dict[str, Values] = {}
        regexes = [definition.regex for definition in definitions if definition.name == objective.metric]
        has_value = any(objective.metric in report.metrics for report in earlier)
        self._nearest = None if has_value else Nearest(words_of(objective.metric, regexes), mask)

    def feed(self, text: str, at: float, cursor: str = "") -> Sequence[FoundReport]:
        """The reports that this line completes."""
        found: list[FoundReport] = []
        for line in lines_of(text):
            found += self._read(line, at, cursor)
            self._newest = found[-1].report if found else self._newest
            if self._nearest is not None:
                self._watch_out(line, found)
        return found

    def end(self) -> Sequence[FoundReport]:
        """The reports that waited for another line."""
        return self._pairing.release()

    @property
    def waits(self) -> bool:
        """True while it has a value and waits for a line with its resource."""
        return self._pairing.waits

    def nearest(self) -> tuple[str, ...]:
        """The lines that looked most like ones with the objective's value; none once it had one."""
        return () if self._nearest is None else self._nearest.lines()

    def _watch_out(self, line: str, found: Sequence[FoundReport]) -> None:
        if self.waits or any(self._objective.metric in each.report.metrics for each in found):
            self._nearest = None
        elif self._nearest is not None:
            self._nearest.feed(line)

    def _read(self, text: str, at: float, cursor: str) -> list[FoundReport]:
        mark = first_mark(text)
        if mark is None:
            return self._taken(text, at, cursor)
        # The reporter's line is its own: no regex reads it a second time, not even a damaged one, nor what
        # follows on it.
        sent = sent_in(text, mark)
        if any(self._objective.metric in each.metrics for each in sent):
            self._reporter_has_it = True
            self._pairing.drop()
        found = self._taken(text[: mark.start()], at, cursor)
        for each in sent:
            values = {**self._parts.get(each.number, {}), **each.metrics}
            if each.is_part:
                self._parts = {each.number: values}
            elif values:
                found += self._pairing.release()
                newest = found[-1].report if found else self._newest
                found.append(FoundReport(report=self._sent_report(values, at, newest), cursor=cursor))
                self._parts = {}
        return found

    def _taken(self, text: str, at: float, cursor: str) -> list[FoundReport]:
        """The reports that what the regular expressions find completes."""
        found = self._pairing.take(self._finds(text), at, cursor)
        if found:
            self._parts = {}
        return found

    def _finds(self, text: str) -> list[Find]:
        """What the regular expressions and Syne Tune's reporter say of metrics, in order."""
        if not text:
            return []
        seen = plain(text) or (text,)
        finds: list[Find] = []
        for name, pattern in self._patterns:
            if name == self._objective.metric and self._reporter_has_it:
                continue
            finds += [
                (match.start, name, match.number)
                for match in matches_of(pattern, text, seen)
                if match.number is not None
            ]
        finds += [
            find
            for find in tuned_in(text)
            if find[1] not in self._defined
            and not (find[1] == self._objective.metric and self._reporter_has_it)
        ]
        finds.sort(key=lambda find: find[0])
        return finds

    def _sent_report(self, metrics: Values, at: float, newest: Report | None) -> Report:
        # Values of the objective count progress: whatever else is sent is of the epoch that is on its way.
        values = {**self._pairing.take_gathered(), **metrics}
        has_value = newest is not None and self._objective.metric in newest.metrics
        counted = 1.0 if newest is None else newest.resource + has_value
        return self._pairing.report(values, at, counted=counted)


def readers(
    definitions: Sequence[MetricDefinition], objective: Objective, mask: Callable[[str], str] = str
) -> LogReaders:
    """Makes the readers of an experiment's logs; ``mask`` is for the lines that people are shown."""

    def reader(earlier: Sequence[Report]) -> LineReader:
        return LineReader(definitions, objective, earlier, mask)

    return reader
