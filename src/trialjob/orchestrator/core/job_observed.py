"""What follows from a look at a job: its progress, its reports, its silence, its end. Pure.

Rule: nothing that has been read is thrown away, whatever has been decided about its trial.
"""

from __future__ import annotations

import math

from trialjob.model.ids import TrialId
from trialjob.model.job import JobState
from trialjob.model.metric import NanPolicy, Report
from trialjob.model.trial import (
    AttemptStatus,
    EndKind,
    EndReason,
    LogAction,
    LogMatch,
    StopKind,
    StopReason,
)
from trialjob.orchestrator.core import stall, transitions
from trialjob.orchestrator.core.draft import Draft
from trialjob.orchestrator.core.events import (
    ExperimentEnding,
    JobProgressed,
    JobSilent,
    LogMatched,
    ReportsRead,
    RungReached,
    StopIntended,
)
from trialjob.orchestrator.core.job_end import end_attempt, job_ended
from trialjob.orchestrator.core.last_epoch import is_last
from trialjob.orchestrator.core.observations import JobObserved
from trialjob.orchestrator.core.rule_answers import judged
from trialjob.orchestrator.core.trial import Trial

_STATUS = {
    JobState.STARTING: AttemptStatus.STARTING,
    JobState.TRAINING: AttemptStatus.TRAINING,
    JobState.STOPPING: AttemptStatus.STOPPING,
}


def job_observed(draft: Draft, observed: JobObserved) -> None:
    progress(draft, observed.trial, _STATUS[observed.state])
    if observed.reports:
        curve = draft.state.trials[observed.trial].curve
        reached = curve[-1][0] if curve else -math.inf
        draft.record(
            ReportsRead(
                trial=observed.trial,
                attempt=observed.attempt,
                reports=observed.reports,
                cursor=observed.cursor,
            )
        )
        _judge(draft, observed, reached)
    for match in observed.matches:
        _log_matched(draft, observed, match)
    _heed_silence(draft, observed)
    if observed.end is not None:
        end_attempt(draft, observed.trial, observed.end, observed.nearest)
    elif observed.over is not None:
        job_ended(draft, observed.trial, observed.over)


def progress(draft: Draft, trial: TrialId, status: AttemptStatus) -> None:
    attempt = draft.attempt(trial)
    # A list that lags behind may show an earlier state; that is no news.
    if status in transitions.ATTEMPT[attempt.status]:
        draft.record(JobProgressed(trial=trial, attempt=attempt.number, status=status))


def _heed_silence(draft: Draft, observed: JobObserved) -> None:
    """Count a part of its ``stall_timeout`` in which a job was silent, and stop it after the last."""
    attempt = draft.attempt(observed.trial)
    if observed.end is not None or observed.over is not None or observed.behind is None:
        return
    if not stall.is_silent(draft.state, attempt, draft.now, observed.behind):
        return
    draft.record(JobSilent(trial=observed.trial, attempt=observed.attempt, newest=observed.newest))
    reason = stall.verdict(draft.state, draft.state.trials[observed.trial])
    if reason is not None:
        draft.record(StopIntended(trial=observed.trial, attempt=observed.attempt, reason=reason))


def _log_matched(draft: Draft, observed: JobObserved, match: LogMatch) -> None:
    """Do as the user's rule says, once a job; a log that is read again after a crash says nothing new."""
    attempt = draft.attempt(observed.trial)
    if any(match.pattern == known.pattern for known in attempt.matches):
        return
    draft.record(LogMatched(trial=observed.trial, attempt=observed.attempt, match=match))
    detail = f"on_log: {match.pattern!r} was found in {match.line!r}"
    if match.then is LogAction.STOP_TRIAL and not stall.stays(attempt):
        reason = StopReason(kind=StopKind.FAILED, detail=detail)
        draft.record(StopIntended(trial=observed.trial, attempt=observed.attempt, reason=reason))
    if match.then is LogAction.STOP_EXPERIMENT and draft.running:
        detail = f"{detail} of trial {observed.trial}"
        draft.record(ExperimentEnding(reason=EndReason(kind=EndKind.ON_LOG, detail=detail)))


def _judge(draft: Draft, observed: JobObserved, reached: float) -> None:
    """Judge each report that goes further than ``reached``; a repeated epoch says nothing new."""
    for report in observed.reports:
        trial = draft.state.trials[observed.trial]
        value = report.value(draft.state.objective)
        stop = draft.attempt(observed.trial).stop
        # One that was silent and reports after all is judged as if no stop had been asked for.
        if value is None or (stop is not None and stop.kind is not StopKind.STALLED):
            continue
        if math.isnan(value) and draft.state.objective.nan is NanPolicy.FAIL:
            detail = f"{draft.state.objective.metric} is NaN at {draft.state.objective.resource}"
            reason = StopReason(kind=StopKind.FAILED, detail=f"{detail} {report.resource:g}")
            draft.record(StopIntended(trial=observed.trial, attempt=observed.attempt, reason=reason))
            continue
        if report.resource <= reached or not draft.running:
            continue  # of one that is ending everything is stopped, whatever a rule says, or fails to say
        reached = report.resource
        judgement = judged(draft.rule, draft.state, trial, report)
        for rung, entered in judgement.enters:
            draft.record(RungReached(trial=observed.trial, rung=rung, value=entered))
        if judgement.stop is not None and not _spared(draft, trial, report, judgement.stop):
            draft.record(StopIntended(trial=observed.trial, attempt=observed.attempt, reason=judgement.stop))
        if judgement.refusal is not None and draft.running:
            end = EndReason(kind=EndKind.STOPPING_RULE, detail=judgement.refusal)
            draft.record(ExperimentEnding(reason=end))


def _spared(draft: Draft, trial: Trial, report: Report, stop: StopReason) -> bool:
    """Whether it is not pruned, as it ends by itself now; a scheduler that learns must be obeyed."""
    pruned = stop.kind is StopKind.PRUNED and not draft.rule.learns
    return pruned and is_last(draft.state, trial, report.resource)
