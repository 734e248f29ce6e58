"""Where an experiment stands, for programs."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

from trialjob.reporting.results import Result, document, row_of
from trialjob.wiring import Session


def status_of(session: Session) -> dict[str, object]:
    """The members of `status --format json`."""
    state, result = session.state, Result(session.state)
    best = result.best_or_none()
    return {
        "experiment": result.experiment,
        "state": result.state,
        "reason": result.reason,
        "detail": result.detail,
        "best": None if best is None else document(best),
        "costs": asdict(result.costs),
        "counts": {status.value: count for status, count in state.counts.items() if count},
        "open": [document(row_of(trial, state.objective)) for trial in state.open_trials()],
        "max_trials": state.limits.max_trials,
        "created_at": iso(state.created_at),
        "updated_at": iso(state.updated_at),
        "run_by": session.holder(),
        "kept_in": session.where,
    }


def iso(at: float) -> str:
    """A moment, in UTC."""
    return datetime.fromtimestamp(at, tz=UTC).isoformat(timespec="seconds")
