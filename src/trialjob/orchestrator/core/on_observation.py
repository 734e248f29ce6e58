"""What follows from one observation. Pure."""

from __future__ import annotations

from typing import assert_never

from trialjob.model.ids import TrialId
from trialjob.model.job import FailureKind, JobEnd, Outcome
from trialjob.model.trial import AttemptStatus
from trialjob.orchestrator.core import hosted, waits
from trialjob.orchestrator.core.draft import Draft
from trialjob.orchestrator.core.events import (
    BillLearned,
    JobSubmitted,
    PoolsEnded,
    SpaceExhausted,
    SubmitPostponed,
    TrialProposed,
)
from trialjob.orchestrator.core.job_end import end_attempt
from trialjob.orchestrator.core.job_observed import job_observed, progress
from trialjob.orchestrator.core.launching import launch, wanted
from trialjob.orchestrator.core.observations import (
    BillObserved,
    HostedObserved,
    HostedOffered,
    HostedStarted,
    HostedStopped,
    JobObserved,
    Observation,
    PoolsAnswered,
    Postponed,
    Rejected,
    StopAnswered,
    SubmitAnswered,
    Submitted,
    Suggested,
)
from trialjob.orchestrator.core.rule_answers import source_of


def take_in(draft: Draft, observation: Observation) -> None:
    match observation:
        case Suggested():
            _propose(draft, observation)
        case PoolsAnswered():
            draft.record(PoolsEnded())
        case SubmitAnswered():
            if draft.runs(observation.trial, observation.attempt):
                _submit_answered(draft, observation)
        case StopAnswered():
            if draft.runs(observation.trial, observation.attempt):
                _stop_answered(draft, observation)
        case JobObserved():
            if draft.runs(observation.trial, observation.attempt):
                job_observed(draft, observation)
        case BillObserved():
            _bill_observed(draft, observation)
        case HostedOffered() | HostedStarted() | HostedStopped() | HostedObserved():
            for event in hosted.follows(draft.state, observation):
                draft.record(event)
        case _:
            assert_never(observation)


def _propose(draft: Draft, suggested: Suggested) -> None:
    if not wanted(draft.state, draft.now):
        return
    if suggested.config is None:
        draft.record(SpaceExhausted())
    else:
        trial = TrialId(len(draft.state.trials) + 1)
        draft.record(TrialProposed(trial=trial, config=suggested.config, source=source_of(draft.rule, trial)))
        launch(draft)


def _submit_answered(draft: Draft, answered: SubmitAnswered) -> None:
    attempt = draft.attempt(answered.trial)
    if attempt.status is not AttemptStatus.INTENDED:
        return
    match answered.answer:
        case Submitted(adopted=adopted):
            draft.record(JobSubmitted(trial=answered.trial, attempt=attempt.number, adopted=adopted))
        case Postponed(reason=reason, seconds=seconds):
            until = draft.now + min(seconds, waits.LONGEST)
            # Only the first refusal for a reason is news; saying it every step would fill the journal.
            if attempt.postponed_why != reason or seconds:
                draft.record(
                    SubmitPostponed(trial=answered.trial, attempt=attempt.number, reason=reason, until=until)
                )
        case Rejected(reason=reason):
            end = JobEnd(
                outcome=Outcome.FAILED,
                failure=FailureKind.REJECTED,
                message=reason,
                seconds=0.0,
                pool_seconds=0.0,
            )
            end_attempt(draft, answered.trial, end)
        case _:
            assert_never(answered.answer)


def _stop_answered(draft: Draft, answered: StopAnswered) -> None:
    if not answered.known:
        # One that was started may only not be seen yet; it is asked again, and looks tell if it is gone.
        if draft.attempt(answered.trial).status is AttemptStatus.INTENDED:
            end = JobEnd(outcome=Outcome.STOPPED, message="never started", seconds=0.0, pool_seconds=0.0)
            end_attempt(draft, answered.trial, end)
        return
    if draft.attempt(answered.trial).status is AttemptStatus.INTENDED:
        # The submission had taken effect, although its answer was lost.
        draft.record(JobSubmitted(trial=answered.trial, attempt=answered.attempt, adopted=True))
    progress(draft, answered.trial, AttemptStatus.STOPPING)


def _bill_observed(draft: Draft, observed: BillObserved) -> None:
    """Record what is new in it; two orchestrators may learn the same."""
    known = draft.state.trials[observed.trial].attempts[observed.attempt - 1]
    bill = observed.bill
    seconds = bill.seconds if known.billed is None else None
    pool_seconds = bill.pool_seconds if known.pool_billed is None else None
    if known.end is not None and (seconds is not None or pool_seconds is not None):
        draft.record(
            BillLearned(
                trial=observed.trial,
                attempt=observed.attempt,
                seconds=seconds,
                pool_seconds=pool_seconds,
            )
        )
