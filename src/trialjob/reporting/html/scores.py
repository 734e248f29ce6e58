"""Scores against hyperparameters: scatter in two and three dimensions, and parallel coordinates.

Rule: a trial without a score, or with one that is no finite number, has no place on these and is counted in
the words beside them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Final

from trialjob.model.metric import Mode, Objective
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core.trial import Trial
from trialjob.reporting import formatting
from trialjob.reporting.html.columns import Column, Figure, Scale, finite, label, rounded
from trialjob.reporting.html.scales import axis_range, evenly

#: Markers or lines of a figure; more cannot be told apart and take seconds to draw.
MOST_MARKERS = 2000
#: Axes of the parallel coordinates beside the objective's, and hyperparameters that are paired in 3-D.
MOST_AXES = 10
_PAIRED = 5
_MOST_TICKS = 20
#: How far a category's markers are spread, of the distance to the next.
_SPREAD = 0.5
_GOLDEN = 0.6180339887498949

_GROUPS = (
    ("pruned or cut short", "#8a94a6", 0.55),
    ("completed", "#3b7dd8", 0.75),
    ("best", "#e8871e", 1.0),
)


def left_out(trials: Sequence[Trial], best: Trial | None) -> str:
    """How many of ``trials`` have no place on these, behind a space; "" when all have one."""
    out = [trial.id for trial in trials if finite(trial.score) is None]
    if not out:
        return ""
    has = "has" if len(out) == 1 else "have"
    among = f", the best one, {best.id}, among them" if best is not None and best.id in out else ""
    return f" {formatting.several(len(out), 'trial')} without a finite score {has} no place here{among}."


def scored(trials: Sequence[Trial]) -> list[int]:
    """The places of the trials that are drawn, thinned evenly when there are too many."""
    places = [place for place, trial in enumerate(trials) if finite(trial.score) is not None]
    return evenly(places, MOST_MARKERS)


def scatter(
    column: Column, trials: Sequence[Trial], objective: Objective, best: Trial | None, places: Sequence[int]
) -> Figure:
    """The score against one hyperparameter."""
    groups: list[list[int]] = [[], [], []]
    for place in dict.fromkeys([*places, *([best.id - 1] if best is not None else [])]):
        if column.values[place] is not None:
            groups[_group(trials[place], best)].append(place)
    traces = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": name if best is None or name != "best" else f"best: trial {best.id}",
            "x": rounded(_spread(column, place, trials[place].id) for place in group),
            "y": rounded(trials[place].score for place in group),
            "customdata": [[trials[place].id, column.shown(column.values[place])] for place in group],
            "marker": {
                "color": colour,
                "opacity": opacity,
                "size": 12 if name == "best" else 7,
                "symbol": "star" if name == "best" else "circle",
            },
            "hovertemplate": "trial %{customdata[0]}: %{y} at %{customdata[1]}<extra></extra>",
        }
        for (name, colour, opacity), group in zip(_GROUPS, groups, strict=True)
        if group
    ]
    scores = [trials[place].score for place in places]
    layout: Figure = {
        "xaxis": axis(column),
        "yaxis": {"title": {"text": label(objective.metric)}, "range": axis_range(scores)},
        "hovermode": "closest",
        "showlegend": True,
    }
    return {"data": traces, "layout": layout}


def _group(trial: Trial, best: Trial | None) -> int:
    if best is not None and trial.id == best.id:
        return 2
    return 1 if trial.status is TrialStatus.COMPLETED else 0


def _spread(column: Column, place: int, number: int) -> float | None:
    """Markers of one category side by side, always in the same places."""
    value = column.values[place]
    if value is None or column.scale is not Scale.CATEGORY:
        return value
    return value + _SPREAD * (number * _GOLDEN % 1.0 - 0.5)


def axis(column: Column) -> Figure:
    """A hyperparameter's axis."""
    found: Figure = {"title": {"text": label(column.name)}, "type": "linear"}
    if column.scale is Scale.LOG:
        found["type"] = "log"
    if column.scale is Scale.CATEGORY:
        ticks = evenly(range(len(column.categories)), _MOST_TICKS)
        found |= {
            "tickmode": "array",
            "tickvals": ticks,
            "ticktext": [label(column.categories[tick]) for tick in ticks],
            "range": [-0.6, len(column.categories) - 0.4],
        }
    return found


def pairs(columns: Sequence[Column]) -> list[tuple[Column, Column]]:
    """The pairs of hyperparameters that are shown in three dimensions."""
    return list(combinations(columns[:_PAIRED], 2))


def scatter3d(
    pair: tuple[Column, Column], trials: Sequence[Trial], objective: Objective, places: Sequence[int]
) -> Figure:
    """The score over two hyperparameters."""
    first, second = pair
    shown = [p for p in places if first.values[p] is not None and second.values[p] is not None]
    scores = rounded(trials[place].score for place in shown)
    trace = {
        "type": "scatter3d",
        "mode": "markers",
        "x": rounded(first.values[place] for place in shown),
        "y": rounded(second.values[place] for place in shown),
        "z": scores,
        "customdata": [
            [trials[p].id, first.shown(first.values[p]), second.shown(second.values[p])] for p in shown
        ],
        "marker": {"size": 4, "color": scores, **_colours(scores, objective)},
        "hovertemplate": "trial %{customdata[0]}: %{z} at %{customdata[1]}, %{customdata[2]}<extra></extra>",
    }
    layout = {
        "scene": {
            "xaxis": axis(first),
            "yaxis": axis(second),
            "zaxis": {"title": {"text": label(objective.metric)}, "range": axis_range(scores)},
        },
        "height": 520,
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
    }
    return {"data": [trace] if shown else [], "layout": layout}


#: From the worst to the best score, on white; the page has the same for a dark background.
_FROM_WORST: Final = [[0, "#c3cbd6"], [0.5, "#4f8ad0"], [1, "#8a2c02"]]


def _colours(scores: Sequence[float | None], objective: Objective) -> Figure:
    shown = axis_range(scores) or [
        min((s for s in scores if s is not None), default=0.0),
        max((s for s in scores if s is not None), default=1.0),
    ]
    return {
        "cmin": shown[0],
        "cmax": shown[1],
        "colorscale": _FROM_WORST,
        "reversescale": objective.mode is Mode.MIN,
        "showscale": True,
    }


def parallel(
    columns: Sequence[Column], trials: Sequence[Trial], objective: Objective, places: Sequence[int]
) -> Figure:
    """A line for each trial through the most important hyperparameters to its score."""
    scores = rounded(trials[place].score for place in places)
    if not places:
        return {"data": [], "layout": {}}
    score_axis: Figure = {"label": label(objective.metric), "values": scores}
    shown = axis_range(scores)
    if shown is not None:
        score_axis["range"] = shown
    trace = {
        "type": "parcoords",
        "line": {"color": scores, **_colours(scores, objective)},
        "dimensions": [*(_dimension(column, places) for column in columns[:MOST_AXES]), score_axis],
        "labelside": "top",
    }
    return {"data": [trace], "layout": {"margin": {"l": 80, "r": 80, "t": 60, "b": 30}}}


def _dimension(column: Column, places: Sequence[int]) -> Figure:
    """One axis; what is inactive in a trial has a place of its own below the others."""
    values = [column.values[place] for place in places]
    if column.scale is Scale.LOG:
        values = [None if value is None else math.log10(value) for value in values]
    known = [value for value in values if value is not None]
    low, high = min(known, default=0.0), max(known, default=1.0)
    ticks, texts = _ticks(column, low, high)
    if len(known) < len(values):
        below = low - 0.15 * (high - low or 1.0)
        values = [below if value is None else value for value in values]
        ticks, texts, low = [below, *ticks], ["none", *texts], below
    if low == high:
        low, high = low - 0.5, high + 0.5
    return {
        "label": label(column.name),
        "values": rounded(values),
        "range": [low, high],
        "tickvals": ticks,
        "ticktext": texts,
    }


def _ticks(column: Column, low: float, high: float) -> tuple[list[float], list[str]]:
    if column.scale is Scale.CATEGORY:
        shown = evenly(range(len(column.categories)), _MOST_TICKS)
        return [float(place) for place in shown], [label(column.categories[place]) for place in shown]
    places = [low + (high - low) * part / 4 for part in range(5)] if high > low else [low]
    if column.scale is Scale.LOG:
        return places, [formatting.number(10**place) for place in places]
    return places, [formatting.number(place) for place in places]


def best_tenth(
    columns: Sequence[Column], trials: Sequence[Trial], objective: Objective
) -> list[tuple[Column, str]]:
    """Where the best tenth of the trials (three at least) lie on each axis, in words."""
    places = [place for place, trial in enumerate(trials) if finite(trial.score) is not None]
    places.sort(key=lambda place: -objective.key(trials[place].score or 0.0))
    places = places[: max(3, len(places) // 10)]
    return [(column, _where(column, [column.values[place] for place in places])) for column in columns]


def _where(column: Column, values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "not used"
    if column.scale is Scale.CATEGORY:
        counts = {value: known.count(value) for value in dict.fromkeys(known)}
        most = sorted(counts, key=lambda value: -counts[value])[:3]
        return " or ".join(column.shown(value) for value in most)
    low, high = min(known), max(known)
    return column.shown(low) if low == high else f"{column.shown(low)} to {column.shown(high)}"
