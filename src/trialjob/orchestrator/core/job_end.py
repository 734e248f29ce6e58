"""What becomes of a trial whose job has ended: it is tried again, pauses, or has its status. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trialjob.model.ids import TrialId
from trialjob.model.job import FailureKind, JobEnd, Outcome
from trialjob.model.trial import AttemptStatus, LogAction, StopKind, TrialStatus
from trialjob.orchestrator.core import stall
from trialjob.orchestrator.core.draft import Draft
from trialjob.orchestrator.core.events import (
    AttemptEnded,
    JobEnded,
    RetryPlanned,
    RungReached,
    TrialEnded,
    TrialPaused,
)
from trialjob.orchestrator.core.failures import OF, diagnosed
from trialjob.orchestrator.core.rule_answers import pauses_at, settled
from trialjob.orchestrator.core.rung import reaches
from trialjob.orchestrator.core.trial import Attempt, Trial
from trialjob.orchestrator.core.verdicts import failure_of, frees_slot, verdict


def job_ended(draft: Draft, trial: TrialId, end: JobEnd) -> None:
    """Hand the slot on while the log is still being read, unless what follows depends on the log."""
    attempt, end = stall.as_ended(draft.attempt(trial), diagnosed(end))
    if attempt.status is AttemptStatus.DRAINING or not frees_slot(draft.state, trial, attempt, end):
        return
    paused = attempt.stop is None or attempt.stop.kind is StopKind.PAUSED
    may_resume = paused and attempt.resource is not None and pauses_at(draft.rule, attempt.resource)
    draft.record(JobEnded(trial=trial, attempt=attempt.number, end=end, may_resume=may_resume))


def end_attempt(draft: Draft, trial: TrialId, end: JobEnd, nearest: Sequence[str] = ()) -> None:
    attempt, end = stall.as_ended(draft.attempt(trial), diagnosed(_known(draft.attempt(trial), end)))
    draft.record(AttemptEnded(trial=trial, attempt=attempt.number, end=end))
    kind = end.failure if end.outcome is Outcome.FAILED else None
    # What a service has proposed, it starts once.
    ours = draft.running and draft.state.hosted is None
    if kind is not None and attempt.stop is None and ours:
        wait = retry_wait(draft.state.trials[trial], kind)
        if wait is not None:
            draft.record(RetryPlanned(trial=trial, not_before=draft.now + wait, reason=failure_of(end)))
            return
    if _pause(draft, draft.state.trials[trial], attempt, end):
        return
    status, reason = verdict(draft.state, draft.state.trials[trial], attempt, end)
    if status is TrialStatus.METRICS_UNAVAILABLE and nearest:
        reason = "\n".join([reason, "lines that came closest to it:", *nearest])
    if status is TrialStatus.COMPLETED:
        for rung, value in settled(draft.rule, draft.state, draft.state.trials[trial]):
            draft.record(RungReached(trial=trial, rung=rung, value=value))
    draft.record(TrialEnded(trial=trial, status=status, reason=reason))


def _known(attempt: Attempt, end: JobEnd) -> JobEnd:
    """``end``, or how the job is known to have ended where it was removed before its log had been read."""
    return attempt.end if end.failure is FailureKind.LOST and attempt.end is not None else end


def _pause(draft: Draft, trial: Trial, attempt: Attempt, end: JobEnd) -> bool:
    """Pause a trial that has come to where it was to pause: stopped there by us, or by its own doing."""
    target, stop = attempt.resource, attempt.stop
    if target is None or not pauses_at(draft.rule, target) or not draft.running:
        return False
    if stop is None and end.outcome is Outcome.COMPLETED:
        value = next((value for resource, value in trial.curve if reaches(resource, target)), None)
        if value is None:
            return False  # it came to its end before
        if trial.rung is None or trial.rung < target:
            draft.record(RungReached(trial=trial.id, rung=target, value=value))
    elif stop is None or stop.kind is not StopKind.PAUSED:
        return False
    detail = f"paused at {draft.state.objective.resource} {target:g}"
    draft.record(TrialPaused(trial=trial.id, reason=detail))
    return True


#: How often a job is tried again because ``on_log`` says so, and the seconds before each time.
RULED_RETRIES: Final = 3
RULED_WAIT: Final = 30.0


def retry_wait(trial: Trial, kind: FailureKind) -> float | None:
    """Seconds before another attempt of ``trial``, whose newest job failed of ``kind``; None for no more."""
    last = trial.last
    actions = {match.then for match in last.matches} if last is not None else set()
    # Where the user's rules disagree, the one that costs nothing wins.
    if LogAction.NO_RETRY in actions:
        return None
    if LogAction.RETRY in actions:
        return RULED_WAIT if sum(map(_ruled, trial.attempts)) <= RULED_RETRIES else None
    budget = OF[kind]
    ends = [end for attempt in trial.attempts if (end := attempt.end) is not None and end.failure is kind]
    retries = budget.retries
    if budget.unbegun_retries is not None and ends:
        unbegun = ends[-1].seconds == 0
        ends = [end for end in ends if (end.seconds == 0) == unbegun]
        retries = budget.unbegun_retries if unbegun else retries
    failed = len(ends)
    if failed > retries:
        return None
    return float(min(budget.longest_wait, budget.wait * 2 ** (failed - 1)))


def _ruled(attempt: Attempt) -> bool:
    """Whether an attempt failed and is to be made again by the user's rule."""
    failed = attempt.end is not None and attempt.end.outcome is Outcome.FAILED
    return failed and any(match.then is LogAction.RETRY for match in attempt.matches)
