"""Which calls follow from what is journaled, each rule once: ``due(state)`` against its commands."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from trialjob.model.ids import TrialId
from trialjob.model.job import FailureKind, JobEnd, Outcome
from trialjob.model.limits import Limits
from trialjob.model.metric import Mode, Objective
from trialjob.model.money import PriceOrigin, Tariff, Terms
from trialjob.model.trial import (
    AttemptStatus,
    EndKind,
    EndReason,
    StopKind,
    StopReason,
    TrialStatus,
)
from trialjob.orchestrator.core.commands import (
    EndPools,
    StopJob,
    SubmitJob,
    due,
    due_of,
    idle_until,
    pools_due,
)
from trialjob.orchestrator.core.events import (
    AttemptEnded,
    AttemptIntended,
    Event,
    ExperimentEnded,
    ExperimentEnding,
    JobProgressed,
    JobSubmitted,
    PricesLearned,
    RetryPlanned,
    SpaceExhausted,
    StopIntended,
    SubmitPostponed,
    TrialEnded,
    TrialPaused,
    TrialProposed,
)
from trialjob.orchestrator.core.evolve import apply
from trialjob.orchestrator.core.state import State
from trialjob.testing.histories import beginning

NOW = 1_000.0
ONE, TWO, THREE = TrialId(1), TrialId(2), TrialId(3)
LIMITS = Limits(max_trials=3, max_concurrent_trials=3, trial_timeout=600.0, stall_timeout=None)
#: A dollar an hour, and a machine kept warm for four minutes.
TERMS = Terms(price=1_000_000, stop_grace=60.0, upload=60.0, keep_alive=240.0)
PRICES = PricesLearned(tariff=Tariff(terms=(TERMS,), origin=PriceOrigin.SPEC, source="the spec"))
PRUNED = StopReason(kind=StopKind.PRUNED, detail="others were better")
OVER = EndReason(kind=EndKind.STOPPED, detail="stopped by the user")
#: It has left its machine warm until four minutes from now.
DONE = JobEnd(outcome=Outcome.COMPLETED, seconds=60.0, pool_until=NOW + 240)
TAKEN = replace(DONE, outcome=Outcome.FAILED, failure=FailureKind.CAPACITY, pool_until=None)


def experiment(*events: Event, limits: Limits = LIMITS) -> State:
    """An experiment of which ``events`` have been journaled."""
    created = beginning("e", Objective(metric="acc", mode=Mode.MAX), limits)
    state = apply(None, created, NOW)
    for event in events:
        state = apply(state, event, NOW)
    return state


def intended(trial: TrialId) -> tuple[Event, ...]:
    first = AttemptIntended(trial=trial, attempt=1, max_runtime=600.0, terms=TERMS)
    return TrialProposed(trial=trial, config={"lr": float(trial)}), first


def running(trial: TrialId) -> tuple[Event, ...]:
    progressed = JobProgressed(trial=trial, attempt=1, status=AttemptStatus.TRAINING)
    return *intended(trial), JobSubmitted(trial=trial, attempt=1), progressed


def stopped(trial: TrialId) -> Event:
    return StopIntended(trial=trial, attempt=1, reason=PRUNED)


def ended(trial: TrialId, end: JobEnd = DONE) -> tuple[Event, ...]:
    over = AttemptEnded(trial=trial, attempt=1, end=end)
    return *running(trial), over, TrialEnded(trial=trial, status=TrialStatus.COMPLETED, reason="")


# Jobs


def test_what_is_intended_is_submitted_in_the_order_of_the_trials() -> None:
    state = experiment(*intended(ONE), *intended(TWO))
    assert due(state, NOW) == [SubmitJob(trial=ONE, attempt=1), SubmitJob(trial=TWO, attempt=1)]


def test_launches_wait_where_fewer_may_run_than_when_they_were_decided() -> None:
    events = (*running(ONE), *intended(TWO), *intended(THREE))
    for slots, expected in ((1, []), (2, [TWO]), (3, [TWO, THREE])):
        state = experiment(*events, limits=replace(LIMITS, max_concurrent_trials=slots))
        assert due(state, NOW) == [SubmitJob(trial=trial, attempt=1) for trial in expected]


def test_what_runs_is_left_alone() -> None:
    assert due(experiment(*running(ONE)), NOW) == []


def test_stops_come_before_launches_whatever_their_numbers() -> None:
    state = experiment(*intended(ONE), *running(TWO), stopped(TWO))
    assert due(state, NOW) == [StopJob(trial=TWO, attempt=1), SubmitJob(trial=ONE, attempt=1)]


def test_a_job_that_is_to_stop_before_it_was_submitted_is_stopped_and_not_submitted() -> None:
    """A call whose answer was lost may have started it."""
    assert due(experiment(*intended(ONE), stopped(ONE)), NOW) == [StopJob(trial=ONE, attempt=1)]


def test_a_job_that_is_stopping_is_asked_no_more() -> None:
    stopping = JobProgressed(trial=ONE, attempt=1, status=AttemptStatus.STOPPING)
    assert due(experiment(*running(ONE), stopped(ONE), stopping), NOW) == []


def test_a_postponed_job_that_is_to_stop_does_not_wait_for_its_turn() -> None:
    postponed = SubmitPostponed(trial=ONE, attempt=1, reason="no quota", until=NOW + 60)
    assert due(experiment(*intended(ONE), postponed), NOW) == []
    assert due(experiment(*intended(ONE), postponed, stopped(ONE)), NOW) == [StopJob(trial=ONE, attempt=1)]


def test_a_job_that_was_postponed_by_a_clock_set_back_since_is_due() -> None:
    postponed = SubmitPostponed(trial=ONE, attempt=1, reason="no quota", until=NOW + 86_400)
    assert due(experiment(*intended(ONE), postponed), NOW) == [SubmitJob(trial=ONE, attempt=1)]


def test_a_trial_without_a_job_has_no_command() -> None:
    retried = RetryPlanned(trial=ONE, not_before=NOW + 60, reason="interrupted")
    lost = (*running(ONE), AttemptEnded(trial=ONE, attempt=1, end=TAKEN), retried)
    paused = (*running(TWO), AttemptEnded(trial=TWO, attempt=1, end=DONE), TrialPaused(trial=TWO, reason=""))
    state = experiment(*lost, *paused, *ended(THREE))
    assert due(state, NOW) == []
    assert [due_of(state, trial, NOW) for trial in (ONE, TWO, THREE)] == [None, None, None]


def test_an_experiment_that_is_ending_still_stops_and_one_that_has_ended_calls_nobody() -> None:
    state = experiment(*running(ONE), ExperimentEnding(reason=OVER), stopped(ONE))
    assert due(state, NOW) == [StopJob(trial=ONE, attempt=1)]
    over = experiment(*ended(ONE), ExperimentEnding(reason=OVER), ExperimentEnded(reason=OVER))
    assert due(over, NOW) == []
    assert pools_due(over) is None


# Warm machines

GIVEN_BACK = EndPools(left_by=((ONE, 1),))


@pytest.mark.parametrize(
    "more",
    [(), (SpaceExhausted(), *intended(TWO)), (*running(TWO), SpaceExhausted(), *intended(THREE))],
    ids=["more trials will come", "a job is about to start", "one runs and one starts"],
)
def test_a_warm_machine_is_kept_while_a_job_may_take_it(more: tuple[Event, ...]) -> None:
    assert pools_due(experiment(PRICES, *ended(ONE), *more)) is None


def test_a_warm_machine_is_kept_for_a_trial_that_waits_for_another_try() -> None:
    lost = (*running(TWO), AttemptEnded(trial=TWO, attempt=1, end=TAKEN))
    retried = RetryPlanned(trial=TWO, not_before=NOW + 60, reason="interrupted")
    assert pools_due(experiment(PRICES, *ended(ONE), *lost, retried, SpaceExhausted())) is None


def test_a_warm_machine_is_given_back_when_nothing_is_left_to_start() -> None:
    assert pools_due(experiment(PRICES, *ended(ONE), SpaceExhausted())) == GIVEN_BACK
    assert pools_due(experiment(PRICES, *ended(ONE), *running(TWO), SpaceExhausted())) == GIVEN_BACK
    assert pools_due(experiment(PRICES, *ended(ONE), limits=replace(LIMITS, max_trials=1))) == GIVEN_BACK


def test_a_warm_machine_is_given_back_at_once_when_the_experiment_is_ending() -> None:
    state = experiment(PRICES, *ended(ONE), *running(TWO), ExperimentEnding(reason=OVER))
    assert pools_due(state) == GIVEN_BACK


# Waiting


def test_nobody_waits_for_a_time_while_jobs_run_and_no_limit_is_near() -> None:
    assert idle_until(experiment(*running(ONE)), NOW) == math.inf
    assert idle_until(experiment(*running(ONE), limits=replace(LIMITS, timeout=500.0)), NOW) == NOW + 500


def test_a_call_that_is_due_waits_for_nothing() -> None:
    assert idle_until(experiment(*running(ONE), stopped(ONE)), NOW) == NOW
    assert idle_until(experiment(*intended(ONE)), NOW) == NOW


def test_what_was_put_off_is_waited_for_and_the_first_of_it_counts() -> None:
    postponed = SubmitPostponed(trial=ONE, attempt=1, reason="no quota", until=NOW + 60)
    lost = (*running(TWO), AttemptEnded(trial=TWO, attempt=1, end=TAKEN))
    retried = RetryPlanned(trial=TWO, not_before=NOW + 30, reason="interrupted")
    assert idle_until(experiment(*intended(ONE), postponed, *lost, retried), NOW) == NOW + 30
    assert idle_until(experiment(*intended(ONE), postponed), NOW) == NOW + 60
    assert idle_until(experiment(*intended(ONE), postponed), NOW + 90) == NOW + 90


def test_what_is_kept_warm_is_waited_for_when_nothing_else_is_left() -> None:
    assert idle_until(experiment(PRICES, *ended(ONE)), NOW) == NOW + 240
