"""How the best score came about: against trials, hours and dollars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias

from trialjob.model.metric import Objective
from trialjob.orchestrator.core.best import counts_as_best
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial
from trialjob.reporting import formatting
from trialjob.reporting.html.columns import Figure, finite, label, rounded
from trialjob.reporting.html.context import ReportContext
from trialjob.reporting.html.scales import axis_range, evenly
from trialjob.reporting.html.scores import MOST_MARKERS, left_out


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """One trial that has a score, and what had been spent when it ended."""

    trial: Trial
    #: Hours since the experiment was created.
    hours: float
    #: Dollars of all trials that had ended by then; None when that is not known.
    dollars: float | None
    #: The best score by then.
    best: float | None


def finished_at(trial: Trial) -> float:
    """When a trial was last heard of, in seconds since the epoch."""
    last = trial.last
    if last is not None and last.end is not None and last.end.ended_at is not None:
        return last.end.ended_at
    if trial.reports:
        return trial.reports[-1].at
    return trial.proposed_at if last is None else last.intended_at


def endings(given: ReportContext) -> list[Ending]:
    """The trials with a score in the order in which they ended."""
    state = given.state
    ended = sorted(
        (trial for trial in given.trials if trial.attempts), key=lambda trial: (finished_at(trial), trial.id)
    )
    costs = [given.rows[trial.id - 1].dollars for trial in ended]
    # A trial that is still running has no cost yet; of one that has ended and has none, it is unknown.
    known = any(costs) and all(
        cost is not None for trial, cost in zip(ended, costs, strict=True) if trial.ended
    )
    spent = list(accumulate(cost or 0.0 for cost in costs))
    found: list[Ending] = []
    best: float | None = None
    for trial, dollars in zip(ended, spent, strict=True):
        if finite(trial.score) is None or trial.score is None:
            continue
        if counts_as_best(trial) and (best is None or state.objective.better(trial.score, best)):
            best = trial.score
        hours = max(0.0, finished_at(trial) - state.created_at) / 3600
        found.append(Ending(trial=trial, hours=hours, dollars=dollars if known else None, best=best))
    return found


def variants(given: ReportContext) -> list[tuple[str, Figure]]:
    """The history against trials, against hours, and against dollars where those are known."""
    state, ends = given.state, endings(given)
    by_number = sorted(ends, key=lambda ending: ending.trial.id)
    found = [("trials", _figure(_in_order(by_number, state), "trial", state))]
    found.append(("hours", _figure([(e.hours, e.trial, e.best) for e in ends], "hours", state)))
    dollars = [(e.dollars, e.trial, e.best) for e in ends if e.dollars is not None]
    if dollars:
        found.append(("dollars", _figure(dollars, "dollars", state)))
    return found


_Point: TypeAlias = tuple[float, Trial, float | None]


def _in_order(ends: Sequence[Ending], state: State) -> list[_Point]:
    """Against the trials' numbers the best so far is that of the smaller numbers."""
    points: list[_Point] = []
    best: float | None = None
    for ending in ends:
        score = ending.trial.score
        if (
            score is not None
            and counts_as_best(ending.trial)
            and (best is None or state.objective.better(score, best))
        ):
            best = score
        points.append((float(ending.trial.id), ending.trial, best))
    return points


def _figure(points: Sequence[_Point], x_title: str, state: State) -> Figure:
    objective: Objective = state.objective
    shown = evenly(points, MOST_MARKERS)
    # The line needs a point only where it steps, and at its end.
    steps = [p for before, p in zip([None, *points], points, strict=False) if not before or before[2] != p[2]]
    line = [*steps, *points[-1:]]
    traces: list[Figure] = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "trial",
            "x": rounded(point[0] for point in shown),
            "y": rounded(point[1].score for point in shown),
            "customdata": [[trial.id, trial.status.value.replace("_", " ")] for _x, trial, _best in shown],
            "marker": {"color": "#3b7dd8", "opacity": 0.55, "size": 7},
            "hovertemplate": "trial %{customdata[0]}, %{customdata[1]}: %{y}<extra></extra>",
        },
        {
            "type": "scatter",
            "mode": "lines",
            "name": "best so far",
            "x": rounded(point[0] for point in line),
            "y": rounded(point[2] for point in line),
            "line": {"color": "#e8871e", "width": 3, "shape": "hv"},
            "hovertemplate": "best so far: %{y}<extra></extra>",
        },
    ]
    scores = [point[1].score for point in points]
    layout: Figure = {
        "xaxis": {"title": {"text": x_title}, "rangemode": "tozero"},
        "yaxis": {"title": {"text": label(objective.metric)}, "range": axis_range(scores)},
        "hovermode": "closest",
        "showlegend": True,
    }
    return {"data": traces if points else [], "layout": layout}


def history_words(given: ReportContext) -> str:
    """How the best score came about, in words."""
    ends = [ending for ending in endings(given) if ending.best is not None]
    infinite = left_out([trial for trial in given.trials if trial.score is not None], given.best)
    if not ends:
        return infinite.strip() or "No trial has a score."
    steps = [e for before, e in zip([None, *ends], ends, strict=False) if not before or before.best != e.best]
    first, last = steps[0], steps[-1]
    after = len(ends) - 1 - ends.index(last)
    said = f"The first score was {formatting.number(first.best)} (trial {first.trial.id})"
    if len(steps) > 1:
        said += (
            f"; it was improved {formatting.several(len(steps) - 1, 'time')}, "
            f"the last time by trial {last.trial.id}, which ended after "
            f"{formatting.duration(last.hours * 3600)} with {formatting.number(last.best)}"
        )
    tail = f" {formatting.several(after, 'trial')} ended after it and did not improve on it." if after else ""
    thinned = f" {MOST_MARKERS} of {len(ends)} trials are drawn." if len(ends) > MOST_MARKERS else ""
    return f"{said}.{tail}{infinite}{thinned}"
