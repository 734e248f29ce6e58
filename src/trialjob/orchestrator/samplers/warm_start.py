"""Warm start: what earlier experiments and tables know, in the words of the present space.

Rule: what does not lie in the present space is dropped and counted, never bent to fit.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from trialjob.errors import UsageError
from trialjob.model.cells import of_cell
from trialjob.model.json import Json, canonical_json, is_number
from trialjob.model.metric import Objective, TrialScore
from trialjob.model.space import Config, Space
from trialjob.model.space.domain import as_number, is_whole
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core.events import KnownResult
from trialjob.orchestrator.core.state import State

_COMPLETED, _PRUNED = TrialStatus.COMPLETED.value, TrialStatus.PRUNED.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """What one source knows."""

    results: tuple[KnownResult, ...]
    #: Trials that have a score and do not lie in the present space.
    dropped: int
    #: Rows of a table whose numbers cannot be read: how many, and what is wrong with the first one.
    unread: int = 0
    first_unread: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """The experiment that is to learn."""

    space: Space
    constants: Mapping[str, Json]
    objective: Objective

    def config(self, given: Mapping[str, Json], searched: Sequence[str] = ()) -> Config | None:
        """The part of ``given`` that is searched now; None when it does not lie in the space.

        What was ``searched`` then and is a constant now must have that very value.
        """
        try:
            config = self.space.complete(given, {})
        except KeyError:
            return None
        if next(self.space.problems(config), None) is not None:
            return None
        elsewhere = [name for name in searched if name not in self.space.domains]
        same = all(
            name in self.constants and canonical_json(self.constants[name]) == canonical_json(given[name])
            for name in elsewhere
        )
        return config if same else None


def of_experiment(state: State, present: Present) -> Earlier:
    """The completed and the pruned trials of an earlier experiment.

    Raises UsageError when it optimised something else.
    """
    then, now = state.objective, present.objective
    if _goals(then) != _goals(now):
        raise UsageError(
            f"sampler.warm_start: {state.name} has the objective {_goals(then)}, "
            f"this spec has {_goals(now)}; its scores mean nothing here"
        )
    estimator = state.document.get("estimator")
    constants = estimator.get("hyperparameters") if isinstance(estimator, Mapping) else None
    results: list[KnownResult] = []
    dropped = 0
    for trial in state.trials:
        # What its reports amount to now: then the last value may have counted, and now the best one does.
        standing = reduce(lambda so_far, report: so_far.after(report, now), trial.reports, TrialScore())
        if standing.score is None or trial.status not in (TrialStatus.COMPLETED, TrialStatus.PRUNED):
            continue
        config = present.config({**(constants or {}), **trial.config}, tuple(trial.config))
        if config is None:
            dropped += 1
            continue
        pruned_at = None
        if trial.status is TrialStatus.PRUNED:
            # In other units it says nothing: 500 steps are not further than 3 epochs.
            pruned_at = trial.resource if then.resource == now.resource else 0.0
        # What is missing is as bad as can be.
        others = tuple(math.nan if value is None else value for value in standing.others)
        results.append(KnownResult(config=config, score=standing.score, others=others, pruned_at=pruned_at))
    return Earlier(results=tuple(results), dropped=dropped)


def _goals(objective: Objective) -> str:
    return ", ".join(f"{goal.mode.value} {goal.metric}" for goal in objective.goals)


def of_table(text: str, where: str, present: Present) -> Earlier:
    """The rows of a CSV file with a column for each hyperparameter and one for the score.

    The score's column has the metric's name, or is called ``score`` as in `trialjob results --format csv`,
    whose ``status`` and ``resource`` are understood too, and its ``config.`` and ``metric.``. Raises
    UsageError when a column is missing.
    """
    table = csv.DictReader(io.StringIO(text))
    table.fieldnames = columns = [of_cell(name) for name in table.fieldnames or ()]
    searched = _columns(present.space.domains, "config", columns)
    goals = [goal.metric for goal in (present.objective, *present.objective.others)]
    metric, *others = _columns(goals, "metric", columns).values()
    score = metric if metric in columns else "score"
    missing = [name for name in (*searched.values(), score, *others) if name not in columns]
    if missing:
        wanted = f"{metric} (or score)" if missing == ["score"] else ", ".join(missing)
        raise UsageError(
            f"sampler.warm_start: {where} has no column {wanted}; it has: {', '.join(columns) or 'none'}"
        )
    results: list[KnownResult] = []
    dropped, unread = 0, list[str]()
    for row in table:
        value, status = _number(row[score]), row.get("status") or _COMPLETED
        if status not in (_COMPLETED, _PRUNED):
            continue
        wrong = next(
            (name for name in (score, *others, "resource") if _is_unreadable(row, name, score)), None
        ) or _no_number(row, present.space, searched)
        if value is None or wrong is not None:
            wrong = wrong or score
            unread.append(f"line {table.line_num}: {wrong} is {(row.get(wrong) or '')!r}, which is no number")
            continue
        config = _config(row, present, searched)
        if config is None:
            dropped += 1
            continue
        pruned_at = (_number(row.get("resource")) or 0.0) if status == _PRUNED else None
        further = tuple(math.nan if (read := _number(row[name])) is None else read for name in others)
        results.append(KnownResult(config=config, score=value, others=further, pruned_at=pruned_at))
    first = unread[0] if unread else ""
    return Earlier(results=tuple(results), dropped=dropped, unread=len(unread), first_unread=first)


def _columns(names: Iterable[str], prefix: str, columns: Sequence[str]) -> dict[str, str]:
    """Where each stands: results have a prefix before what would be called like another column."""
    taken = dict.fromkeys(names)
    longer = {name: f"{prefix}.{name}" for name in taken}
    return {name: each if each in columns and each not in taken else name for name, each in longer.items()}


def _is_unreadable(row: Mapping[str, str | None], name: str, score: str) -> bool:
    """Whether a cell has something in it that is no number; that of the score must have one."""
    cell = (row.get(name) or "").strip()
    return _number(cell) is None and (bool(cell) or name == score)


def _no_number(row: Mapping[str, str | None], space: Space, columns: Mapping[str, str]) -> str | None:
    """The column of the first hyperparameter that is searched among numbers and has something else there."""
    for name, domain in space.domains.items():
        cell = (row[columns[name]] or "").strip()
        if cell and _number(cell) is None and all(is_number(value) for value in domain.listed() or ()):
            return columns[name]
    return None


def _config(row: Mapping[str, str | None], present: Present, columns: Mapping[str, str]) -> Config | None:
    given: dict[str, Json] = {}
    for name, domain in present.space.domains.items():
        fitting = [value for value in _readings(row[columns[name]]) if domain.contains(value)]
        if fitting:
            given[name] = fitting[0]
    return present.config(given)


def _readings(cell: str | None) -> Iterator[Json]:
    """What a cell may mean: text, JSON, or a whole number that a spreadsheet has written as 3.0."""
    text = (cell or "").strip()
    if (said := of_cell(text)) != text:
        yield said
    if text == "":
        yield None
    try:
        value: Json = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    yield value
    if isinstance(value, float) and value.is_integer():
        yield int(value)
    if is_whole(value) and (number := as_number(value)) is not None:
        yield number
    if text.lower() in ("true", "false"):
        yield text.lower() == "true"
    yield text


def _number(cell: str | None) -> float | None:
    text = (cell or "").strip()
    try:
        value = float(text)
    except ValueError:
        return None
    # A numeral that no float can hold is not infinite.
    return None if math.isinf(value) and text[-1].isdigit() else value
