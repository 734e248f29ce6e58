"""Which epoch belongs to which value, where regular expressions find the two apart.

A script may print the epoch on the value's own line, before it, or behind it. The first value of an attempt
tells: where it has an epoch on its line or before it, the others are read so too, and one that has none waits
for a line with it, if a regular expression could find one. So no value is given the epoch of the one before.
Where epochs stand before their values, all that come until the next one are of it: an epoch may be evaluated
twice. Where they stand behind, all since the last one are.

Rule 1: what is known besides the reports of the attempt begins anew behind the line of a report: nothing is
gathered there, and whether epochs stand behind their values is read off the reports (``Report.order``). A
value that waits has not been reported, and its report goes up to its own line.
Rule 2: on a line with several values of the objective the others are paired in order where there are as many,
and else stand for all that follow.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from trialjob.model.metric import Objective, Report, ResourceOrder
from trialjob.orchestrator.ports import FoundReport

Values: TypeAlias = Mapping[str, float]
#: Where in a line which metric has which value.
Find: TypeAlias = tuple[int, str, float]


#: How a resource stands in a log that was read there.
_READ = (ResourceOrder.LINE, ResourceOrder.BEFORE, ResourceOrder.BEHIND)
#: So many lines with values wait for one epoch.
_MOST = 1_000


@dataclass(frozen=True, slots=True)
class _Waiting:
    """The values of a line, with no epoch so far."""

    rows: list[dict[str, float]]
    at: float
    cursor: str


class Pairing:
    """Makes reports of what is found in the lines of one attempt."""

    def __init__(self, objective: Objective, earlier: Sequence[Report], *, resource_is_defined: bool) -> None:
        self._metric, self._resource = objective.metric, objective.resource
        self._resource_is_defined = resource_is_defined
        found = [report for report in earlier if report.scraped]
        self._count = len(found)
        #: How the first report had its resource; None where there is none yet, or it is unknown.
        self._first = found[0].order if found else None
        self._is_behind = any(report.order is ResourceOrder.BEHIND for report in earlier)
        #: The resource that was read last, and not counted.
        self._last = next((r.resource for r in reversed(found) if r.order in _READ), math.nan)
        #: What was found since the last report.
        self._gathered: dict[str, float] = {}
        self._waiting: list[_Waiting] = []

    @property
    def waits(self) -> bool:
        """True while values wait for their resource."""
        return bool(self._waiting)

    def take(self, finds: Sequence[Find], at: float, cursor: str) -> list[FoundReport]:
        """The reports that a line completes in which this was found, in this order."""
        if not finds:
            return []
        if all(name != self._metric for _, name, _ in finds):
            return self._take_others({name: value for _, name, value in finds}, cursor)
        rows = _rows(finds, self._metric)
        before, self._gathered = self._gathered, {}
        resource = before.pop(self._resource, math.nan)
        rows[0] = {**before, **rows[0]}
        waits = self._must_wait(rows, resource)
        # What is not known to have an epoch behind it waits no longer than for the next value.
        found = [] if waits and self._is_behind and len(self._waiting) < _MOST else self.release()
        if waits and (self._is_behind or not found):
            self._waiting.append(_Waiting(rows, at, cursor))
            return found
        return found + [self._found(row, resource, at, cursor) for row in rows]

    def release(self) -> list[FoundReport]:
        """The reports of what waits; their resource is counted."""
        waiting, self._waiting = self._waiting, []
        order = ResourceOrder.BEHIND if self._is_behind else ResourceOrder.COUNTED
        # Where epochs have stood behind their values, it is the one that has not come any more.
        resource = self._last + 1 if self._is_behind else math.nan
        return [
            self._found(row, resource, each.at, each.cursor, order) for each in waiting for row in each.rows
        ]

    def drop(self) -> None:
        """Forget every value of the objective that was not sent: the script sends it."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._gathered = {**waiting[-1].rows[-1], **self._gathered}
        self._gathered.pop(self._metric, None)

    def take_gathered(self) -> Values:
        """What was found since the last report, for the next one."""
        gathered, self._gathered = self._gathered, {}
        return gathered

    def report(self, values: Values, at: float, *, counted: float) -> Report:
        """A report that was sent; one without a finite resource has the one that was ``counted``."""
        resource, metrics, _ = self._parted(values, counted)
        # So that a reader which begins behind this line knows it as well.
        order = ResourceOrder.BEHIND if self._is_behind else None
        return Report(resource=resource, metrics=metrics, at=at, order=order)

    def _take_others(self, values: dict[str, float], cursor: str) -> list[FoundReport]:
        """Take in a line without a value of the objective."""
        resource = values.get(self._resource, math.nan)
        if not math.isfinite(resource):
            self._gathered |= values
            return []
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._is_behind = True
            rest, self._gathered = {**self._gathered, **values}, {}
            del rest[self._resource]
            waiting[-1].rows[-1].update(rest)
            order = ResourceOrder.BEHIND
            return [
                self._found(row, resource, each.at, cursor, order) for each in waiting for row in each.rows
            ]
        if self._is_behind:
            # It is that of a value which has been reported.
            self._gathered |= {name: value for name, value in values.items() if name != self._resource}
        elif self._first is ResourceOrder.COUNTED:
            # The first one that is seen at all is that of the value before it, and so is all beside it.
            self._is_behind, self._last = True, resource
        else:
            self._gathered |= values
        return []

    def _must_wait(self, rows: Sequence[Values], resource: float) -> bool:
        if math.isfinite(resource) or any(math.isfinite(row.get(self._resource, math.nan)) for row in rows):
            return False
        return self._is_behind or (not self._count and self._resource_is_defined)

    def _found(
        self,
        row: Values,
        resource: float,
        at: float,
        cursor: str,
        order: ResourceOrder = ResourceOrder.BEFORE,
    ) -> FoundReport:
        """The report of a value whose resource stands elsewhere (``order``), if not on its own line."""
        if self._resource in row and math.isfinite(row[self._resource]):
            # Others stand behind their values; a reader that begins behind this line is to know it as well.
            order = ResourceOrder.BEHIND if self._is_behind else ResourceOrder.LINE
        elif math.isfinite(resource):
            row = {**row, self._resource: resource}
        elif order is ResourceOrder.BEFORE and math.isfinite(self._last) and not self._is_behind:
            row = {**row, self._resource: self._last}
        self._count += 1
        reached, metrics, is_counted = self._parted(row, self._count)
        if is_counted and order is ResourceOrder.BEFORE:
            order = ResourceOrder.COUNTED
        if not is_counted:
            self._last = reached
        if self._count == 1:
            self._first = order
        report = Report(resource=reached, metrics=metrics, at=at, scraped=True, order=order)
        return FoundReport(report=report, cursor=cursor)

    def _parted(self, values: Values, counted: float) -> tuple[float, dict[str, float], bool]:
        metrics = dict(values)
        resource = metrics.pop(self._resource, math.nan)
        is_counted = not math.isfinite(resource)
        return float(counted) if is_counted else resource, metrics, is_counted


def _rows(finds: Sequence[Find], metric: str) -> list[dict[str, float]]:
    """The values of a line that belong to each value of the objective on it."""
    places = [place for place, name, _ in finds if name == metric]
    rows = [{metric: value} for _, name, value in finds if name == metric]
    others: dict[str, list[tuple[int, float]]] = {}
    for place, name, value in finds:
        if name != metric:
            others.setdefault(name, []).append((place, value))
    for name, values in others.items():
        for number, row in enumerate(rows):
            row[name] = _beside(values, places, number)
    return rows


def _beside(values: Sequence[tuple[int, float]], places: Sequence[int], number: int) -> float:
    """Which of a metric's values goes with the objective's value of this ``number``."""
    if len(values) == len(places):
        return values[number][1]
    if len(places) == 1:
        return values[-1][1]
    before = [value for place, value in values if place < places[number]]
    return before[-1] if before else values[0][1]
