"""What follows from what was observed, each rule once: ``decide(state, [observation])`` against its events.

Read from top to bottom it is the manual of an experiment's life.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from trialjob.model.ids import TrialId
from trialjob.model.job import Bill, FailureKind, JobEnd, JobState, Outcome
from trialjob.model.limits import Limits
from trialjob.model.metric import Mode, NanPolicy, Objective, Report
from trialjob.model.money import PriceOrigin, Tariff, Terms
from trialjob.model.trial import (
    AttemptStatus,
    EndKind,
    EndReason,
    LogAction,
    LogMatch,
    StopKind,
    StopReason,
    TrialStatus,
)
from trialjob.orchestrator.core.commands import EndPools, StopJob, SubmitJob, due, idle_until, pools_due
from trialjob.orchestrator.core.decide import decide
from trialjob.orchestrator.core.events import (
    AttemptEnded,
    AttemptIntended,
    BillLearned,
    Event,
    ExperimentEnded,
    ExperimentEnding,
    ExperimentResumed,
    JobEnded,
    JobProgressed,
    JobSubmitted,
    LimitsChanged,
    LogMatched,
    PoolsEnded,
    PricesLearned,
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
from trialjob.orchestrator.core.evolve import ASK_FOR_BILL, apply
from trialjob.orchestrator.core.launching import wanted
from trialjob.orchestrator.core.observations import (
    BillObserved,
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
from trialjob.orchestrator.core.search import BaseRule, Judgement, StoppingRule
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial
from trialjob.orchestrator.core.verdicts import natural_end
from trialjob.orchestrator.stopping.asha import Asha
from trialjob.orchestrator.stopping.none import NoStopping
from trialjob.orchestrator.stopping.promotion import Promotion
from trialjob.testing.histories import beginning

NOW = 1_000.0
ONE, TWO = TrialId(1), TrialId(2)
LIMITS = Limits(max_trials=3, max_concurrent_trials=2, trial_timeout=600.0)
ACC = Objective(metric="acc", mode=Mode.MAX)
#: A dollar an hour, 60 s to stop and 60 s to upload, and a machine kept warm for four minutes.
TERMS = Terms(price=1_000_000, stop_grace=60.0, upload=60.0, keep_alive=240.0)
PRICES = PricesLearned(tariff=Tariff(terms=(TERMS,), origin=PriceOrigin.SPEC, source="the spec"))

PROPOSED = TrialProposed(trial=ONE, config={"lr": 0.1})
INTENDED = AttemptIntended(trial=ONE, attempt=1, max_runtime=600.0)
SUBMITTED = JobSubmitted(trial=ONE, attempt=1)
TRAINING = JobProgressed(trial=ONE, attempt=1, status=AttemptStatus.TRAINING)
RUNNING = (PROPOSED, INTENDED, SUBMITTED, TRAINING)
DONE = JobEnd(outcome=Outcome.COMPLETED, exit_code=0, seconds=60.0)
STOPPED = JobEnd(outcome=Outcome.STOPPED, seconds=60.0)
PRUNED = StopReason(kind=StopKind.PRUNED, detail="others were better")


def experiment(*events: Event, limits: Limits = LIMITS, objective: Objective = ACC) -> State:
    """An experiment of which ``events`` have been journaled."""
    created = beginning("e", objective, limits)
    state = apply(None, created, NOW)
    for event in events:
        state = apply(state, event, NOW)
    return state


def events(
    state: State, *observations: Observation, rule: StoppingRule | None = None, now: float = NOW
) -> Sequence[Event]:
    return decide(state, observations, rule or NoStopping(), now).events


def report(epoch: float, acc: float) -> Report:
    return Report(resource=epoch, metrics={"acc": acc}, at=NOW)


def look(*reports: Report, end: JobEnd | None = None, trial: TrialId = ONE) -> JobObserved:
    cursor = str(len(reports))
    return JobObserved(
        trial=trial, attempt=1, state=JobState.TRAINING, reports=reports, cursor=cursor, end=end
    )


def read(*reports: Report, trial: TrialId = ONE) -> ReportsRead:
    return ReportsRead(trial=trial, attempt=1, reports=reports, cursor=str(len(reports)))


def ended(end: JobEnd, trial: TrialId = ONE) -> AttemptEnded:
    return AttemptEnded(trial=trial, attempt=1, end=end)


# A trial begins


def test_a_suggestion_becomes_a_trial_and_its_first_job_is_intended() -> None:
    assert events(experiment(), Suggested(config={"lr": 0.1})) == [PROPOSED, INTENDED]


def test_when_the_sampler_has_nothing_left_no_more_trials_come_and_the_experiment_ends() -> None:
    detail = "all 0 configurations of the space have been tried"
    end = EndReason(kind=EndKind.SPACE_EXHAUSTED, detail=detail)
    assert events(experiment(), Suggested(config=None)) == [SpaceExhausted(), ExperimentEnded(reason=end)]


def test_a_suggestion_is_wanted_only_while_a_slot_is_free() -> None:
    full = experiment(*RUNNING, limits=replace(LIMITS, max_concurrent_trials=1))
    assert not wanted(full, NOW)
    assert events(full, Suggested(config={"lr": 0.2})) == []
    assert wanted(experiment(*RUNNING), NOW)


def test_no_more_trials_are_proposed_than_were_agreed() -> None:
    state = experiment(*RUNNING, limits=replace(LIMITS, max_trials=1))
    assert events(state, Suggested(config={"lr": 0.2})) == []


def test_the_canary_runs_alone_until_it_has_a_value() -> None:
    limits = replace(LIMITS, canary=True)
    assert not wanted(experiment(*RUNNING, limits=limits), NOW)
    assert wanted(experiment(*RUNNING, read(report(1, 0.5)), limits=limits), NOW)


# A job is submitted


def test_what_is_intended_is_due_to_be_submitted() -> None:
    assert due(experiment(PROPOSED, INTENDED), NOW) == [SubmitJob(trial=ONE, attempt=1)]
    assert due(experiment(PROPOSED, INTENDED, SUBMITTED), NOW) == []


def test_an_accepted_job_is_noted_and_so_is_one_that_was_there_already() -> None:
    state = experiment(PROPOSED, INTENDED)
    assert events(state, SubmitAnswered(trial=ONE, attempt=1, answer=Submitted())) == [SUBMITTED]
    adopted = SubmitAnswered(trial=ONE, attempt=1, answer=Submitted(adopted=True))
    assert events(state, adopted) == [JobSubmitted(trial=ONE, attempt=1, adopted=True)]


def test_a_job_without_quota_waits_and_the_same_reason_is_journaled_once() -> None:
    full = SubmitAnswered(trial=ONE, attempt=1, answer=Postponed(reason="no quota"))
    postponed = SubmitPostponed(trial=ONE, attempt=1, reason="no quota", until=NOW)
    assert events(experiment(PROPOSED, INTENDED), full) == [postponed]
    assert events(experiment(PROPOSED, INTENDED, postponed), full) == []


def test_a_backend_that_wants_to_be_left_alone_for_a_day_is_asked_again_sooner() -> None:
    full = SubmitAnswered(trial=ONE, attempt=1, answer=Postponed(reason="no quota", seconds=86_400))
    (postponed,) = events(experiment(PROPOSED, INTENDED), full)
    assert isinstance(postponed, SubmitPostponed)
    assert due(experiment(PROPOSED, INTENDED, postponed), NOW) == []


def test_a_postponed_job_is_due_when_its_time_has_come() -> None:
    state = experiment(
        PROPOSED, INTENDED, SubmitPostponed(trial=ONE, attempt=1, reason="busy", until=NOW + 5)
    )
    assert due(state, NOW) == []
    assert idle_until(state, NOW) == NOW + 5
    assert due(state, NOW + 5) == [SubmitJob(trial=ONE, attempt=1)]


def test_a_job_that_is_refused_for_good_fails_its_trial_and_costs_nothing() -> None:
    refused = SubmitAnswered(trial=ONE, attempt=1, answer=Rejected(reason="no such image"))
    found = events(experiment(PROPOSED, INTENDED), refused)
    assert found[-1] == TrialEnded(trial=ONE, status=TrialStatus.FAILED, reason="rejected: no such image")
    (end,) = [event.end for event in found if isinstance(event, AttemptEnded)]
    assert (end.failure, end.seconds, end.pool_seconds) == (FailureKind.REJECTED, 0.0, 0.0)


def test_an_answer_that_comes_late_says_nothing_new() -> None:
    state = experiment(*RUNNING)
    assert events(state, SubmitAnswered(trial=ONE, attempt=1, answer=Submitted())) == []
    assert events(state, JobObserved(trial=ONE, attempt=1, state=JobState.TRAINING)) == []
    over = experiment(*RUNNING, ended(DONE), TrialEnded(trial=ONE, status=TrialStatus.FAILED, reason=""))
    assert events(over, look(report(1, 0.5))) == []


# A job reports


def test_reports_are_journaled_with_the_mark_behind_them() -> None:
    assert events(experiment(*RUNNING), look(report(1, 0.5), report(2, 0.6))) == [
        read(report(1, 0.5), report(2, 0.6))
    ]


def test_a_rung_is_entered_and_a_loser_is_stopped() -> None:
    two = [replace(event, trial=TWO) for event in (PROPOSED, INTENDED, SUBMITTED, TRAINING)]
    entered = RungReached(trial=TWO, rung=1.0, value=0.9)
    state = experiment(*RUNNING, *two, read(report(1, 0.9), trial=TWO), entered)
    found = events(state, look(report(1, 0.1)), rule=Asha(max_resource=9))
    reason = StopReason(kind=StopKind.PRUNED, detail="1 of 2 trials were better at epoch 1")
    assert found == [
        read(report(1, 0.1)),
        RungReached(trial=ONE, rung=1.0, value=0.1),
        StopIntended(trial=ONE, attempt=1, reason=reason),
    ]


def test_an_epoch_that_is_repeated_is_kept_and_not_judged_again() -> None:
    rung = RungReached(trial=ONE, rung=1.0, value=0.9)
    state = experiment(*RUNNING, read(report(1, 0.9)), rung)
    assert events(state, look(report(1, 0.0)), rule=Asha(max_resource=9)) == [read(report(1, 0.0))]


def test_nan_fails_a_trial_where_the_spec_says_so() -> None:
    objective = replace(ACC, nan=NanPolicy.FAIL)
    _, stop = events(experiment(*RUNNING, objective=objective), look(report(3, math.nan)))
    reason = StopReason(kind=StopKind.FAILED, detail="acc is NaN at epoch 3")
    assert stop == StopIntended(trial=ONE, attempt=1, reason=reason)


def test_the_target_ends_the_experiment_and_with_it_what_runs() -> None:
    state = experiment(*RUNNING, limits=replace(LIMITS, target=0.9))
    detail = "acc reached 0.95; the target was 0.9"
    assert events(state, look(report(1, 0.95))) == [
        read(report(1, 0.95)),
        ExperimentEnding(reason=EndReason(kind=EndKind.TARGET, detail=detail)),
        StopIntended(trial=ONE, attempt=1, reason=StopReason(kind=StopKind.CANCELLED, detail=detail)),
    ]


@pytest.mark.parametrize(
    ("action", "kind"),
    [(LogAction.STOP_TRIAL, StopIntended), (LogAction.STOP_EXPERIMENT, ExperimentEnding)],
)
def test_a_line_that_matches_a_pattern_has_its_consequence_once(action: LogAction, kind: type[Event]) -> None:
    match = LogMatch(pattern="diverged", then=action, line="diverged at 3")
    observation = JobObserved(trial=ONE, attempt=1, state=JobState.TRAINING, matches=(match,))
    found = events(experiment(*RUNNING), observation)
    assert found[0] == LogMatched(trial=ONE, attempt=1, match=match)
    assert isinstance(found[1], kind)
    again = experiment(*RUNNING, LogMatched(trial=ONE, attempt=1, match=match))
    assert events(again, observation) == []


# A job is stopped


def test_a_stop_is_due_until_it_is_answered_and_comes_before_launches() -> None:
    stop = StopIntended(trial=ONE, attempt=1, reason=PRUNED)
    state = experiment(*RUNNING, replace(PROPOSED, trial=TWO), replace(INTENDED, trial=TWO), stop)
    assert due(state, NOW) == [StopJob(trial=ONE, attempt=1), SubmitJob(trial=TWO, attempt=1)]
    stopping = JobProgressed(trial=ONE, attempt=1, status=AttemptStatus.STOPPING)
    assert events(state, StopAnswered(trial=ONE, attempt=1, known=True)) == [stopping]
    assert due(experiment(*RUNNING, stop, stopping), NOW) == []


def test_a_job_that_is_stopping_still_holds_its_slot() -> None:
    stopping = JobProgressed(trial=ONE, attempt=1, status=AttemptStatus.STOPPING)
    limits = replace(LIMITS, max_concurrent_trials=1)
    assert not wanted(experiment(*RUNNING, stopping, limits=limits), NOW)


def test_a_job_that_never_was_is_over_at_once_and_one_that_may_be_there_is_asked_again() -> None:
    stop = StopIntended(trial=ONE, attempt=1, reason=PRUNED)
    unknown = StopAnswered(trial=ONE, attempt=1, known=False)
    found = events(experiment(PROPOSED, INTENDED, stop), unknown)
    assert found[-1] == TrialEnded(trial=ONE, status=TrialStatus.PRUNED, reason="others were better")
    assert events(experiment(PROPOSED, INTENDED, SUBMITTED, stop), unknown) == []


def test_a_stop_that_finds_a_job_of_which_no_submission_was_answered_adopts_it() -> None:
    state = experiment(PROPOSED, INTENDED, StopIntended(trial=ONE, attempt=1, reason=PRUNED))
    assert events(state, StopAnswered(trial=ONE, attempt=1, known=True)) == [
        JobSubmitted(trial=ONE, attempt=1, adopted=True),
        JobProgressed(trial=ONE, attempt=1, status=AttemptStatus.STOPPING),
    ]


# A job ends


def over(end: JobEnd, *reports: Report) -> JobObserved:
    """A look at a job whose machine is free and whose log is still being read."""
    return replace(look(*reports), over=end)


DRAINING = JobEnded(trial=ONE, attempt=1, end=DONE)


def test_a_job_that_is_over_hands_its_slot_on_while_its_log_is_read() -> None:
    alone = replace(LIMITS, max_concurrent_trials=1)
    state = experiment(*RUNNING, read(report(1, 0.5)), limits=alone)
    assert not wanted(state, NOW)
    assert events(state, over(DONE)) == [DRAINING]
    draining = experiment(*RUNNING, read(report(1, 0.5)), DRAINING, limits=alone)
    assert (not draining.live, set(draining.draining), not draining.idle) == (True, {ONE}, True)
    assert wanted(draining, NOW)
    assert events(draining, over(DONE)) == []
    # What comes late still counts, and the trial ends with its whole log.
    assert events(draining, look(report(2, 0.75), end=DONE)) == [
        ReportsRead(trial=ONE, attempt=1, reports=(report(2, 0.75),), cursor="1"),
        ended(DONE),
        TrialEnded(trial=ONE, status=TrialStatus.COMPLETED, reason=""),
    ]


def test_a_stopped_job_hands_its_slot_on_and_is_not_stopped_again() -> None:
    stop = StopIntended(trial=ONE, attempt=1, reason=PRUNED)
    over_ = JobEnded(trial=ONE, attempt=1, end=STOPPED)
    stopping = experiment(*RUNNING, read(report(1, 0.5)), stop)
    assert events(stopping, over(STOPPED)) == [over_]
    state = apply(stopping, over_, NOW)
    assert due(state, NOW) == []
    pruned = TrialEnded(trial=ONE, status=TrialStatus.PRUNED, reason=PRUNED.detail)
    assert events(state, look(end=STOPPED))[-1] == pruned


@pytest.mark.parametrize("outcome", [Outcome.COMPLETED, Outcome.TIMED_OUT])
def test_a_trial_without_a_value_holds_its_slot_until_its_log_has_told(outcome: Outcome) -> None:
    assert events(experiment(*RUNNING), over(JobEnd(outcome=outcome))) == []


def test_a_failed_job_holds_its_slot_for_the_next_try() -> None:
    state = experiment(*RUNNING, read(report(1, 0.5)))
    lost = JobEnd(outcome=Outcome.FAILED, failure=FailureKind.LOST)
    assert events(state, over(lost)) == []
    assert isinstance(events(state, look(end=lost))[-1], RetryPlanned)


def test_a_job_that_is_removed_while_its_log_is_read_is_not_run_again() -> None:
    state = experiment(*RUNNING, read(report(1, 0.5)), DRAINING)
    lost = JobEnd(outcome=Outcome.FAILED, failure=FailureKind.LOST)
    assert events(state, look(end=lost)) == [
        ended(DONE),
        TrialEnded(trial=ONE, status=TrialStatus.COMPLETED, reason=""),
    ]


def test_an_end_of_the_experiment_waits_for_the_log_of_a_job_that_is_over() -> None:
    time_is_over = EndReason(kind=EndKind.TIMEOUT, detail="time is over")
    state = experiment(*RUNNING, read(report(1, 0.5)), DRAINING, ExperimentEnding(reason=time_is_over))
    assert events(state) == []
    found = [type(event) for event in events(state, look(end=DONE))]
    assert found == [AttemptEnded, TrialEnded, ExperimentEnded]


def test_no_trial_is_begun_that_the_last_of_those_being_read_may_end() -> None:
    limits = replace(LIMITS, max_trials_without_improvement=1)
    begun = (*RUNNING, read(report(1, 0.5)), DRAINING)
    assert not wanted(experiment(*begun, limits=limits), NOW)
    assert wanted(experiment(*begun, limits=replace(limits, max_trials_without_improvement=2)), NOW)


def test_the_bill_of_a_job_that_is_over_counts_once_and_its_pool_is_given_back() -> None:
    kept = replace(DONE, pool_until=NOW + 240)
    begun = (PRICES, PROPOSED, replace(INTENDED, terms=TERMS), SUBMITTED, TRAINING, read(report(1, 0.5)))
    draining = replace(DRAINING, end=kept)
    state = experiment(*begun, draining, limits=replace(LIMITS, max_trials=1, max_cost=10.0))
    assert state.committed == TERMS.settled(600.0, seconds=60.0, pool_seconds=None)
    assert pools_due(state) == EndPools(left_by=((ONE, 1),))
    gone = apply(apply(state, PoolsEnded(), NOW), ended(kept), NOW)
    assert (gone.pools, gone.committed, len(gone.pending_bills)) == ((), state.committed, 1)
    told = apply(gone, BillLearned(trial=ONE, attempt=1, pool_seconds=5.0), NOW)
    assert (told.committed, told.pending_bills) == (TERMS.settled(600.0, seconds=60.0, pool_seconds=5.0), ())
    late = apply(state, ended(replace(kept, pool_seconds=5.0)), NOW)
    assert (late.committed, late.pools, late.pending_bills) == (told.committed, (), ())


def test_the_machine_of_a_trial_that_may_be_resumed_is_kept_while_its_log_is_read() -> None:
    rule = Promotion(max_resource=9, reduction_factor=3)
    kept = replace(DONE, pool_until=NOW + 240)
    begun = (PROPOSED, replace(INTENDED, resource=1.0), SUBMITTED, TRAINING, read(report(1, 0.5)))
    limits = replace(LIMITS, max_trials=1)
    (found,) = events(experiment(*begun, limits=limits), over(kept), rule=rule)
    assert found == JobEnded(trial=ONE, attempt=1, end=kept, may_resume=True)
    assert pools_due(experiment(*begun, found, limits=limits)) is None
    assert idle_until(experiment(*begun, found, limits=limits), NOW) == math.inf


def test_a_job_that_ends_well_completes_its_trial() -> None:
    assert events(experiment(*RUNNING), look(report(1, 0.5), end=DONE)) == [
        read(report(1, 0.5)),
        ended(DONE),
        TrialEnded(trial=ONE, status=TrialStatus.COMPLETED, reason=""),
    ]


def test_without_a_value_of_the_objective_it_has_not_completed_and_the_nearest_lines_are_told() -> None:
    observation = replace(look(end=DONE), nearest=("accuracy: 0.5",))
    reason = "it ended without a value of acc\nlines that came closest to it:\naccuracy: 0.5"
    assert events(experiment(*RUNNING), observation)[1] == TrialEnded(
        trial=ONE, status=TrialStatus.METRICS_UNAVAILABLE, reason=reason
    )


def test_a_stopped_job_was_pruned_or_cancelled_as_the_stop_said() -> None:
    stop = StopIntended(trial=ONE, attempt=1, reason=PRUNED)
    state = experiment(*RUNNING, read(report(1, 0.5)), stop)
    assert events(state, look(end=STOPPED))[1] == TrialEnded(
        trial=ONE, status=TrialStatus.PRUNED, reason="others were better"
    )
    alone = experiment(*RUNNING, read(report(1, 0.5)))
    assert events(alone, look(end=STOPPED))[1] == TrialEnded(
        trial=ONE, status=TrialStatus.CANCELLED, reason="stopped by somebody else"
    )


def test_user_code_that_fails_is_not_tried_again() -> None:
    failed = JobEnd(outcome=Outcome.FAILED, failure=FailureKind.USER_CODE, message="exit 1", exit_code=1)
    found = events(experiment(*RUNNING), look(end=failed))
    assert found[-1] == TrialEnded(trial=ONE, status=TrialStatus.FAILED, reason="user_code: exit 1")


def test_what_the_cloud_took_away_is_tried_again_later() -> None:
    gone = JobEnd(outcome=Outcome.FAILED, failure=FailureKind.CAPACITY, message="no machine")
    attempt, retry = events(experiment(*RUNNING), look(end=gone))
    assert attempt == ended(gone)
    assert isinstance(retry, RetryPlanned)
    assert retry.not_before > NOW
    waiting = experiment(*RUNNING, attempt, retry)
    assert events(waiting) == []
    again = AttemptIntended(trial=ONE, attempt=2, max_runtime=600.0)
    assert events(waiting, now=retry.not_before) == [again]


def test_a_try_that_was_planned_by_a_clock_set_back_since_is_made() -> None:
    gone = JobEnd(outcome=Outcome.FAILED, failure=FailureKind.CAPACITY, message="no machine")
    retry = RetryPlanned(trial=ONE, not_before=NOW + 86_400, reason="no machine")
    again = AttemptIntended(trial=ONE, attempt=2, max_runtime=600.0)
    assert events(experiment(*RUNNING, ended(gone), retry)) == [again]


def test_a_trial_that_waits_for_another_try_keeps_its_slot_from_new_ones() -> None:
    gone = JobEnd(outcome=Outcome.FAILED, failure=FailureKind.CAPACITY, message="no machine")
    retry = RetryPlanned(trial=ONE, not_before=NOW, reason="no machine")
    state = experiment(*RUNNING, ended(gone), retry, limits=replace(LIMITS, max_concurrent_trials=1))
    assert not wanted(state, NOW)


# A rule that remembers


@dataclass(frozen=True, kw_only=True)
class OncePerExperiment(BaseRule):
    """Stops at the first report; it remembers whether it has stopped any trial."""

    spent: bool = False

    def after(self, event: Event) -> StoppingRule:
        return replace(self, spent=True) if isinstance(event, StopIntended) else self

    def judge(self, state: State, trial: Trial, report: Report) -> Judgement:  # noqa: ARG002 - the protocol
        return Judgement(stop=None if self.spent else PRUNED)


def test_a_rule_remembers_what_has_been_recorded_in_the_same_step() -> None:
    two = [replace(event, trial=TWO) for event in (PROPOSED, INTENDED, SUBMITTED, TRAINING)]
    state, rule = experiment(*RUNNING, *two), OncePerExperiment()
    observations = [look(report(1, 0.5)), look(report(1, 0.5), trial=TWO)]
    decision = decide(state, observations, rule, NOW)
    stops = [event for event in decision.events if isinstance(event, StopIntended)]
    assert [stop.trial for stop in stops] == [ONE]
    assert (rule.spent, decision.rule) == (False, OncePerExperiment(spent=True))


def test_an_experiment_that_is_ending_asks_its_rule_no_more() -> None:
    reason = EndReason(kind=EndKind.STOPPED, detail="stopped by the user")
    cancelled = StopReason(kind=StopKind.CANCELLED, detail=reason.detail)
    state = experiment(*RUNNING, ExperimentEnding(reason=reason))
    assert events(state, look(report(1, 0.5)), rule=OncePerExperiment()) == [
        read(report(1, 0.5)),
        StopIntended(trial=ONE, attempt=1, reason=cancelled),
    ]


# A rule that pauses


def test_a_trial_pauses_at_its_rung_and_the_best_goes_on() -> None:
    rule = Promotion(max_resource=9, reduction_factor=3)
    first = replace(INTENDED, resource=1.0)
    state = experiment(PROPOSED, first, SUBMITTED, TRAINING)
    found = events(state, look(report(1, 0.5), end=DONE), rule=rule)
    assert found == [
        read(report(1, 0.5)),
        RungReached(trial=ONE, rung=1.0, value=0.5),
        StopIntended(
            trial=ONE, attempt=1, reason=StopReason(kind=StopKind.PAUSED, detail="paused at epoch 1")
        ),
        ended(DONE),
        TrialPaused(trial=ONE, reason="paused at epoch 1"),
    ]


def test_paused_trials_that_nobody_will_resume_end_the_experiment() -> None:
    rule = Promotion(max_resource=9, reduction_factor=3)
    paused = (RungReached(trial=ONE, rung=1.0, value=0.5), TrialPaused(trial=ONE, reason="paused at epoch 1"))
    state = experiment(*RUNNING, read(report(1, 0.5)), ended(DONE), *paused, SpaceExhausted())
    trial, experiment_end = events(state, rule=rule)
    assert trial == TrialEnded(
        trial=ONE, status=TrialStatus.PRUNED, reason="paused at epoch 1, and not resumed"
    )
    assert isinstance(experiment_end, ExperimentEnded)


# Money


def test_no_job_starts_that_the_cap_may_not_pay_for_at_its_worst() -> None:
    # 600 s of training, 120 s of its end and 240 s of a warm machine are 0.2667 dollars.
    assert wanted(experiment(PRICES, limits=replace(LIMITS, max_cost=0.27)), NOW)
    # A machine that cannot be kept is not asked for; the rest is 0.20.
    assert wanted(experiment(PRICES, limits=replace(LIMITS, max_cost=0.20)), NOW)
    assert not wanted(experiment(PRICES, limits=replace(LIMITS, max_cost=0.19)), NOW)


@pytest.mark.parametrize(("cap", "keep_alive"), [(0.27, 240.0), (0.26, 0.0)])
def test_a_pool_that_cannot_be_paid_for_is_not_asked_for(cap: float, keep_alive: float) -> None:
    (intended,) = events(experiment(PRICES, PROPOSED, limits=replace(LIMITS, max_cost=cap)))
    assert intended == replace(INTENDED, terms=replace(TERMS, keep_alive=keep_alive))


#: A whole trial that took 60 s, 30 of them before its report, and came to 60 s and no pool.
WHOLE = (
    replace(INTENDED, terms=TERMS),
    SUBMITTED,
    TRAINING,
    ReportsRead(
        trial=ONE, attempt=1, reports=(Report(resource=1.0, metrics={"acc": 0.5}, at=30.0),), cursor="1"
    ),
    ended(replace(DONE, started_at=0.0, ended_at=60.0, pool_seconds=0.0)),
    TrialEnded(trial=ONE, status=TrialStatus.COMPLETED, reason=""),
)


def last(cap: float) -> State:
    limits = replace(LIMITS, max_cost=cap)
    return experiment(PRICES, PROPOSED, *WHOLE, replace(PROPOSED, trial=TWO), limits=limits)


def test_the_last_money_pays_for_less_than_a_whole_job() -> None:
    # 60 s are spent, and 120 s are held for the end: of what 360 s cost, 180 s are left.
    (intended,) = events(last(360.01 / 3600))
    assert intended == AttemptIntended(
        trial=TWO, attempt=1, max_runtime=180.0, terms=replace(TERMS, keep_alive=0.0)
    )


def test_not_for_so_little_that_no_report_would_come_of_it() -> None:
    # 59 s are less than twice the 30 s that the whole trial went without a report.
    assert isinstance(events(last(239 / 3600))[0], ExperimentEnding)
    assert isinstance(events(last(240.01 / 3600))[0], AttemptIntended)


def test_not_for_less_than_a_second_where_all_reports_came_at_once() -> None:
    both = tuple(Report(resource=epoch, metrics={"acc": 0.5}, at=30.0) for epoch in (1.0, 2.0))
    whole = [
        replace(each, reports=both)
        if isinstance(each, ReportsRead)
        else ended(replace(DONE, pool_seconds=0.0))
        if isinstance(each, AttemptEnded)
        else each
        for each in WHOLE
    ]
    limits = replace(LIMITS, max_cost=180.5 / 3600)
    state = experiment(PRICES, PROPOSED, *whole, replace(PROPOSED, trial=TWO), limits=limits)
    assert state.longest_silence == 0.0
    assert isinstance(events(state)[0], ExperimentEnding)


def test_and_not_while_a_bill_may_free_money() -> None:
    unknown = ended(replace(DONE, started_at=0.0, ended_at=60.0, pool_seconds=0.0, seconds=None))
    given = [unknown if isinstance(each, AttemptEnded) else each for each in WHOLE]
    limits = replace(LIMITS, max_cost=0.30)
    assert events(experiment(PRICES, PROPOSED, *given, replace(PROPOSED, trial=TWO), limits=limits)) == []


def test_a_trial_that_the_caps_cut_short_says_so_and_keeps_its_score() -> None:
    begun = (*events(last(360.01 / 3600)), replace(SUBMITTED, trial=TWO))
    limits = replace(LIMITS, max_cost=360.01 / 3600)
    state = experiment(PRICES, PROPOSED, *WHOLE, replace(PROPOSED, trial=TWO), *begun, limits=limits)
    over = JobEnd(outcome=Outcome.TIMED_OUT, seconds=200.0, pool_seconds=0.0)
    observation = JobObserved(trial=TWO, attempt=1, state=JobState.TRAINING, end=over)
    end = next(event for event in events(state, observation) if isinstance(event, TrialEnded))
    assert (end.status, end.reason) == (TrialStatus.CANCELLED, "the caps paid for no more than 3m of it")


@pytest.mark.parametrize(("interruptions", "longest"), [(0, 7_200.0), (1, None)])
def test_waiting_for_spot_capacity_is_no_silence(interruptions: int, longest: float | None) -> None:
    done = replace(DONE, started_at=0.0, ended_at=7_230.0, interruptions=interruptions)
    read_ = ReportsRead(
        trial=ONE, attempt=1, reports=(Report(resource=1.0, metrics={"acc": 0.5}, at=30.0),), cursor="1"
    )
    over = TrialEnded(trial=ONE, status=TrialStatus.COMPLETED, reason="")
    assert experiment(*RUNNING, read_, ended(done), over).longest_silence == longest


def test_waiting_for_spot_capacity_takes_nothing_of_a_trial_s_time() -> None:
    waited = JobEnd(
        outcome=Outcome.FAILED,
        failure=FailureKind.SPOT,
        started_at=0.0,
        ended_at=14_400.0,
        seconds=40.0,
        training_seconds=100.0,
        interruptions=1,
    )
    state = experiment(*RUNNING)
    for event in events(state, look(end=waited)):
        state = apply(state, event, NOW)
    (again,) = events(state, now=NOW + 60)
    assert isinstance(again, AttemptIntended)
    assert again.max_runtime == 500.0


@pytest.mark.parametrize("changed", [60.0, 600.0, 1200.0])
def test_a_job_that_runs_out_of_time_says_how_much_it_had(changed: float) -> None:
    limits = LimitsChanged(limits=replace(LIMITS, trial_timeout=changed), document={})
    over = look(end=JobEnd(outcome=Outcome.TIMED_OUT, seconds=600.0))
    end = events(experiment(*RUNNING, read(report(1, 0.5)), limits), over)[-1]
    assert isinstance(end, TrialEnded)
    assert end.reason == "trial_timeout of 10m reached"


def test_an_experiment_that_can_pay_for_nothing_ends_and_says_what_a_job_may_cost() -> None:
    ending, end = events(experiment(PRICES, limits=replace(LIMITS, max_cost=0.19)))
    assert isinstance(ending, ExperimentEnding)
    assert ending.reason.kind is EndKind.MAX_COST
    said = "max_cost of $0.19: $0.00 are spent, and another job may cost $0.20"
    assert ending.reason.detail == said
    assert end == ExperimentEnded(reason=ending.reason)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (
            replace(LIMITS, max_cost=0.000001),
            "max_cost of $0.000001: $0.00 are spent, and another job may cost $0.20",
        ),
        (
            replace(LIMITS, max_cost=0.199999),
            "max_cost of $0.199999: $0.00 are spent, and another job may cost $0.20",
        ),
        (
            replace(LIMITS, max_instance_hours=0.0001),
            "max_instance_hours of 0.0001: 0 are used, and another job may take 0.2",
        ),
    ],
)
def test_a_cap_that_is_missed_by_less_than_a_cent_is_not_said_to_be_met(limits: Limits, said: str) -> None:
    ending, _ = events(experiment(PRICES, limits=limits))
    assert isinstance(ending, ExperimentEnding)
    assert ending.reason.detail == said


def test_nothing_starts_under_a_cap_in_dollars_while_no_price_is_known() -> None:
    unknown = PricesLearned(tariff=Tariff(terms=(replace(TERMS, price=None),)))
    ending, _ = events(experiment(unknown, limits=replace(LIMITS, max_cost=100.0)))
    assert isinstance(ending, ExperimentEnding)
    assert (ending.reason.kind, "no price" in ending.reason.detail) == (EndKind.MAX_COST, True)
    assert wanted(experiment(unknown, limits=LIMITS), NOW)


def test_launches_are_taken_back_when_the_cap_is_lowered() -> None:
    intended = replace(INTENDED, terms=TERMS)
    lowered = LimitsChanged(limits=replace(LIMITS, max_cost=0.1), document={})
    (stop,) = events(experiment(PRICES, PROPOSED, intended, lowered))
    assert isinstance(stop, StopIntended)
    assert stop.reason.kind is StopKind.CANCELLED


def test_a_price_that_is_learned_late_asks_for_no_warm_pool() -> None:
    unknown = replace(TERMS, price=None)
    # 720 s are room for one job without its warm pool.
    limits = replace(LIMITS, max_instance_hours=0.2)
    intended = replace(INTENDED, terms=replace(unknown, keep_alive=0.0))
    begun = experiment(PricesLearned(tariff=Tariff(terms=(unknown,))), PROPOSED, limits=limits)
    assert events(begun) == [intended]
    state = apply(apply(begun, intended, NOW), PRICES, NOW)
    assert events(state) == []
    attempt = state.trials[ONE].attempts[0]
    assert attempt.terms == replace(TERMS, keep_alive=0.0)


def test_the_bill_of_a_pool_that_is_told_late_is_asked_for_until_it_is_over() -> None:
    begun = (PRICES, PROPOSED, replace(INTENDED, terms=TERMS), SUBMITTED, TRAINING, read(report(1, 0.5)))
    at_first = JobEnded(trial=ONE, attempt=1, end=replace(DONE, ended_at=NOW))
    told = ended(replace(DONE, ended_at=NOW, pool_until=NOW + 240))
    state = experiment(*begun, at_first, told)
    assert [each.until for each in state.pools] == [NOW + 240]
    assert [each.until for each in state.pending_bills] == [NOW + 240 + ASK_FOR_BILL]


def test_a_bill_that_comes_later_is_recorded_once() -> None:
    unknown = replace(DONE, seconds=None)
    over = (ended(unknown), TrialEnded(trial=ONE, status=TrialStatus.COMPLETED, reason=""))
    state = experiment(PRICES, PROPOSED, replace(INTENDED, terms=TERMS), SUBMITTED, TRAINING, *over)
    bill = BillObserved(trial=ONE, attempt=1, bill=Bill(seconds=61.0, pool_seconds=12.0))
    learned = BillLearned(trial=ONE, attempt=1, seconds=61.0, pool_seconds=12.0)
    assert events(state, bill) == [learned]
    assert events(apply(state, learned, NOW), bill) == []


# The end


def test_everything_ends_when_the_time_is_over() -> None:
    state = experiment(*RUNNING, limits=replace(LIMITS, timeout=60.0))
    assert events(state, now=NOW + 59) == []
    detail = "timeout of 1m reached"
    assert events(state, now=NOW + 60) == [
        ExperimentEnding(reason=EndReason(kind=EndKind.TIMEOUT, detail=detail)),
        StopIntended(trial=ONE, attempt=1, reason=StopReason(kind=StopKind.CANCELLED, detail=detail)),
    ]


def test_what_was_cut_off_by_the_end_is_no_want_of_progress_once_it_goes_on() -> None:
    over, two = EndReason(kind=EndKind.STOPPED, detail="stopped by the user"), TrialId(2)
    state = experiment(
        *(*RUNNING, read(report(1, 0.5)), ended(DONE)),
        TrialEnded(trial=ONE, status=TrialStatus.COMPLETED, reason=""),
        *(replace(event, trial=two) for event in (PROPOSED, INTENDED, SUBMITTED)),
        *(read(report(1, 0.4), trial=two), ExperimentEnding(reason=over), ended(STOPPED, trial=two)),
        TrialEnded(trial=two, status=TrialStatus.CANCELLED, reason=""),
        *(ExperimentEnded(reason=over), ExperimentResumed()),
        limits=replace(LIMITS, max_trials_without_improvement=1),
    )
    assert events(state) == []
    assert wanted(state, NOW)


def test_too_many_failures_end_it_and_the_newest_is_told() -> None:
    failed = JobEnd(outcome=Outcome.FAILED, failure=FailureKind.USER_CODE, message="exit 1", exit_code=1)
    found = events(experiment(*RUNNING, limits=replace(LIMITS, max_failures=1)), look(end=failed))
    (ending,) = [event for event in found if isinstance(event, ExperimentEnding)]
    assert ending.reason.kind is EndKind.MAX_FAILURES
    assert ending.reason.detail.endswith("; trial 1: user_code: exit 1")


def test_warm_machines_are_given_back_before_the_experiment_ends() -> None:
    warm = replace(DONE, pool_until=NOW + 240)
    over = (read(report(1, 0.5)), ended(warm), TrialEnded(trial=ONE, status=TrialStatus.COMPLETED, reason=""))
    state = experiment(*RUNNING, *over, limits=replace(LIMITS, max_trials=1))
    assert events(state) == []
    assert pools_due(state) == EndPools(left_by=((ONE, 1),))
    given_back, end = events(state, PoolsAnswered())
    assert given_back == PoolsEnded()
    assert isinstance(end, ExperimentEnded)
    assert end.reason.kind is EndKind.MAX_TRIALS


def test_a_max_trials_lowered_below_what_was_started_is_told_as_it_is() -> None:
    over = (read(report(1, 0.5)), ended(DONE), TrialEnded(trial=ONE, status=TrialStatus.COMPLETED, reason=""))
    exact, lowered = (
        natural_end(experiment(*RUNNING, *over, limits=replace(LIMITS, max_trials=most))) for most in (1, 0)
    )
    assert exact.detail == "the one trial of max_trials has ended"
    assert lowered.detail == "the one trial has ended, and max_trials is 0"


def test_a_warm_machine_is_kept_while_a_trial_may_take_it() -> None:
    warm = replace(DONE, pool_until=NOW + 240)
    over = (read(report(1, 0.5)), ended(warm), TrialEnded(trial=ONE, status=TrialStatus.COMPLETED, reason=""))
    assert pools_due(experiment(*RUNNING, *over)) is None


def test_an_experiment_without_one_value_has_failed() -> None:
    over = (ended(STOPPED), TrialEnded(trial=ONE, status=TrialStatus.CANCELLED, reason=""))
    (end,) = events(experiment(*RUNNING, *over, limits=replace(LIMITS, max_trials=1)))
    assert isinstance(end, ExperimentEnded)
    assert end.reason.kind is EndKind.NO_RESULT
    assert end.reason.kind.is_failure
    assert end.reason.detail == "the one trial has no value of acc"
