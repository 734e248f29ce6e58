"""How trials learn in a simulation: from a function, from a table, or as those of an earlier experiment did.

A curve is what one trial would report if it ran to its end; which of it a job reports, and when, follows from
what earlier jobs of the trial have saved.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import fmean, median
from typing import TypeAlias

from trialjob.backends.simulator.job_script import JobScript
from trialjob.errors import UsageError
from trialjob.model.cells import of_cell
from trialjob.model.ids import JobName
from trialjob.model.job import JobRequest
from trialjob.model.metric import Objective
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One trial, if it runs to its end."""

    #: Resource and value of each report, in order.
    points: Sequence[tuple[float, float]]
    #: Seconds for one unit of the resource.
    pace: float

    def reaching(self, resource: float, gain: Callable[[float, float], float]) -> Curve:
        """This curve, drawn out to ``resource`` in steps like its last, by the ``gain`` of each step."""
        points = list(self.points)
        step = points[-1][0] - (points[-2][0] if len(points) > 1 else 0.0)
        while points[-1][0] + step <= resource * (1 + 1e-9):
            last, value = points[-1]
            points.append((last + step, value + gain(last, last + step)))
        return Curve(points=points, pace=self.pace)


#: The curve of the trial that a request is for; equal for all attempts of the trial.
Curves: TypeAlias = Callable[[JobRequest], Curve]


class Learning:
    """What each job does in a world where trials learn by ``curves``."""

    def __init__(
        self,
        curves: Curves,
        objective: Objective,
        *,
        saved: Callable[[JobName], int] = lambda _job: 0,
        checkpoints: bool = True,
        startup: float = 0.0,
    ) -> None:
        """``saved`` tells a job's number of reports; with ``checkpoints`` its trial goes on from there.

        ``startup`` is how many seconds pass before each job's first epoch.
        """
        self._curves = curves
        self._saved = saved
        self._checkpoints = checkpoints
        self._startup = startup
        self._resource = json.dumps(objective.resource)
        # What is to be good beside the objective is told too, as the same number: nothing is pruned by it.
        self._metrics = [
            json.dumps(name) for name in (objective.metric, *(a.metric for a in objective.others))
        ]
        #: How many reports all attempts of a trial before its newest have made.
        self._done: dict[JobName, int] = {}

    def __call__(self, request: JobRequest) -> JobScript:
        curve, done = self._curves(request), 0
        if self._checkpoints and request.attempt > 1:
            before = JobName(f"{request.job.rpartition('-')[0]}-{request.attempt - 1}")
            done = min(self._done.get(before, 0) + self._saved(before), len(curve.points))
        self._done[request.job] = done
        begun = curve.points[done - 1][0] if done else 0.0
        lines = [
            (self._startup + curve.pace * (resource - begun), self._line(resource, value))
            for resource, value in curve.points[done:]
        ]
        return JobScript(
            lines=lines, runs_for=lines[-1][0] if lines else self._startup, checkpoints=self._checkpoints
        )

    def _line(self, resource: float, value: float) -> str:
        number = repr(value) if math.isfinite(value) else "NaN"
        metrics = ", ".join(f"{name}: {number}" for name in self._metrics)
        return f'[trialjob] {{"metrics": {{{self._resource}: {resource:.15g}, {metrics}}}}}'


# Curves that were recorded


@dataclass(frozen=True, slots=True)
class Recorded:
    """The curves of earlier trials, as far as each of them came."""

    curves: tuple[Curve, ...]

    @property
    def pace(self) -> float:
        """Seconds for one unit of the resource, of the middle trial."""
        return median(curve.pace for curve in self.curves)

    def at_pace(self, pace: float) -> Recorded:
        """The same curves, sped up or slowed down until the middle trial has that pace."""
        factor = pace / self.pace
        return Recorded(tuple(replace(curve, pace=curve.pace * factor) for curve in self.curves))

    @property
    def end(self) -> float:
        """The furthest that any of them came."""
        return max(curve.points[-1][0] for curve in self.curves)

    def whole(self, resource: float) -> tuple[Curve, ...]:
        """All of them drawn out to ``resource``: those that were ended early go as those that went on."""
        return tuple(
            Curve(
                points=[p for p in curve.reaching(resource, self._gain).points if p[0] <= resource],
                pace=curve.pace,
            )
            for curve in self.curves
        )

    def _gain(self, begin: float, end: float) -> float:
        gains = []
        for curve in self.curves:
            known = dict(curve.points)
            if begin in known and end in known:
                gains.append(known[end] - known[begin])
        return fmean(gains) if gains else 0.0


def from_experiment(state: State) -> Recorded:
    """What the trials of an experiment have reported. Raises UsageError when that tells no pace."""
    paces = {trial.id: pace for trial in state.trials if (pace := _pace(trial)) is not None}
    if not paces:
        raise UsageError(
            f"{state.name} has no trial with two reports, so an epoch's length is not known;"
            " name another experiment, or write --epoch-seconds"
        )
    usual = median(paces.values())
    return Recorded(
        tuple(
            Curve(points=_finite(trial.curve), pace=paces.get(trial.id, usual))
            for trial in state.trials
            if _finite(trial.curve)
        )
    )


def _finite(curve: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(resource, value) for resource, value in curve if resource > 0 and math.isfinite(value)]


def _pace(trial: Trial) -> float | None:
    """Seconds for a unit of the resource, between two reports of the same job."""
    paces: list[float] = []
    first = 0
    for attempt in trial.attempts:
        reports = trial.reports[first : first + attempt.reports]
        first += attempt.reports
        for one, next_ in pairwise(reports):
            if next_.resource > one.resource and next_.at > one.at:
                paces.append((next_.at - one.at) / (next_.resource - one.resource))
    return median(paces) if paces else None


def from_table(text: str, where: str, objective: Objective) -> Recorded:
    """A CSV file with a line for each report: trial, resource, metric, and seconds since the trial began.

    Raises UsageError when a column is missing, or no trial has two lines.
    """
    table = csv.DictReader(io.StringIO(text))
    table.fieldnames = columns = [of_cell(name) for name in table.fieldnames or ()]
    wanted = ("trial", objective.resource, objective.metric, "seconds")
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise UsageError(
            f"--like {where} has no column {', '.join(missing)}; it has: {', '.join(columns) or 'none'}"
        )
    trials: dict[str, list[tuple[float, float, float]]] = {}
    for number, row in enumerate(table, start=2):
        try:
            cells = tuple(float(row[name]) for name in wanted[1:])
        except (TypeError, ValueError):
            raise UsageError(f"--like {where}, line {number}: a cell that is no number: {row}") from None
        if cells[0] <= 0 or cells[2] <= 0 or not all(map(math.isfinite, cells)):
            raise UsageError(f"--like {where}, line {number}: resource and seconds must be above 0: {row}")
        trials.setdefault(row["trial"], []).append((cells[0], cells[1], cells[2]))
    curves = [_curve(sorted(rows)) for rows in trials.values()]
    if not curves:
        raise UsageError(f"--like {where} has no lines")
    return Recorded(tuple(curves))


def _curve(rows: Sequence[tuple[float, float, float]]) -> Curve:
    last, _, seconds = rows[-1]
    return Curve(points=[(resource, value) for resource, value, _ in rows], pace=seconds / last)
