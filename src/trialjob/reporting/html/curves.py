"""Learning curves: which to draw when there are more than a person can tell apart, and the figure.

Rule: what was left out is said in words beside the figure.
"""

from __future__ import annotations

from collections.abc import Sequence

from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core.best import counts_as_best
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial
from trialjob.reporting import formatting
from trialjob.reporting.html.columns import Figure, label, rounded
from trialjob.reporting.html.scales import axis_range, evenly
from trialjob.reporting.terminal import clean

MOST_CURVES = 200
#: Of those, so many are the best ones.
_BEST = 50
_MOST_POINTS = 150
_MOST_RUNGS = 30

#: Status groups from the background to the foreground, with colour, opacity and width.
_GROUPS = (
    ("pruned", (TrialStatus.PRUNED,), "#8a94a6", 0.55, 1.0),
    ("failed or cancelled", (TrialStatus.FAILED, TrialStatus.CANCELLED), "#d64545", 0.6, 1.0),
    ("running or paused", (TrialStatus.RUNNING, TrialStatus.PAUSED), "#1fa37a", 0.8, 1.2),
    ("completed", (TrialStatus.COMPLETED, TrialStatus.METRICS_UNAVAILABLE), "#3b7dd8", 0.7, 1.2),
)


def chosen(state: State) -> list[Trial]:
    """The trials whose curves are drawn: all, or the best ones and an even sample of the others."""
    drawable = [trial for trial in state.trials if trial.curve]
    if len(drawable) <= MOST_CURVES:
        return drawable
    key = state.objective.key
    ranked = sorted(
        (trial for trial in drawable if counts_as_best(trial)),
        key=lambda trial: (-key(trial.score or 0.0), trial.id),
    )
    best = ranked[:_BEST]
    kept = {trial.id for trial in best}
    others = [trial for trial in drawable if trial.id not in kept]
    return sorted([*best, *evenly(others, MOST_CURVES - len(best))], key=lambda trial: trial.id)


def curves_figure(state: State, best: Trial | None) -> Figure:
    """One trace for each group of trials, so that hundreds of curves are drawn as quickly as four."""
    shown = chosen(state)
    traces = [
        _trace(name, [t for t in shown if t.status in statuses and t is not best], colour, opacity, width)
        for name, statuses, colour, opacity, width in _GROUPS
    ]
    if best is not None and best.curve:
        traces.append(_trace(f"best: trial {best.id}", [best], "#e8871e", 1.0, 3.0))
    values = [value for trial in shown for _resource, value in trial.curve]
    layout: Figure = {
        "xaxis": {"title": {"text": label(state.objective.resource)}},
        "yaxis": {"title": {"text": label(state.objective.metric)}, "range": axis_range(values)},
        "shapes": [_rung(rung) for rung in drawn_rungs(state)],
        "hovermode": "closest",
        "showlegend": True,
    }
    return {"data": [trace for trace in traces if trace["x"]], "layout": layout}


def drawn_rungs(state: State) -> list[float]:
    """The rungs that are drawn: all, unless there are more than can be told apart."""
    rungs = sorted(state.rungs)
    return rungs if len(rungs) <= _MOST_RUNGS else []


def _trace(name: str, trials: Sequence[Trial], colour: str, opacity: float, width: float) -> Figure:
    x: list[float | None] = []
    y: list[float | None] = []
    numbers: list[int | None] = []
    for trial in trials:
        points = evenly(trial.curve, _MOST_POINTS)
        # A gap in the data is what keeps two curves of a trace apart.
        x += [*rounded(resource for resource, _value in points), None]
        y += [*rounded(value for _resource, value in points), None]
        numbers += [*([trial.id] * len(points)), None]
    longest = max((len(trial.curve) for trial in trials), default=0)
    return {
        "type": "scatter",
        # A curve of one point is no line.
        "mode": "lines" if longest > 1 and len(trials) > 1 else "lines+markers",
        "name": name,
        "x": x,
        "y": y,
        "customdata": numbers,
        "opacity": opacity,
        "line": {"color": colour, "width": width},
        "marker": {"size": 5},
        "hovertemplate": "trial %{customdata}: %{y} at %{x}<extra></extra>",
    }


def _rung(rung: float) -> Figure:
    return {
        "type": "line",
        "xref": "x",
        "yref": "paper",
        "x0": rung,
        "x1": rung,
        "y0": 0,
        "y1": 1,
        "line": {"color": "#8a94a6", "width": 1, "dash": "dot"},
    }


def curves_words(state: State, best: Trial | None) -> str:
    """What the figure shows, for who cannot see it, and what it leaves out."""
    having = sum(1 for trial in state.trials if trial.curve)
    if not having:
        return "No trial has reported the objective."
    said = []
    if best is not None and best.curve:
        (_first, begin), (last, end) = best.curve[0], best.curve[-1]
        said.append(
            f"The best trial went from {formatting.number(begin)} to {formatting.number(end)}"
            f" by {clean(state.objective.resource)} {formatting.number(last)}."
        )
    pruned = sorted(
        t.resource for t in state.trials if t.status is TrialStatus.PRUNED and t.resource is not None
    )
    if pruned:
        half = f"{clean(state.objective.resource)} {formatting.number(pruned[len(pruned) // 2])}"
        of = f"{len(pruned)} of {formatting.several(len(state.trials), 'trial')}"
        said.append(
            f"{of} was pruned, at {half}; it is dimmed."
            if len(pruned) == 1
            else f"{of} were pruned, half of them by {half}; they are dimmed."
        )
    rungs = sorted(state.rungs)
    if rungs:
        drawn = "dotted lines" if drawn_rungs(state) else "too many to draw"
        shown = ", ".join(formatting.number(rung) for rung in rungs[:8]) + (" …" if len(rungs) > 8 else "")  # noqa: PLR2004 - a line of text
        said.append(f"Trials were compared at {shown} ({drawn}).")
    if having > MOST_CURVES:
        said.append(
            f"Of {having} curves {MOST_CURVES} are drawn: the best {_BEST} and an even sample of the others."
        )
    return " ".join(said)
