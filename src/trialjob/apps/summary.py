"""Where an experiment stands, for programs."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from trialjob.orchestrator.core.overview import Seen
from trialjob.reporting.results import Result, document, experiment_state
from trialjob.reporting.rows import whole_row

if TYPE_CHECKING:
    from trialjob.experiment import Look, Session


def status_of(session: Session | Look) -> dict[str, object]:
    """The members of `status --format json`."""
    seen = session.seen
    state = seen.state
    return {
        **summary_of(seen),
        "open": [document(whole_row(trial, state.objective)) for trial in state.open_trials()],
        "run_by": session.holder(),
        "kept_in": session.where,
    }


def summary_of(seen: Seen) -> dict[str, object]:
    """What the journal says of an experiment as a whole."""
    state, overview = seen.state, seen.overview
    result, best = Result(state), overview.best
    return {
        "experiment": result.experiment,
        "state": result.state,
        "reason": result.reason,
        "detail": result.detail,
        "objective": {"metric": state.objective.metric, "mode": state.objective.mode.value},
        "best": None if best is None else document(whole_row(best, state.objective)),
        "costs": asdict(overview.costs),
        "counts": {status.value: count for status, count in state.counts.items() if count},
        "max_trials": state.limits.max_trials,
        "created_at": iso(state.created_at),
        "updated_at": iso(state.updated_at),
    }


def member_of(seen: Seen, name: str) -> dict[str, object]:
    """An experiment in a list, under the names of `GET /v1/experiments` as well."""
    state = seen.state
    return {
        **summary_of(seen),
        "experiment": name,
        "name": name,
        "problem": None,
        "metric": state.objective.metric,
        "trials": len(state.trials),
        "ended": len(state.trials) - len(state.open),
        "running": len(state.live),
    }


def line_of(seen: Seen, name: str) -> dict[str, object]:
    """Those of the members of an experiment in a list that a line for people shows."""
    state, best = seen.state, seen.overview.best
    return {
        "name": name,
        "problem": None,
        "state": experiment_state(state),
        "metric": state.objective.metric,
        "best": None if best is None else {"score": best.score},
        "ended": len(state.trials) - len(state.open),
        "max_trials": state.limits.max_trials,
        "updated_at": iso(state.updated_at),
    }


def unreadable(name: str, problem: str) -> dict[str, object]:
    """One that cannot be read, in a list: only its name and the problem."""
    return {"experiment": name, "name": name, "state": None, "problem": problem, "detail": problem}


def iso(at: float) -> str:
    """A moment, in UTC."""
    return datetime.fromtimestamp(at, tz=UTC).isoformat(timespec="seconds")
