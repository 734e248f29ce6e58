"""What follows from what was seen: the events of one step. Pure.

Rule 1: a trial is started only while fewer than ``max_trials`` have ever been proposed, and a job only
while fewer than ``max_concurrent_trials`` hold a slot and its worst case can be paid for (``budget``). A slot
is held until its job is over; that of a trial which may have failed, until its log has told.
Rule 2: every call that is to be made is first an event (AttemptIntended, StopIntended).
Rule 3: nothing that has been read is thrown away, whatever has been decided about its trial.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from trialjob.model.ids import TrialId
from trialjob.model.job import FailureKind, JobEnd, JobState, Outcome
from trialjob.model.metric import NanPolicy, Report
from trialjob.model.trial import (
    AttemptStatus,
    EndKind,
    EndReason,
    LogAction,
    LogMatch,
    Phase,
    StopKind,
    StopReason,
    TrialStatus,
)
from trialjob.orchestrator.core import budget, early_abort, stall, transitions
from trialjob.orchestrator.core.events import (
    AttemptEnded,
    AttemptIntended,
    BillLearned,
    Event,
    ExperimentEnded,
    ExperimentEnding,
    JobEnded,
    JobProgressed,
    JobSilent,
    JobSubmitted,
    LogMatched,
    PoolsEnded,
    ReportsRead,
    RetryPlanned,
    RungReached,
    SpaceExhausted,
    StopIntended,
    SubmitPostponed,
    TrialEnded,
    TrialPaused,
    TrialProposed,
)
from trialjob.orchestrator.core.evolve import apply
from trialjob.orchestrator.core.failures import diagnosed
from trialjob.orchestrator.core.last_epoch import is_last
from trialjob.orchestrator.core.observations import (
    BillObserved,
    JobObserved,
    PoolsAnswered,
    Postponed,
    Rejected,
    Seen,
    StopAnswered,
    SubmitAnswered,
    Submitted,
    Suggested,
)
from trialjob.orchestrator.core.retry import retry_wait
from trialjob.orchestrator.core.rule import StoppingRule
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Attempt, Trial
from trialjob.orchestrator.core.verdicts import (
    failure_of,
    frees_slot,
    limit_reached,
    may_be_the_last,
    natural_end,
    verdict,
)

_STATUS = {
    JobState.STARTING: AttemptStatus.STARTING,
    JobState.TRAINING: AttemptStatus.TRAINING,
    JobState.STOPPING: AttemptStatus.STOPPING,
}


@dataclass(frozen=True, slots=True)
class Decision:
    """The events that follow, in order, and the state as it will be once they are in the journal."""

    events: list[Event]
    state: State
    #: The stopping rule, which has seen the events.
    rule: StoppingRule


def decide(state: State, seen: Sequence[Seen], rule: StoppingRule, now: float) -> Decision:
    """What follows; no events when nothing does."""
    draft = _Draft(state, rule, now)
    for sight in seen:
        draft.take_in(sight)
    draft.check_limits(early_abort.silence(draft.state, seen))
    draft.launch()
    draft.finish()
    return Decision(draft.events, draft.state, draft.rule)


def wanted(state: State, now: float) -> bool:
    """True when a new trial could start at once, if the sampler had one.

    Paused trials that are to be resumed have got their slots before, in ``launch``.
    """
    return (
        state.phase is Phase.RUNNING
        and not state.exhausted
        and len(state.trials) < state.limits.max_trials
        and slots_free(state) > _reserved(state, now)
        and not early_abort.holds(state)
        and not may_be_the_last(state)
        and budget.fits(state, None, now)
    )


def slots_free(state: State) -> int:
    """How many more jobs may run now."""
    return state.limits.max_concurrent_trials - len(state.live)


def _waiting(state: State, now: float) -> list[Trial]:
    """Trials that want a job and hold none: those to be retried first, as they were promised first."""
    idle = [state.trials[trial] for trial in sorted(state.idle)]
    return [trial for trial in idle if trial.not_before <= now]


def _reserved(state: State, now: float) -> int:
    """Slots for trials that wait for one; a trial that nothing can make room for under the cap has none."""
    waiting = _waiting(state, now)
    return len(waiting) if state.live else sum(budget.fits(state, trial, now) for trial in waiting)


class _Draft:
    """The state as it will be when the events decided so far are in the journal."""

    def __init__(self, state: State, rule: StoppingRule, now: float) -> None:
        self.state = state
        self.events: list[Event] = []
        self.rule = rule
        self._now = now

    def _record(self, event: Event) -> None:
        self.state = apply(self.state, event, self._now)
        self.rule = self.rule.after(event)
        self.events.append(event)

    # What was seen

    def take_in(self, sight: Seen) -> None:
        match sight:
            case Suggested():
                self._propose(sight)
            case PoolsAnswered():
                self._record(PoolsEnded())
            case SubmitAnswered():
                if self._runs(sight.trial, sight.attempt):
                    self._submit_answered(sight)
            case StopAnswered():
                if self._runs(sight.trial, sight.attempt):
                    self._stop_answered(sight)
            case JobObserved():
                if self._runs(sight.trial, sight.attempt):
                    self._job_observed(sight)
            case BillObserved():
                self._bill_observed(sight)
            case _:
                assert_never(sight)

    def _runs(self, trial: TrialId, attempt: int) -> bool:
        """False for news of an attempt that has ended, which may come late and say nothing new."""
        current = self.state.trials[trial].current
        return current is not None and current.number == attempt

    def _propose(self, sight: Suggested) -> None:
        if not wanted(self.state, self._now):
            return
        if sight.config is None:
            self._record(SpaceExhausted())
        else:
            trial = TrialId(len(self.state.trials) + 1)
            self._record(TrialProposed(trial=trial, config=sight.config, source=self.rule.source(trial)))
            self.launch()

    def _submit_answered(self, sight: SubmitAnswered) -> None:
        attempt = self._attempt(sight.trial)
        if attempt.status is not AttemptStatus.INTENDED:
            return
        match sight.answer:
            case Submitted(adopted=adopted):
                self._record(JobSubmitted(trial=sight.trial, attempt=attempt.number, adopted=adopted))
            case Postponed(reason=reason, seconds=seconds):
                until = self._now + seconds
                # Only the first refusal for a reason is news; saying it every step would fill the journal.
                if attempt.postponed_why != reason or seconds:
                    self._record(
                        SubmitPostponed(trial=sight.trial, attempt=attempt.number, reason=reason, until=until)
                    )
            case Rejected(reason=reason):
                end = JobEnd(
                    outcome=Outcome.FAILED,
                    failure=FailureKind.REJECTED,
                    message=reason,
                    seconds=0.0,
                    pool_seconds=0.0,
                )
                self._end_attempt(sight.trial, end)
            case _:
                assert_never(sight.answer)

    def _stop_answered(self, sight: StopAnswered) -> None:
        if not sight.known:
            # One that was started may only not be seen yet; it is asked again, and looks tell if it is gone.
            if self._attempt(sight.trial).status is AttemptStatus.INTENDED:
                end = JobEnd(outcome=Outcome.STOPPED, message="never started", seconds=0.0, pool_seconds=0.0)
                self._end_attempt(sight.trial, end)
            return
        if self._attempt(sight.trial).status is AttemptStatus.INTENDED:
            # The submission had taken effect, although its answer was lost.
            self._record(JobSubmitted(trial=sight.trial, attempt=sight.attempt, adopted=True))
        self._progress(sight.trial, AttemptStatus.STOPPING)

    def _job_observed(self, sight: JobObserved) -> None:
        self._progress(sight.trial, _STATUS[sight.state])
        if sight.reports:
            curve = self.state.trials[sight.trial].curve
            reached = curve[-1][0] if curve else -math.inf
            self._record(
                ReportsRead(
                    trial=sight.trial, attempt=sight.attempt, reports=sight.reports, cursor=sight.cursor
                )
            )
            self._judge(sight, reached)
        for match in sight.matches:
            self._log_matched(sight, match)
        self._heed_silence(sight)
        if sight.end is not None:
            self._end_attempt(sight.trial, sight.end, sight.nearest)
        elif sight.over is not None:
            self._job_ended(sight.trial, sight.over)

    def _heed_silence(self, sight: JobObserved) -> None:
        """Count a part of its ``stall_timeout`` in which a job was silent, and stop it after the last."""
        attempt = self._attempt(sight.trial)
        if sight.end is not None or sight.over is not None or sight.behind is None:
            return
        if not stall.is_silent(self.state, attempt, self._now, sight.behind):
            return
        self._record(JobSilent(trial=sight.trial, attempt=sight.attempt, newest=sight.newest))
        reason = stall.verdict(self.state, self.state.trials[sight.trial])
        if reason is not None:
            self._record(StopIntended(trial=sight.trial, attempt=sight.attempt, reason=reason))

    def _log_matched(self, sight: JobObserved, match: LogMatch) -> None:
        """Do as the user's rule says, once a job; a log that is read again after a crash says nothing new."""
        attempt = self._attempt(sight.trial)
        if any(match.pattern == known.pattern for known in attempt.matches):
            return
        self._record(LogMatched(trial=sight.trial, attempt=sight.attempt, match=match))
        detail = f"on_log: {match.pattern!r} was found in {match.line!r}"
        if match.then is LogAction.STOP_TRIAL and not stall.stays(attempt):
            reason = StopReason(kind=StopKind.FAILED, detail=detail)
            self._record(StopIntended(trial=sight.trial, attempt=sight.attempt, reason=reason))
        if match.then is LogAction.STOP_EXPERIMENT and self.state.phase is Phase.RUNNING:
            detail = f"{detail} of trial {sight.trial}"
            self._record(ExperimentEnding(reason=EndReason(kind=EndKind.ON_LOG, detail=detail)))

    def _bill_observed(self, sight: BillObserved) -> None:
        """Record what is new in it; two orchestrators may learn the same."""
        known = self.state.trials[sight.trial].attempts[sight.attempt - 1]
        bill = sight.bill
        seconds = bill.seconds if known.billed is None else None
        pool_seconds = bill.pool_seconds if known.pool_billed is None else None
        if known.end is not None and (seconds is not None or pool_seconds is not None):
            self._record(
                BillLearned(
                    trial=sight.trial, attempt=sight.attempt, seconds=seconds, pool_seconds=pool_seconds
                )
            )

    def _progress(self, trial: TrialId, status: AttemptStatus) -> None:
        attempt = self._attempt(trial)
        # A list that lags behind may show an earlier state; that is no news.
        if status in transitions.ATTEMPT[attempt.status]:
            self._record(JobProgressed(trial=trial, attempt=attempt.number, status=status))

    def _judge(self, sight: JobObserved, reached: float) -> None:
        """Judge each report that goes further than ``reached``; a repeated epoch says nothing new."""
        for report in sight.reports:
            trial = self.state.trials[sight.trial]
            value = report.value(self.state.objective)
            stop = self._attempt(sight.trial).stop
            # One that was silent and reports after all is judged as if nobody had wanted to stop it.
            if value is None or (stop is not None and stop.kind is not StopKind.STALLED):
                continue
            if math.isnan(value) and self.state.objective.nan is NanPolicy.FAIL:
                detail = f"{self.state.objective.metric} is NaN at {self.state.objective.resource}"
                reason = StopReason(kind=StopKind.FAILED, detail=f"{detail} {report.resource:g}")
                self._record(StopIntended(trial=sight.trial, attempt=sight.attempt, reason=reason))
                continue
            if report.resource <= reached or self.state.phase is not Phase.RUNNING:
                continue  # of one that is ending everything is stopped, whatever a rule says, or fails to say
            reached = report.resource
            judgement = self.rule.judge(self.state, trial, report)
            for rung, entered in judgement.enters:
                self._record(RungReached(trial=sight.trial, rung=rung, value=entered))
            if judgement.stop is not None and not self._spared(trial, report, judgement.stop):
                self._record(StopIntended(trial=sight.trial, attempt=sight.attempt, reason=judgement.stop))
            if judgement.refusal is not None and self.state.phase is Phase.RUNNING:
                end = EndReason(kind=EndKind.STOPPING_RULE, detail=judgement.refusal)
                self._record(ExperimentEnding(reason=end))

    def _spared(self, trial: Trial, report: Report, stop: StopReason) -> bool:
        """Whether it is not pruned, as it ends by itself now; a scheduler that learns must be obeyed."""
        pruned = stop.kind is StopKind.PRUNED and not self.rule.learns
        return pruned and is_last(self.state, trial, report.resource)

    # The end of a job

    def _attempt(self, trial: TrialId) -> Attempt:
        current = self.state.trials[trial].current
        assert current is not None, "checked by _runs"  # noqa: S101 - narrows the type
        return current

    def _job_ended(self, trial: TrialId, end: JobEnd) -> None:
        """Hand the slot on while the log is still being read, unless what follows depends on the log."""
        attempt, end = stall.as_ended(self._attempt(trial), diagnosed(end))
        if attempt.status is AttemptStatus.DRAINING or not frees_slot(self.state, trial, attempt, end):
            return
        paused = attempt.stop is None or attempt.stop.kind is StopKind.PAUSED
        may_resume = paused and attempt.resource is not None and self.rule.pauses_at(attempt.resource)
        self._record(JobEnded(trial=trial, attempt=attempt.number, end=end, may_resume=may_resume))

    def _end_attempt(self, trial: TrialId, end: JobEnd, nearest: Sequence[str] = ()) -> None:
        attempt, end = stall.as_ended(self._attempt(trial), diagnosed(end))
        self._record(AttemptEnded(trial=trial, attempt=attempt.number, end=end))
        kind = end.failure if end.outcome is Outcome.FAILED else None
        if kind is not None and attempt.stop is None and self.state.phase is Phase.RUNNING:
            wait = retry_wait(self.state.trials[trial], kind)
            if wait is not None:
                self._record(RetryPlanned(trial=trial, not_before=self._now + wait, reason=failure_of(end)))
                return
        if self._pause(self.state.trials[trial], attempt, end):
            return
        status, reason = verdict(self.state, self.state.trials[trial], attempt, end)
        if status is TrialStatus.METRICS_UNAVAILABLE and nearest:
            reason = "\n".join([reason, "lines that came closest to it:", *nearest])
        if status is TrialStatus.COMPLETED:
            for rung, value in self.rule.settle(self.state, self.state.trials[trial]):
                self._record(RungReached(trial=trial, rung=rung, value=value))
        self._record(TrialEnded(trial=trial, status=status, reason=reason))

    def _pause(self, trial: Trial, attempt: Attempt, end: JobEnd) -> bool:
        """Pause a trial that has come to where it was to pause: stopped there by us, or by its own doing."""
        target, stop = attempt.resource, attempt.stop
        if target is None or not self.rule.pauses_at(target) or self.state.phase is not Phase.RUNNING:
            return False
        if stop is None and end.outcome is Outcome.COMPLETED:
            value = next((value for resource, value in trial.curve if resource >= target), None)
            if value is None:
                return False  # it came to its end before
            if trial.rung is None or trial.rung < target:
                self._record(RungReached(trial=trial.id, rung=target, value=value))
        elif stop is None or stop.kind is not StopKind.PAUSED:
            return False
        detail = f"paused at {self.state.objective.resource} {target:g}"
        self._record(TrialPaused(trial=trial.id, reason=detail))
        return True

    # Limits

    def check_limits(self, silence: EndReason | None) -> None:
        if self.state.phase is Phase.RUNNING:
            reason = limit_reached(self.state, self._now) or silence or early_abort.verdict(self.state)
            if reason is not None:
                self._record(ExperimentEnding(reason=reason))
        self._withdraw()
        self._cancel()

    def _withdraw(self) -> None:
        """Take back launches that the caps do not pay for since they were lowered."""
        if self.state.phase is not Phase.RUNNING:
            return
        for trial in budget.overdrawn(self.state):
            shortage = budget.shortage(self.state, trial)
            detail = f"its job was not started: {shortage.detail if shortage else 'the caps were lowered'}"
            stop = StopReason(kind=StopKind.CANCELLED, detail=detail)
            self._record(StopIntended(trial=trial.id, attempt=len(trial.attempts), reason=stop))

    def _cancel(self) -> None:
        """Once it is ending, have everything end that has not."""
        if self.state.phase is Phase.ENDING and self.state.reason is not None:
            why = StopReason(kind=StopKind.CANCELLED, detail=self.state.reason.detail)
            for trial in self.state.open_trials():
                live = trial.live
                if trial.id in self.state.draining:
                    continue  # nothing runs of it, and its log says what it has come to
                if live is None:
                    self._record(TrialEnded(trial=trial.id, status=TrialStatus.CANCELLED, reason=why.detail))
                elif live.stop is None or live.stop.kind is StopKind.STALLED:
                    self._record(StopIntended(trial=trial.id, attempt=live.number, reason=why))

    def launch(self) -> None:
        """Give free slots to trials that wait for one."""
        if self.state.phase is not Phase.RUNNING:
            return
        for trial in _waiting(self.state, self._now):
            if slots_free(self.state) > 0 and budget.fits(self.state, trial, self._now):
                self._intend(trial)
        while slots_free(self.state) > 0 and self.state.phase is Phase.RUNNING:
            promoted = self._promoted()
            if promoted is None or not budget.fits(self.state, promoted, self._now):
                return
            self._intend(promoted)

    def _promoted(self) -> Trial | None:
        """The paused trial that the rule would resume."""
        promoted = self.rule.promote(self.state)
        return None if promoted is None else self.state.trials[promoted]

    def _intend(self, trial: Trial) -> None:
        offered = budget.offer(self.state, trial, now=self._now)
        self._record(
            AttemptIntended(
                trial=trial.id,
                attempt=len(trial.attempts) + 1,
                max_runtime=offered.runtime,
                resource=self.rule.target(trial),
                terms=offered.terms,
            )
        )

    def finish(self) -> None:
        """End the experiment once nothing is left to do."""
        if self._short_of_money():
            return
        self._end_paused()
        state = self.state
        if state.open or state.phase is Phase.ENDED:
            return
        if self._awaits_pools_or_bills():
            return
        if state.phase is Phase.ENDING and state.reason is not None:
            self._record(ExperimentEnded(reason=state.reason))
        elif state.exhausted or len(state.trials) >= state.limits.max_trials:
            self._record(ExperimentEnded(reason=natural_end(state)))

    def _awaits_pools_or_bills(self) -> bool:
        # Machines that are kept warm cost money: they are given back first. And a bill may free money yet.
        return bool(self.state.pools) or budget.awaits_bills(self.state, self._now)

    def _short_of_money(self) -> bool:
        """Begin the end when nothing that is wanted can ever be paid for; True while that may yet change."""
        state = self.state
        if state.phase is not Phase.RUNNING or state.live or state.draining:
            return False
        reason = budget.stuck(state, self._promoted(), self._now)
        if reason is None:
            return False
        if self._awaits_pools_or_bills():
            return True
        self._record(ExperimentEnding(reason=reason))
        self._cancel()
        return False

    def _end_paused(self) -> None:
        """End the trials that nobody will ever resume."""
        state = self.state
        over = state.exhausted or len(state.trials) >= state.limits.max_trials
        if state.phase is not Phase.RUNNING or not over:
            return
        if state.open == state.resting:
            for trial in state.open_trials():
                reason = f"{trial.reason}, and not resumed"
                self._record(TrialEnded(trial=trial.id, status=TrialStatus.PRUNED, reason=reason))
