"""The figures of the page, each with what it says in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trialjob.reporting import formatting
from trialjob.reporting.html import costs, curves, history, importance, pareto, scores, timeline
from trialjob.reporting.html.columns import Column, columns
from trialjob.reporting.html.context import ReportContext
from trialjob.reporting.terminal import clean


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A figure with what it says in words."""

    id: str
    title: str
    words: str
    #: What can be chosen, and the figure of each choice.
    variants: Sequence[tuple[str, Mapping[str, Any]]]
    #: What is chosen.
    choice: str = ""


def sections(given: ReportContext) -> list[Section]:
    """The figures in the order of the page."""
    state, trials, objective = given.state, given.trials, given.state.objective
    axes = _most_important_first(columns(trials, given.domains), given.importances)
    places = scores.scored(trials)
    bars = timeline.bars(state)
    return [
        Section(
            id="history",
            title="How the best score came about",
            words=history.history_words(given),
            variants=_drawable(history.variants(given)),
            choice="against",
        ),
        Section(
            id="curves",
            title="Learning curves",
            words=curves.curves_words(state, given.best),
            variants=_drawable([("", curves.curves_figure(state, given.best))]),
        ),
        *_front(given),
        Section(
            id="importance",
            title="Which hyperparameters matter",
            words=importance.importance_words(given.importances),
            variants=_drawable([("", importance.importance_figure(given.importances))]),
        ),
        Section(
            id="scatter",
            title="Score against a hyperparameter",
            words=_scatter_words(axes, given),
            variants=_drawable(
                [
                    (column.name, scores.scatter(column, trials, objective, given.best, places))
                    for column in axes
                ]
            ),
            choice="hyperparameter",
        ),
        Section(
            id="scatter3d",
            title="Score over two hyperparameters",
            words="In three dimensions, for each two of the most important hyperparameters. Drag to turn.",
            variants=_drawable(
                [
                    (f"{pair[0].name} and {pair[1].name}", scores.scatter3d(pair, trials, objective, places))
                    for pair in scores.pairs(axes)
                ]
            ),
            choice="hyperparameters",
        ),
        Section(
            id="parallel",
            title="All hyperparameters at once",
            words=_parallel_words(axes, given),
            variants=_drawable([("", scores.parallel(axes, trials, objective, places))]),
        ),
        Section(
            id="slots",
            title="Who used which slot when",
            words=timeline.slots_words(bars),
            variants=_drawable([("", timeline.slots_figure(bars))]),
        ),
        Section(
            id="costs",
            title="Where it went",
            words=costs.cost_words(given),
            variants=_drawable(costs.cost_variants(given)),
            choice="in",
        ),
    ]


def _front(given: ReportContext) -> list[Section]:
    if not given.state.objective.others:
        return []
    return [
        Section(
            id="front",
            title="One objective against another",
            words=pareto.front_words(given),
            variants=_drawable(pareto.front_variants(given)),
            choice="objectives",
        )
    ]


def _drawable(variants: Sequence[tuple[str, Mapping[str, Any]]]) -> list[tuple[str, Mapping[str, Any]]]:
    return [(name, figure) for name, figure in variants if figure["data"]]


def _most_important_first(found: list[Column], importances: Mapping[str, float]) -> list[Column]:
    return sorted(found, key=lambda column: -importances.get(column.name, 0.0))


def _scatter_words(axes: Sequence[Column], given: ReportContext) -> str:
    best = given.best
    if best is None or not axes:
        return "No trial has a score yet."
    where = "; ".join(
        f"{clean(column.name)} {column.shown(column.values[best.id - 1])}" for column in axes[:8]
    )
    left_out = sum(1 for trial in given.trials if trial.score is None)
    said = f"The best trial, {best.id}, has {where}."
    if left_out:
        said += f" {formatting.several(left_out, 'trial')} without a score have no place here."
    having = len(given.trials) - left_out
    if having > scores.MOST_MARKERS:
        said += f" {scores.MOST_MARKERS} of {having} trials are drawn, evenly chosen."
    return said


def _parallel_words(axes: Sequence[Column], given: ReportContext) -> str:
    if given.best is None:
        return "No trial has a score yet."
    found = scores.best_tenth(axes[: scores.MOST_AXES], given.trials, given.state.objective)
    where = "; ".join(f"{clean(column.name)} {text}" for column, text in found)
    said = f"The best tenth of the trials have {where}. Drag along an axis to pick out a part of it."
    if len(axes) > scores.MOST_AXES:
        said += f" The {scores.MOST_AXES} most important of {len(axes)} hyperparameters are drawn."
    return said
