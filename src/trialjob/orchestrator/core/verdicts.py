"""What has become of a trial, and why an experiment ends, in values and in words."""

from __future__ import annotations

import math
from typing import assert_never

from trialjob.model.durations import format_duration
from trialjob.model.ids import TrialId
from trialjob.model.job import JobEnd, Outcome
from trialjob.model.trial import (
    EndKind,
    EndReason,
    Phase,
    StopKind,
    TrialStatus,
)
from trialjob.orchestrator.core import budget, expected_gain
from trialjob.orchestrator.core.last_epoch import is_last
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Attempt, Trial


def verdict(state: State, trial: Trial, attempt: Attempt, end: JobEnd) -> tuple[TrialStatus, str]:
    """The final status of a trial whose last job has ended, and why."""
    stop = attempt.stop
    if stop is not None and stop.kind is StopKind.FAILED:
        return TrialStatus.FAILED, stop.detail
    if end.outcome is Outcome.COMPLETED or (stop is not None and stop.kind is StopKind.MAX_RESOURCE):
        if trial.score is None and trial.source is not None and end.outcome is Outcome.COMPLETED:
            # It is the copy of one that does report, and began behind its last epoch.
            detail = f"nothing was left to train behind the checkpoint of trial {trial.source}"
            return TrialStatus.CANCELLED, detail
        if trial.score is None:
            return (
                TrialStatus.METRICS_UNAVAILABLE,
                f"it ended without a value of {state.objective.metric}" + _tail(end),
            )
        return TrialStatus.COMPLETED, stop.detail if stop else ""
    if stop is not None and stop.kind is StopKind.PRUNED and _has_ended(state, trial):
        return TrialStatus.COMPLETED, "it had reached its last epoch when it was stopped"
    if stop is not None:
        return (TrialStatus.PRUNED if stop.kind is StopKind.PRUNED else TrialStatus.CANCELLED), stop.detail
    match end.outcome:
        case Outcome.TIMED_OUT if budget.is_cut(state, trial, attempt):
            return (
                TrialStatus.CANCELLED,
                f"the caps paid for no more than {format_duration(attempt.max_runtime)} of it",
            )
        case Outcome.TIMED_OUT:
            return (
                TrialStatus.CANCELLED,
                f"trial_timeout of {format_duration(budget.timeout_of(state, trial, attempt))} reached",
            )
        case Outcome.STOPPED if state.hosted is not None and state.hosted.prunes and trial.score is not None:
            return TrialStatus.PRUNED, "stopped early by the service that tunes"
        case Outcome.STOPPED:
            return TrialStatus.CANCELLED, end.message or "stopped by somebody else"
        case Outcome.FAILED:
            return TrialStatus.FAILED, failure_of(end) + _tail(end)
        case _:
            assert_never(end.outcome)


def frees_slot(state: State, trial: TrialId, attempt: Attempt, end: JobEnd) -> bool:
    """Whether the slot of a job that is over may be handed on before its log has been read to its end.

    Not where the trial may yet be tried again, which has the first claim to it, or count as a failure: of
    those there may be so many that nothing else is to be started.
    """
    if state.phase is not Phase.RUNNING:
        return True
    stop = attempt.stop
    if state.trials[trial].score is None or (stop is not None and stop.kind is StopKind.FAILED):
        return False
    return stop is not None or end.outcome is not Outcome.FAILED


def may_be_the_last(state: State) -> bool:
    """Whether the trials whose logs are still read are enough to end the experiment, for want of progress."""
    patience = state.limits.max_trials_without_improvement
    return (
        patience is not None
        and bool(state.draining)
        and state.without_improvement + len(state.draining) >= patience
    )


def _has_ended(state: State, trial: Trial) -> bool:
    return trial.resource is not None and trial.score is not None and is_last(state, trial, trial.resource)


def failure_of(end: JobEnd) -> str:
    """What a job failed of, in a line."""
    return f"{end.failure.value if end.failure else 'failed'}: {end.message}"


def _tail(end: JobEnd) -> str:
    return f"\n{end.tail}" if end.tail else ""


def limit_reached(state: State, now: float) -> EndReason | None:
    """The limit that ends the experiment now, if one does."""
    limits = state.limits
    if state.failures >= limits.max_failures:
        failed = state.count(TrialStatus.FAILED)
        without = state.count(TrialStatus.METRICS_UNAVAILABLE)
        parts = [f"{failed} failed"] * bool(failed) + [f"{without} without the metric"] * bool(without)
        return EndReason(
            kind=EndKind.MAX_FAILURES,
            detail=f"{state.failures} trials failed ({', '.join(parts)}), as many as max_failures allows"
            + _last_failure(state),
        )
    if state.hosted is not None:
        return None  # the others are kept by the service, looked at or not
    best, target = state.best, limits.target
    # What is infinite is no score that was wanted.
    best = best if best is not None and math.isfinite(best) else None
    if best is not None and target is not None and not state.objective.better(target, best):
        detail = f"{state.objective.metric} reached {best:g}; the target was {target:g}"
        return EndReason(kind=EndKind.TARGET, detail=detail)
    patience = limits.max_trials_without_improvement
    if patience is not None and state.without_improvement >= patience:
        return EndReason(
            kind=EndKind.NO_IMPROVEMENT,
            detail=f"{state.without_improvement} trials in a row ended without a score better than "
            f"{state.best_score:g}",
        )
    if limits.timeout is not None and now - state.created_at >= limits.timeout:
        return EndReason(kind=EndKind.TIMEOUT, detail=f"timeout of {format_duration(limits.timeout)} reached")
    return None


def _last_failure(state: State) -> str:
    """Why the newest of the failed trials failed."""
    statuses = (TrialStatus.FAILED, TrialStatus.METRICS_UNAVAILABLE)
    failed = [trial for trial in state.trials if trial.status in statuses]
    if not failed:
        return ""
    return f"; trial {failed[-1].id}: {(failed[-1].reason or failed[-1].status.value).splitlines()[0]}"


def natural_end(state: State) -> EndReason:
    """Why an experiment has ended of which nothing is left to do."""
    count = len(state.trials)
    every, have = ("the one trial", "has") if count == 1 else (f"all {count} trials", "have")
    if count and all(trial.score is None for trial in state.trials):
        none = "the one trial has no" if count == 1 else f"none of {count} trials has a"
        return EndReason(kind=EndKind.NO_RESULT, detail=f"{none} value of {state.objective.metric}")
    if 0 < count == state.failures:
        # A value that some have is none to rely on: a regex may have found it in what was said of an error.
        return EndReason(kind=EndKind.NO_RESULT, detail=f"{every} failed{_last_failure(state)}")
    if state.hosted is not None and state.hosted.end is not None:
        return state.hosted.end
    if count >= (most := state.limits.max_trials):
        # It may have been lowered below what had been started.
        of = f"of max_trials {have} ended" if count == most else f"{have} ended, and max_trials is {most}"
        return EndReason(kind=EndKind.MAX_TRIALS, detail=f"{every} {of}")
    if not state.exhausted and (reason := expected_gain.not_worth_it(state)) is not None:
        return reason
    return EndReason(
        kind=EndKind.SPACE_EXHAUSTED,
        detail=f"all {count} configurations of the space have been tried",
    )
