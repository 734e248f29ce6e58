"""Carries out a command, and says what was answered.

Rule 1: a call that could not be made leaves no answer. The command stays due, and the next step tries again.
Rule 2: what the backend refuses to us, not to this request (no permission, a name that is taken), is raised
and costs no trial: it can be set right, and the experiment resumed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from trialjob.errors import BackendBusy, BackendUnavailable
from trialjob.model.job import JobRequest
from trialjob.model.trial import AttemptStatus
from trialjob.orchestrator.core.commands import Command, EndPools, StopJob, SubmitJob
from trialjob.orchestrator.core.observations import (
    Observation,
    PoolsAnswered,
    Postponed,
    StopAnswered,
    SubmitAnswered,
)
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.ports import Estimator, JobBackend


def act(state: State, command: Command, backend: JobBackend, estimator: Estimator) -> Observation | None:
    """Make one call; None when there is no answer. Raises BackendBusy when it is not our turn."""
    try:
        match command:
            case SubmitJob():
                return _submit(state, command, backend, estimator)
            case StopJob():
                known = _stop(state, command, backend, estimator)
                return StopAnswered(trial=command.trial, attempt=command.attempt, known=known)
            case EndPools():
                jobs = [state.job(trial, attempt) for trial, attempt in command.left_by]
                return PoolsAnswered() if backend.end_pools(jobs) else None
            case _:
                assert_never(command)
    except BackendBusy:
        raise
    except BackendUnavailable as error:
        if not isinstance(command, SubmitJob):
            return None
        # A person should know what the launch waits for.
        waiting = Postponed(reason=str(error))
        return SubmitAnswered(trial=command.trial, attempt=command.attempt, answer=waiting)


def _stop(state: State, command: StopJob, backend: JobBackend, estimator: Estimator) -> bool:
    job = state.job(command.trial, command.attempt)
    attempt = state.trials[command.trial].attempts[command.attempt - 1]
    if attempt.status is not AttemptStatus.INTENDED:
        return backend.stop(job)
    # No answer says that it was started: the job of that name may be another's.
    return backend.stop(job, _request(state, command, estimator).digest)


def _request(state: State, command: SubmitJob | StopJob, estimator: Estimator) -> JobRequest:
    trial = state.trials[command.trial]
    attempt = trial.attempts[command.attempt - 1]
    return estimator.request(
        state.job(command.trial, command.attempt),
        command.trial,
        command.attempt,
        trial.config,
        attempt.max_runtime,
        resource=attempt.resource,
    )


def _submit(state: State, command: SubmitJob, backend: JobBackend, estimator: Estimator) -> SubmitAnswered:
    trial = state.trials[command.trial]
    attempt = trial.attempts[command.attempt - 1]
    request = _request(state, command, estimator)
    answer = backend.submit(
        replace(
            request,
            capacity_failures=trial.capacity_failures,
            any_machine=attempt.terms is not None and attempt.terms.one_of,
            source=trial.source,
            # What is kept, and paid for, is what was committed.
            keeps_pool=attempt.terms is None or attempt.terms.keep_alive > 0,
        )
    )
    return SubmitAnswered(trial=command.trial, attempt=command.attempt, answer=answer)
