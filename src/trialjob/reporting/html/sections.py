"""The figures of the page, each with what it says in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from trialjob.model.metric import Objective
from trialjob.reporting.html import costs, curves, history, importance, pareto, scores, timeline, use
from trialjob.reporting.html.columns import Column, Figure, finite
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

_NO_SCORE: Final = "No trial has a score."


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
    found = [section(given, id) for id in [*titles(given.state.objective), "use"]]  # noqa: A001 - as of HTML
    order = list(_TITLES)
    said = (each for each in found if each.words or each.id != "use")
    return sorted(said, key=lambda each: order.index(each.id))


def titles(objective: Objective) -> dict[str, str]:
    """The figures that there are of an experiment, and what they are called."""
    without = {"use", *([] if objective.others else ["front"])}  # words alone, and a figure of two objectives
    return {id: title for id, title in _TITLES.items() if id not in without}  # noqa: A001 - as of HTML


def section(given: ReportContext, id: str) -> Section:  # noqa: A002 - the attribute of HTML
    """One of the figures that ``titles`` names."""
    made = _MAKERS[id](given)
    return replace(made, variants=[(name, figure) for name, figure in made.variants if figure["data"]])


def _one(id: str, words: str, figure: Figure) -> Section:  # noqa: A002 - the attribute of HTML
    return Section(id, words, [("", figure)])


def _curves(given: ReportContext) -> Section:
    state, best = given.state, given.best
    return _one("curves", curves.curves_words(state, best), curves.curves_figure(state, best))


def _importance(given: ReportContext) -> Section:
    found = given.importances
    return _one("importance", importance.importance_words(found), importance.importance_figure(found))


def _scatter(given: ReportContext) -> Section:
    trials, places = given.trials, scores.scored(given.trials)
    over_one = [
        (column.name, scores.scatter(column, trials, given.state.objective, given.best, places))
        for column in given.axes
    ]
    return Section("scatter", _scatter_words(given.axes, given), over_one, "hyperparameter")


def _scatter3d(given: ReportContext) -> Section:
    trials, places = given.trials, scores.scored(given.trials)
    over_two = [
        (f"{x.name} and {y.name}", scores.scatter3d((x, y), trials, given.state.objective, places))
        for x, y in scores.pairs(given.axes)
    ]
    in_words = "In three dimensions, for each two of the most important hyperparameters. Drag to turn."
    if given.best is None or not over_two:
        in_words = "It takes two hyperparameters." if given.best is not None else _NO_SCORE
    return Section("scatter3d", in_words, over_two, "hyperparameters")


def _parallel(given: ReportContext) -> Section:
    trials, places = given.trials, scores.scored(given.trials)
    figure = scores.parallel(given.axes, trials, given.state.objective, places)
    return _one("parallel", _parallel_words(given.axes, given), figure)


def _slots(given: ReportContext) -> Section:
    bars = timeline.bars(given.state)
    words, drawn = timeline.slots_words(bars), bars
    if given.live and len(bars) > timeline.MOST_LIVE:
        words += f" The newest {timeline.MOST_LIVE} are drawn."
        drawn = bars[-timeline.MOST_LIVE :]
    return _one("slots", words, timeline.slots_figure(drawn))


_MAKERS: Final[Mapping[str, Callable[[ReportContext], Section]]] = {
    "history": lambda given: Section(
        "history", history.history_words(given), history.variants(given), "against"
    ),
    "curves": _curves,
    "front": lambda given: Section(
        "front", pareto.front_words(given), pareto.front_variants(given), "objectives"
    ),
    "importance": _importance,
    "scatter": _scatter,
    "scatter3d": _scatter3d,
    "parallel": _parallel,
    "slots": _slots,
    "use": lambda given: Section("use", use.use_words(given), []),
    "costs": lambda given: Section("costs", costs.cost_words(given), costs.cost_variants(given), "in"),
}


def _scatter_words(axes: Sequence[Column], given: ReportContext) -> str:
    best = given.best
    if best is None or not axes:
        return _NO_SCORE
    where = "; ".join(
        f"{clean(column.name)} {column.shown(column.values[best.id - 1])}" for column in axes[:8]
    )
    said = f"The best trial, {best.id}, has {where}.{scores.left_out(given.trials, best)}"
    having = sum(finite(trial.score) is not None for trial in given.trials)
    if having > scores.MOST_MARKERS:
        said += f" {scores.MOST_MARKERS} of {having} trials are drawn, evenly chosen."
    return said


def _parallel_words(axes: Sequence[Column], given: ReportContext) -> str:
    if given.best is None:
        return _NO_SCORE
    found = scores.best_tenth(axes[: scores.MOST_AXES], given.trials, given.state.objective)
    where = "; ".join(f"{clean(column.name)} {text}" for column, text in found)
    said = f"The best tenth of the trials have {where}. Drag along an axis to pick out a part of it."
    if len(axes) > scores.MOST_AXES:
        said += f" The {scores.MOST_AXES} most important of {len(axes)} hyperparameters are drawn."
    return said
