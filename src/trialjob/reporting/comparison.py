"""Experiments side by side: what came out, what it took, and in what their specs differ.

Rule: what is not known is a dash; and bests are compared at equal numbers of trials, because the one that ran
longer is ahead by that alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from trialjob.model.json import Json, canonical_json
from trialjob.model.masking import masked
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core.best import best_trial, counts_as_best
from trialjob.orchestrator.core.costs import cost_of, costs_of
from trialjob.orchestrator.core.state import State
from trialjob.reporting import formatting
from trialjob.reporting.repeats import mean_of, spread_of
from trialjob.reporting.results import experiment_state
from trialjob.reporting.tables import counts
from trialjob.reporting.terminal import clean, one_line

#: Fields that differ from one experiment to the next by themselves.
_NAMES = frozenset({"name", "sampler.seed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A row of the comparison: a cell for each experiment."""

    head: str
    cells: tuple[str, ...]


def comparison(states: Sequence[State]) -> list[Line]:
    """What came out of each and what it took."""
    lines: list[tuple[str, Callable[[State], str]]] = [
        ("state", experiment_state),
        ("trials", lambda state: counts(state).partition(": ")[2] or "none"),
        ("objective", _objective),
        ("best", _best),
        ("its configuration", _configuration),
        ("completed, mean ± spread", _spread),
        ("time", lambda state: formatting.duration(state.updated_at - state.created_at)),
        ("machine time", lambda state: formatting.duration(_seconds(state))),
        ("dollars", lambda state: formatting.dollars(costs_of(state).dollars)),
        ("of them wasted", lambda state: formatting.dollars(costs_of(state).wasted_dollars)),
    ]
    found = [Line(head=head, cells=tuple(cell(state) for state in states)) for head, cell in lines]
    return [*found, *_so_far(states)]


def _objective(state: State) -> str:
    return ", ".join(f"{goal.mode.value} {clean(goal.metric)}" for goal in state.objective.goals)


def _best(state: State) -> str:
    best = best_trial(state.trials, state.objective)
    return "-" if best is None else f"{formatting.number(best.score)} (trial {best.id})"


def _configuration(state: State) -> str:
    best = best_trial(state.trials, state.objective)
    return "-" if best is None else formatting.configuration(best.config)


def _spread(state: State) -> str:
    scores = [
        trial.score
        for trial in state.trials
        if trial.status is TrialStatus.COMPLETED and trial.score is not None and math.isfinite(trial.score)
    ]
    if not scores:
        return "-"
    spread = f" ± {formatting.number(spread_of(scores))}" if len(scores) > 1 else ""
    return f"{formatting.number(mean_of(scores))}{spread} of {len(scores)}"


def _seconds(state: State) -> float | None:
    """None as soon as those of one trial are not known."""
    found = [cost_of(trial, state.objective).seconds for trial in state.trials if trial.attempts]
    known = [seconds for seconds in found if seconds is not None]
    return math.fsum(known) if found and len(known) == len(found) else None


def _so_far(states: Sequence[State]) -> Iterator[Line]:
    """The best score of the first 1, 2, 4, … trials that have ended, up to the most that all have."""
    if len({_objective(state) for state in states}) > 1:
        return
    curves = [_curve(state) for state in states]
    shortest, count = min(map(len, curves)), 1
    while shortest and count <= shortest:
        cells = tuple(formatting.number(curve[count - 1]) for curve in curves)
        yield Line(head=f"best of the first {count}", cells=cells)
        count = count * 2 if count * 2 <= shortest or count == shortest else shortest


def _curve(state: State) -> list[float | None]:
    best: float | None = None
    curve: list[float | None] = []
    for trial in state.trials:
        if not trial.ended:
            break
        score = trial.score if counts_as_best(trial) else None
        if score is not None and (best is None or state.objective.better(score, best)):
            best = score
        curve.append(best)
    return curve


def differing(states: Sequence[State]) -> list[Line]:
    """The fields in which the specs are not all the same, and the code."""
    flat = [dict(_flat(state.document)) for state in states]
    paths = dict.fromkeys(path for fields in flat for path in fields)
    lines = [
        Line(head=path, cells=tuple(_shown(path, fields.get(path)) for fields in flat))
        for path in paths
        if path not in _NAMES and len({fields.get(path) for fields in flat}) > 1
    ]
    if len({state.bundle for state in states}) > 1:
        lines.append(Line(head="code", cells=tuple(state.bundle[:8] or "-" for state in states)))
    return lines


def _shown(path: str, text: str | None) -> str:
    return "-" if text is None else canonical_json(masked(json.loads(text), path.rpartition(".")[2]))


def _flat(value: Json, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flat(inner, f"{path}.{name}" if path else str(name))
    else:
        yield path, canonical_json(value)


def print_comparison(console: Console, states: Sequence[State]) -> None:
    """Both parts as tables with a column for each experiment."""
    heads = [clean(state.name) for state in states]
    _print(console, heads, comparison(states))
    lines = differing(states)
    console.print()
    if lines:
        console.print(Text("what differs in their specs:", "bold"))
        _print(console, heads, lines)
    else:
        console.print("their specs are the same")


def _print(console: Console, heads: Sequence[str], lines: Sequence[Line]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("", *heads):
        table.add_column(Text(head), overflow="fold")
    for line in lines:
        table.add_row(*(Text(one_line(cell, 200)) for cell in (clean(line.head), *line.cells)))
    console.print(table)
