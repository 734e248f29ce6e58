"""The figures of the page, each with what it says in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from trialjob.reporting import formatting
from trialjob.reporting.html import costs, curves, history, importance, pareto, scores, timeline, use
from trialjob.reporting.html.columns import Column, Figure, columns
from trialjob.reporting.html.context import ReportContext
from trialjob.reporting.terminal import clean

#: What can be chosen, and the figure of each choice.
Variants: TypeAlias = Sequence[tuple[str, Figure]]

_TITLES: Final = {
    "history": "How the best score came about",
    "curves": "Learning curves",
    "front": "One objective against another",
    "importance": "Which hyperparameters matter",
    "scatter": "Score against a hyperparameter",
    "scatter3d": "Score over two hyperparameters",
    "parallel": "All hyperparameters at once",
    "slots": "Who used which slot when",
    "use": "How much of their machines the trials used",
    "costs": "Where it went",
}


@dataclass(frozen=True, slots=True)
class Section:
    """A figure with what it says in words."""

    id: str
    words: str
    variants: Variants
    #: What is chosen.
    choice: str = ""

    @property
    def title(self) -> str:
        """Its heading."""
        return _TITLES[self.id]


def sections(given: ReportContext) -> list[Section]:
    """The figures in the order of the page."""
    state = given.state
    axes = _most_important_first(columns(given.trials, given.domains), given.importances)
    bars = timeline.bars(state)
    found = [
        Section("history", history.history_words(given), history.variants(given), "against"),
        _one("curves", curves.curves_words(state, given.best), curves.curves_figure(state, given.best)),
        *_front(given),
        _one(
            "importance",
            importance.importance_words(given.importances),
            importance.importance_figure(given.importances),
        ),
        *_scored(axes, given),
        _one("slots", timeline.slots_words(bars), timeline.slots_figure(bars)),
        *([Section("use", words, [])] if (words := use.use_words(given)) else []),
        Section("costs", costs.cost_words(given), costs.cost_variants(given), "in"),
    ]
    return [replace(each, variants=_drawable(each.variants)) for each in found]


def _one(id: str, words: str, figure: Figure) -> Section:  # noqa: A002 - the attribute of HTML
    return Section(id, words, [("", figure)])


def _front(given: ReportContext) -> list[Section]:
    if not given.state.objective.others:
        return []
    return [Section("front", pareto.front_words(given), pareto.front_variants(given), "objectives")]


def _scored(axes: Sequence[Column], given: ReportContext) -> list[Section]:
    """Every trial's score, over one hyperparameter, over two, and over all."""
    trials, objective = given.trials, given.state.objective
    places = scores.scored(trials)
    over_one = [
        (column.name, scores.scatter(column, trials, objective, given.best, places)) for column in axes
    ]
    over_two = [
        (f"{x.name} and {y.name}", scores.scatter3d((x, y), trials, objective, places))
        for x, y in scores.pairs(axes)
    ]
    in_words = "In three dimensions, for each two of the most important hyperparameters. Drag to turn."
    return [
        Section("scatter", _scatter_words(axes, given), over_one, "hyperparameter"),
        Section("scatter3d", in_words, over_two, "hyperparameters"),
        _one("parallel", _parallel_words(axes, given), scores.parallel(axes, trials, objective, places)),
    ]


def _drawable(variants: Variants) -> Variants:
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
