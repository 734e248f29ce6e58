"""Several objectives against each other, and the trials that no other beats in all of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from trialjob.model.metric import MetricGoal
from trialjob.orchestrator.core.trial import Trial
from trialjob.reporting import formatting
from trialjob.reporting.html.columns import Figure, finite, label, rounded
from trialjob.reporting.html.context import ReportContext
from trialjob.reporting.html.scales import axis_range, evenly
from trialjob.reporting.html.scores import MOST_MARKERS
from trialjob.reporting.terminal import clean

_MOST_NAMED = 8


def front_variants(given: ReportContext) -> list[tuple[str, Figure]]:
    """A figure for each two objectives; none when there is only one."""
    goals = given.state.objective.goals
    return [
        (f"{clean(goals[x].metric)} and {clean(goals[y].metric)}", _figure(given, goals, x, y))
        for x, y in combinations(range(len(goals)), 2)
    ]


def _values(trial: Trial) -> list[float | None]:
    return [finite(trial.score), *(finite(value) for value in trial.others)]


def _figure(given: ReportContext, goals: Sequence[MetricGoal], x: int, y: int) -> Figure:
    front = {trial.id for trial in given.front}
    having = [
        trial for trial in given.trials if trial.others and None not in (_values(trial)[x], _values(trial)[y])
    ]
    behind = evenly([trial for trial in having if trial.id not in front], MOST_MARKERS)
    # In order of the first of the two, so that a line shows how one is traded for the other.
    ahead = sorted(
        (trial for trial in having if trial.id in front), key=lambda trial: _values(trial)[x] or 0.0
    )
    traces = [
        _trace("beaten by another", behind, x, y)
        | {"marker": {"color": "#8a94a6", "size": 7, "opacity": 0.5}},
        _trace("Pareto front", ahead, x, y)
        | {"marker": {"color": "#e8871e", "size": 10}, "line": {"color": "#e8871e", "dash": "dot"}},
    ]
    traces[1]["mode"] = "lines+markers" if len(goals) == 2 else "markers"  # noqa: PLR2004 - only two make a line
    layout: Figure = {
        "xaxis": _axis(goals[x], [_values(trial)[x] for trial in having]),
        "yaxis": _axis(goals[y], [_values(trial)[y] for trial in having]),
        "hovermode": "closest",
        "showlegend": True,
    }
    return {"data": [trace for trace in traces if trace["x"]], "layout": layout}


def _trace(name: str, trials: Sequence[Trial], x: int, y: int) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": rounded(_values(trial)[x] for trial in trials),
        "y": rounded(_values(trial)[y] for trial in trials),
        "customdata": [trial.id for trial in trials],
        "hovertemplate": "trial %{customdata}: %{x}, %{y}<extra></extra>",
    }


def _axis(goal: MetricGoal, values: Sequence[float | None]) -> Figure:
    title = f"{label(goal.metric)} ({'more' if goal.mode.value == 'max' else 'less'} is better)"
    return {"title": {"text": title}, "range": axis_range(values)}


def front_words(given: ReportContext) -> str:
    """Which trials are on the front, in words."""
    if not given.front:
        return "No trial has a value of every objective."
    named = "; ".join(
        f"trial {trial.id} with {clean(formatting.scores(trial, given.state.objective))}"
        for trial in given.front[:_MOST_NAMED]
    )
    more = " …" if len(given.front) > _MOST_NAMED else ""
    which = formatting.several(len(given.front), "trial")
    return f"{which} that no other beats in every objective: {named}{more}."
