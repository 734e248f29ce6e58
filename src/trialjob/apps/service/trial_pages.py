"""Some trials of an experiment, in an order: what of ten thousand is looked at, and no row more is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

from trialjob.experiment import Session
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core.best import counts_as_best
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial
from trialjob.reporting.results import document
from trialjob.reporting.rows import whole_row

Order: TypeAlias = Literal["newest", "oldest", "best"]


def trial_page(
    session: Session, *, order: Order, status: TrialStatus | None, skip: int, limit: int
) -> Mapping[str, Any]:
    """So many rows behind ``skip`` others, and how many there are in all."""
    state = session.state
    found = [trial for trial in state.trials if status in (None, trial.status)]
    shown = _ordered(found, state, order)[skip : skip + limit]
    return {"items": [_row(session, trial) for trial in shown], "total": len(found)}


def _ordered(trials: list[Trial], state: State, order: Order) -> Sequence[Trial]:
    if order == "oldest":
        return trials
    if order == "newest":
        return trials[::-1]
    key = state.objective.key
    return sorted(
        trials,
        key=lambda trial: (
            not counts_as_best(trial),
            -key(trial.score or 0.0) if counts_as_best(trial) else 0.0,
        ),
    )


def _row(session: Session, trial: Trial) -> dict[str, Any]:
    links = dict(session.links_of(trial.id))
    return {**document(whole_row(trial, session.state.objective)), **({"links": links} if links else {})}
