"""A study: an experiment whose trials are asked for, and run, by clients from anywhere.

Rule 1: every call first makes durable what it was told, then has the experiment take a step, then answers by
what is written. So a server that is killed within a call loses nothing, and the same call again answers the
same.
Rule 2: a step by another process, a terminal or another server, does as well as one by this server.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias

from trialjob.backends.external.lease import Lease
from trialjob.backends.external.leases import Leases
from trialjob.backends.external.section import External
from trialjob.errors import ExperimentBusy, NoSuchExperiment, Problem, SpecError, UsageError
from trialjob.experiment import Session
from trialjob.model.ids import JobName, TrialId
from trialjob.model.job import FailureKind, Outcome
from trialjob.model.trial import AttemptStatus, Phase
from trialjob.orchestrator.core.events import Event
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.journals.store import BaseStore
from trialjob.orchestrator.ports import Clock
from trialjob.reporting.results import experiment_state

#: What a study says of its own; the rest is a spec's.
_FIXED: Final = ("estimator", "backend", "backends", "engine")
#: Attempts that no client has taken yet.
_NOT_OUT: Final = (AttemptStatus.SUBMITTED, AttemptStatus.STARTING)
#: Of metrics, by name; in words what JSON has no numbers for.
Values: TypeAlias = Mapping[str, float | str]


def spec_of_study(given: Mapping[str, Any]) -> dict[str, Any]:
    """The spec of a study, which says neither what a trial runs nor where. Raises SpecError."""
    problems = [
        Problem(
            field=name, message="is no part of a study, whose trials its clients run", remedy="leave it out"
        )
        for name in _FIXED
        if name in given
    ]
    if problems:
        raise SpecError(problems, "study")
    document = {name: value for name, value in given.items() if name not in ("metric", "mode", "lease")}
    if "metric" in given or "mode" in given:
        goal = {name: given[name] for name in ("metric", "mode") if name in given}
        more = given.get("objective") or {}
        document["objective"] = {**goal, **more} if isinstance(more, Mapping) else more
    backend = {"kind": External.kind, **({"lease": given["lease"]} if "lease" in given else {})}
    return {"name": "study", **document, "estimator": {"kind": "container"}, "backend": backend}


def is_study(session: Session) -> bool:
    """Whether clients ask for its trials."""
    backend = session.state.document.get("backend")
    return isinstance(backend, Mapping) and backend.get("kind") == External.kind


def waits_for_clients(state: State) -> bool:
    """Whether no client has a trial of this study, so that no step by itself brings anything."""
    out = [trial.current for trial in state.current_trials()]
    return state.phase is Phase.RUNNING and all(each and each.status in _NOT_OUT for each in out)


def advance(session: Session) -> None:
    """Have it take a step, unless another process does so now."""
    with suppress(ExperimentBusy):
        session.step(_nobody)
    session.refresh()


def _nobody(_state: State, _events: Sequence[Event]) -> None:
    """Watch nothing: what has changed is in the journal."""


class Study:
    """What its clients may ask."""

    def __init__(self, session: Session, store: BaseStore, clock: Clock) -> None:
        """Raises UsageError for an experiment that is none."""
        if not is_study(session):
            raise UsageError(
                f"{session.name} is no study: its trials are jobs that trialjob runs; "
                "make one with POST /v1/studies"
            )
        self._session, self._clock = session, clock
        self._leases = Leases(store, session.name, clock)

    def suggest(self, client: str, count: int) -> dict[str, Any]:
        """Up to ``count`` trials for ``client``: those that it has, then others.

        A client that asks has done with the trials that it was told to stop.
        """
        now = self._clock.now()
        for _, _, job in self._open():
            lease = self._leases.read(job)
            if lease is not None and lease.client == client and lease.stop:
                self._leases.change(job, lambda old, lease=lease: (old or lease).over(Outcome.STOPPED, now))  # type: ignore[misc]
        advance(self._session)
        state, found = self._session.state, self._offered(client, count)
        return {
            "state": experiment_state(state),
            "over": state.phase is not Phase.RUNNING and not found,
            "suggestions": found,
        }

    def _offered(self, client: str, count: int) -> list[dict[str, Any]]:
        known = [(trial, attempt, job, self._leases.read(job)) for trial, attempt, job in self._open()]
        known.sort(key=lambda each: each[3] is None or not each[3].is_of(client))
        found: list[dict[str, Any]] = []
        for trial, attempt, job, lease in known:
            if lease is None or not (lease.is_of(client) or (lease.is_free and len(found) < count)):
                continue
            taken = self._leases.change(
                job,
                lambda old, lease=lease: (old or lease).taken(client, self._clock.now()),  # type: ignore[misc]
            )
            if taken.is_of(client):
                source = self._session.state.trials[trial].source
                found.append(
                    {
                        "trial": int(trial),
                        "attempt": attempt,
                        "parameters": dict(taken.hyperparameters),
                        **({} if source is None else {"source": int(source)}),
                    }
                )
        return found[:count]  # of all that are the client's, its word was a sign of life

    def report(self, trial: int, client: str, step: float, metrics: Values) -> dict[str, Any]:
        """A trial's metrics at ``step``, once however often it is reported; and whether to stop."""
        job = self._job(trial)
        self._renew(job, lambda lease, now: lease.reported(client, step, _spelled(metrics), now))
        advance(self._session)
        lease = self._leases.read(job)
        return {"trial": trial, "stop": lease is None or lease.stop or lease.outcome is not None}

    def finish(
        self,
        trial: int,
        client: str,
        *,
        metrics: Values,
        step: float | None,
        failed: str | None,
    ) -> dict[str, Any]:
        """A trial is over: done, with its last values if there are any, or failed, for the reason given."""
        outcome = Outcome.COMPLETED if failed is None else Outcome.FAILED
        kind = None if failed is None else FailureKind.USER_CODE

        def ended(lease: Lease, now: float) -> Lease:
            said = lease.reported(client, step, _spelled(metrics), now)
            return said.over(outcome, now, failure=kind, message=failed or "")

        self._renew(self._job(trial), ended)
        advance(self._session)
        found = self._session.state.trials[TrialId(trial)]
        score = found.score if found.status is not None else None
        return {
            "trial": trial,
            "status": "running" if found.status is None else found.status.value,
            "score": score,
        }

    def _renew(self, job: JobName, make: Any) -> None:  # noqa: ANN401 - from a lease and the time to a lease
        def made(old: Lease | None) -> Lease:
            found: Lease = make(old or Lease(digest=""), self._clock.now())
            return found

        self._leases.change(job, made)

    def _open(self) -> Iterator[tuple[TrialId, int, JobName]]:
        """The jobs that clients may have."""
        state = self._session.state
        for trial in state.current_trials():
            live = trial.current
            if live is not None and live.status is not AttemptStatus.INTENDED:
                yield trial.id, live.number, state.job(trial.id, live.number)

    def _job(self, trial: int) -> JobName:
        state = self._session.state
        attempts = len(state.trials[TrialId(trial)].attempts) if 1 <= trial <= len(state.trials) else 0
        if not attempts:
            raise NoSuchExperiment(f"{state.name} has no trial {trial} that was handed out")
        return state.job(TrialId(trial), attempts)


def _spelled(metrics: Values) -> dict[str, float | str]:
    """With the words of our reporter for what JSON has no numbers for."""
    return {name: value if isinstance(value, str) else _word(value) for name, value in metrics.items()}


def _word(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
