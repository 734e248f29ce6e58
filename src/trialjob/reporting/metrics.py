"""Turns the lines of a job's log into reports: lines of the in-job reporter, and regular expressions.

Rule 1: right after a report a reader remembers nothing but the reports so far. So reading may go on there
with a new reader, and every report comes out the same.
Rule 2: where the reporter sends the objective, it alone makes the reports. A script that also prints the
value, where a regex finds it, would otherwise report every epoch twice.
Rule 3: Syne Tune's reporter is read as regular expressions are, for all that the spec has none for. So
scripts written for it run as they are, and whatever the spec or our reporter says of a metric wins.
Rule 4: no line can break or stall it. A log is whatever a stranger's program prints.
"""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trialjob.model.metric import MetricDefinition, Objective, Report
from trialjob.orchestrator.ports import LogReaders
from trialjob.reporting.nearest import Nearest, words_of

#: What ``{number}`` stands for: a regular expression for a float as programs print it, without groups.
#: A number never starts inside a run of digits, which keeps a search through a flood of digits linear; nor
#: does it start a word, so that the "INF" of "INFO" is none.
NUMBER = (
    r"[-+]?(?:(?<![0-9])(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
    r"|(?ai:nan|inf(?:inity)?)(?![0-9A-Za-z_]))"
)

#: Longer lines are read at their end only. A progress bar that rewrites its line leaves its last state there.
LONGEST_LINE = 8_192

_NUMBER = re.compile(NUMBER)
_MARK = re.compile(r"\[trialjob\] ?(?=\{)")
#: What Syne Tune's ``Reporter`` prints, and the names that it keeps to itself.
_TUNE_METRIC = re.compile(r"\[tune-metric\]: ?(?=\{)")
_TUNE_OWN = "st_"
_JSON = json.JSONDecoder()
_SPELLED = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def expand(regex: str) -> str:
    """``regex`` with ``{number}`` replaced; all other braces stay."""
    return regex.replace("{number}", NUMBER)


def compiled(regex: str) -> re.Pattern[str]:
    """The pattern of an expanded regex; ValueError says in words why it cannot be one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return re.compile(regex)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from error


def parse_number(text: str) -> float | None:
    """The float that ``text`` spells, spaces around it allowed, or None."""
    text = text.strip()
    return float(text) if _NUMBER.fullmatch(text) else None


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
        self._defined = {definition.name for definition in definitions}
        self._objective = objective
        self._scraped = sum(report.scraped for report in earlier)
        self._sent = len(earlier) - self._scraped
        self._reporter_has_it = any(objective.metric in r.metrics for r in earlier if not r.scraped)
        #: What the regular expressions found since the last report.
        self._gathered: dict[str, float] = {}
        #: What the reporter has sent of a report that needs several lines, by its number.
        self._parts: dict[str, dict[str, float]] = {}
        regexes = [definition.regex for definition in definitions if definition.name == objective.metric]
        has_value = any(objective.metric in report.metrics for report in earlier)
        self._nearest = None if has_value else Nearest(words_of(objective.metric, regexes), mask)

    def feed(self, text: str, at: float) -> Report | None:
        """The report that this line completes, if it does."""
        report = self._report_of(text[-LONGEST_LINE:], at)
        if report is not None and self._objective.metric in report.metrics:
            self._nearest = None
        if self._nearest is not None:
            self._nearest.feed(text)
        return report

    def nearest(self) -> tuple[str, ...]:
        """The lines that looked most like ones with the objective's value; none once it had one."""
        return () if self._nearest is None else self._nearest.lines()

    def _report_of(self, text: str, at: float) -> Report | None:
        mark = _MARK.search(text)
        if mark is not None:
            # The reporter's line is its own: no regex reads it a second time, not even a damaged one.
            return self._said(_reported(text, mark), at)
        self._gather(text)
        return self._scraped_report(at) if self._objective.metric in self._gathered else None

    def _said(self, found: Mapping[str, Any], at: float) -> Report | None:
        """The report of a line of the reporter; a part of one is kept for the line that completes it."""
        number = str(found.get("seq"))
        reported = {**self._parts.get(number, {}), **_numbers(found.get("metrics"))}
        if found.get("part"):
            self._parts = {number: reported}
            return None
        return self._sent_report(reported, at) if reported else None

    def _gather(self, text: str) -> None:
        self._gathered |= {k: v for k, v in _tune_metrics(text).items() if k not in self._defined}
        for name, pattern in self._patterns:
            match = pattern.search(text)
            value = parse_number(match[1]) if match and match[1] is not None else None
            if value is not None:
                self._gathered[name] = value

    def _sent_report(self, reported: Mapping[str, float], at: float) -> Report:
        self._sent += 1
        if self._objective.metric in reported:
            self._reporter_has_it = True
            self._gathered.pop(self._objective.metric, None)
        return self._report({**self._gathered, **reported}, at, scraped=False)

    def _scraped_report(self, at: float) -> Report | None:
        if self._reporter_has_it:
            del self._gathered[self._objective.metric]
            return None
        self._scraped += 1
        return self._report(self._gathered, at, scraped=True)

    def _report(self, values: Mapping[str, float], at: float, *, scraped: bool) -> Report:
        metrics = dict(values)
        resource = metrics.pop(self._objective.resource, math.nan)
        if not math.isfinite(resource):
            resource = float(self._scraped if scraped else self._sent)
        self._gathered, self._parts = {}, {}
        return Report(resource=resource, metrics=metrics, at=at, scraped=scraped)


def readers(
    definitions: Sequence[MetricDefinition], objective: Objective, mask: Callable[[str], str] = str
) -> LogReaders:
    """Makes the readers of an experiment's logs; ``mask`` is for the lines that people are shown."""

    def reader(earlier: Sequence[Report]) -> LineReader:
        return LineReader(definitions, objective, earlier, mask)

    return reader


def _reported(text: str, mark: re.Match[str] | None) -> dict[str, Any]:
    """What a line of the in-job reporter says; of several marks the first that is whole counts."""
    while mark is not None:
        try:
            found: dict[str, Any] = _JSON.raw_decode(text[mark.end() :])[0]
        except (ValueError, RecursionError):
            # A process may have died within its line, and another one's line follows on it.
            mark = _MARK.search(text, mark.end())
            continue
        return found
    return {}


def _tune_metrics(text: str) -> dict[str, float]:
    """The numbers in a line of Syne Tune's reporter, but for its own."""
    mark = _TUNE_METRIC.search(text)
    if mark is None:
        return {}
    try:
        found, _ = _JSON.raw_decode(text[mark.end() :])
    except (ValueError, RecursionError):
        return {}
    return {name: value for name, value in _numbers(found).items() if not name.startswith(_TUNE_OWN)}


def _numbers(metrics: object) -> dict[str, float]:
    named = metrics.items() if isinstance(metrics, dict) else ()
    return {name: number for name, value in named if (number := _number(value)) is not None}


def _number(value: object) -> float | None:
    if isinstance(value, str):
        return _SPELLED.get(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
