"""Whole experiments in virtual time."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from trialjob.backends.assumptions import NOTHING
from trialjob.backends.simulator.job_script import JobScript
from trialjob.model.ids import TrialId
from trialjob.model.job import FailureKind, JobRequest, Outcome
from trialjob.model.limits import Limits
from trialjob.model.money import Tariff, Terms
from trialjob.model.space import Choice, Space
from trialjob.model.trial import EndKind, EndReason, Phase, TrialStatus
from trialjob.orchestrator.core.events import (
    Event,
    ExperimentEnding,
    ExperimentResumed,
    LimitsChanged,
    RungReached,
)
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.samplers.grid import GridSampler
from trialjob.orchestrator.stopping.asha import Asha
from trialjob.orchestrator.stopping.none import NoStopping
from trialjob.testing.simulation import Simulation, course


def reporting(*values: float, seconds: float = 60.0) -> JobScript:
    lines = [
        (seconds * epoch, f"[trialjob] {json.dumps({'metrics': {'epoch': epoch, 'accuracy': value}})}")
        for epoch, value in enumerate(values, start=1)
    ]
    return JobScript(lines=lines, runs_for=seconds * len(values) + 1)


def failing(kind: FailureKind, exit_code: int = 1) -> JobScript:
    return JobScript(runs_for=30.0, failure=kind, exit_code=exit_code)


def statuses(state: State) -> list[TrialStatus]:
    return [trial.status for trial in state.trials]


@pytest.mark.parametrize("workers", [1, 2, 4, 16])
@pytest.mark.parametrize("max_trials", [1, 5, 32])
def test_exactly_max_trials_are_started_and_all_end(workers: int, max_trials: int) -> None:
    limits = Limits(max_trials=max_trials, max_concurrent_trials=min(workers, max_trials))
    sim = Simulation(limits=limits)
    most = 0

    def watch(_state: State, _events: Sequence[Event]) -> None:
        nonlocal most
        most = max(most, sim.service.running(sim.clock.now()))

    state = sim.run(watch)
    assert len(sim.service.jobs) == len(state.trials) == max_trials
    assert state.reason is not None
    assert state.reason.kind is EndKind.MAX_TRIALS
    assert set(statuses(state)) <= {TrialStatus.COMPLETED, TrialStatus.PRUNED}
    assert TrialStatus.COMPLETED in statuses(state)
    assert most == limits.max_concurrent_trials
    assert state == sim.stepper().state


def test_the_same_twice() -> None:
    limits = Limits(max_trials=20, max_concurrent_trials=4)
    assert Simulation(limits=limits).run() == Simulation(limits=limits).run()


def test_a_slot_is_held_until_its_job_has_ended() -> None:
    limits = Limits(max_trials=30, max_concurrent_trials=3)
    sim = Simulation(limits=limits, poll_interval=1.0)
    sim.run(lambda _state, _events: _at_most(sim, 3))


def _at_most(sim: Simulation, jobs: int) -> None:
    assert sim.service.running(sim.clock.now()) <= jobs


def test_every_report_is_recorded_once_also_after_a_verdict() -> None:
    sim = Simulation(limits=Limits(max_trials=12, max_concurrent_trials=4), poll_interval=90.0)
    state = sim.run()
    for trial in state.trials:
        job = sim.service.jobs[state.job(trial.id, 1)]
        assert len(trial.reports) == job.printed(math.inf)
        assert [report.resource for report in trial.reports] == list(range(1, len(trial.reports) + 1))


def test_timeout_cancels_what_runs_and_keeps_every_result() -> None:
    limits = Limits(max_trials=100, max_concurrent_trials=4, timeout=2700.0)
    sim = Simulation(limits=limits, rule=NoStopping())
    state = sim.run()
    assert state.reason is not None
    assert state.reason.kind is EndKind.TIMEOUT
    assert state.updated_at - state.created_at < 2700 + 60
    assert sim.service.running(sim.clock.now()) == 0
    assert statuses(state).count(TrialStatus.COMPLETED) == 4
    assert statuses(state).count(TrialStatus.CANCELLED) == 4
    assert all(trial.score is not None for trial in state.trials)


def test_stop_asked_from_elsewhere_cancels_what_runs() -> None:
    sim = Simulation(limits=Limits(max_trials=100, max_concurrent_trials=4))
    asked = EndReason(kind=EndKind.STOPPED, detail="stopped by the user")

    def watch(state: State, _events: Sequence[Event]) -> None:
        if state.phase is Phase.RUNNING and len(state.trials) == 10:
            sim.journal.append(
                [ExperimentEnding(reason=asked)], after=len(sim.journal.read()), at=sim.clock.now()
            )

    state = sim.run(watch)
    assert state.reason == asked
    assert len(state.trials) == len(sim.service.jobs) == 10
    assert sim.service.running(sim.clock.now()) == 0


def test_a_lost_race_is_decided_again() -> None:
    sim = Simulation(limits=Limits(max_trials=4, max_concurrent_trials=2))
    stepper = sim.stepper()
    other = sim.stepper()
    while stepper.state.phase is not Phase.ENDED:
        stepper.step()
        # It read the journal a moment ago and knows nothing of what ``stepper`` has just written.
        other.step()
        sim.clock.sleep(10.0)
    assert len(sim.service.jobs) == 4
    assert statuses(stepper.state) == statuses(other.state)


def test_trial_timeout_ends_one_trial_and_keeps_its_score() -> None:
    sim = Simulation(limits=Limits(max_trials=3, trial_timeout=600.0), rule=NoStopping())
    state = sim.run()
    assert statuses(state) == [TrialStatus.CANCELLED] * 3
    assert all("trial_timeout of 10m" in trial.reason for trial in state.trials)
    assert [trial.resource for trial in state.trials] == [10.0] * 3
    assert state.reason is not None
    assert state.reason.kind is EndKind.MAX_TRIALS


def test_max_failures_ends_the_experiment_and_cancels_the_rest() -> None:
    def course_of(request: JobRequest) -> JobScript:
        return failing(FailureKind.USER_CODE) if request.trial % 2 else course(request)

    sim = Simulation(limits=Limits(max_trials=50, max_concurrent_trials=2, max_failures=3), course=course_of)
    state = sim.run()
    assert state.reason is not None
    assert state.reason.kind is EndKind.MAX_FAILURES
    assert state.failures == 3
    assert sim.service.running(sim.clock.now()) == 0
    failed = [trial for trial in state.trials if trial.status is TrialStatus.FAILED]
    assert all(len(trial.attempts) == 1 for trial in failed)
    assert failed[0].reason.startswith("user_code: exit status 1")


@pytest.mark.parametrize(
    ("kind", "attempts"), [(FailureKind.LOST, 4), (FailureKind.INTERNAL, 4), (FailureKind.CAPACITY, 11)]
)
def test_what_the_cloud_took_away_is_tried_again_within_its_budget(kind: FailureKind, attempts: int) -> None:
    sim = Simulation(limits=Limits(max_trials=1), course=lambda _request: failing(kind), rule=NoStopping())
    state = sim.run()
    assert [attempt.number for attempt in state.trials[TrialId(1)].attempts] == list(range(1, attempts + 1))
    assert statuses(state) == [TrialStatus.FAILED]


def test_what_was_lost_before_it_began_is_counted_apart() -> None:
    def course_of(request: JobRequest) -> JobScript:
        begun = request.attempt % 4 == 0
        return JobScript(runs_for=5.0 if begun else 0.0, failure=FailureKind.LOST)

    sim = Simulation(limits=Limits(max_trials=1), course=course_of, rule=NoStopping())
    (trial,) = sim.run().trials
    paid = [attempt.end.seconds for attempt in trial.attempts if attempt.end is not None]
    assert (sum(map(bool, paid)), len(paid)) == (3, 14)
    assert trial.reason.startswith("lost")


def test_a_retried_trial_comes_before_new_ones_and_repeats_no_rung() -> None:
    def course_of(request: JobRequest) -> JobScript:
        if request.trial == 1 and request.attempt == 1:
            first = reporting(0.5, 0.6, 0.7)
            return replace(first, failure=FailureKind.LOST)
        return reporting(*[0.1 * epoch for epoch in range(1, 10)])

    sim = Simulation(limits=Limits(max_trials=3), course=course_of, rule=Asha(max_resource=9))
    entered: list[tuple[int, float]] = []
    order: list[int] = []

    def watch(_state: State, events: Sequence[Event]) -> None:
        entered.extend((event.trial, event.rung) for event in events if isinstance(event, RungReached))
        order.extend(job.request.trial for job in list(sim.service.jobs.values())[len(order) :])

    state = sim.run(watch)
    # It gives its slot to trial 2 while it waits, and gets the next one that is free.
    assert order == [1, 2, 1, 3]
    assert len(entered) == len(set(entered))
    assert state.trials[TrialId(1)].status is TrialStatus.COMPLETED
    outcomes = [attempt.end.outcome for attempt in state.trials[TrialId(1)].attempts if attempt.end]
    assert outcomes == [Outcome.FAILED, Outcome.COMPLETED]


def test_no_metric_at_all() -> None:
    sim = Simulation(
        limits=Limits(max_trials=9, max_failures=2),
        course=lambda _request: JobScript(lines=[(1.0, "hello")], runs_for=10.0),
    )
    state = sim.run()
    assert statuses(state) == [TrialStatus.METRICS_UNAVAILABLE] * 2
    assert "without a value of accuracy" in state.trials[TrialId(1)].reason
    assert state.reason is not None
    assert state.reason.kind is EndKind.MAX_FAILURES


def test_all_trials_without_a_result_is_a_failure_even_below_max_failures() -> None:
    sim = Simulation(
        limits=Limits(max_trials=1, max_failures=2), course=lambda _request: JobScript(runs_for=10.0)
    )
    state = sim.run()
    assert state.reason is not None
    assert state.reason.kind is EndKind.NO_RESULT


def test_nan_is_a_result_and_the_worst() -> None:
    def course_of(request: JobRequest) -> JobScript:
        value = "NaN" if request.trial == 2 else 0.5
        line = f"[trialjob] {json.dumps({'metrics': {'epoch': 1, 'accuracy': value}})}"
        return JobScript(lines=[(1.0, line), (500.0, line)], runs_for=600.0)

    state = Simulation(limits=Limits(max_trials=2), course=course_of, rule=Asha(max_resource=9)).run()
    assert statuses(state) == [TrialStatus.COMPLETED, TrialStatus.PRUNED]


def test_a_script_that_goes_on_past_max_resource_is_stopped_and_complete() -> None:
    state = Simulation(limits=Limits(max_trials=1), course=lambda request: course(request, epochs=50)).run()
    trial = state.trials[TrialId(1)]
    assert trial.status is TrialStatus.COMPLETED
    assert "max_resource" in trial.reason
    assert trial.resource == 28


def test_a_finite_space_ends_when_it_has_been_tried() -> None:
    space = Space({"lr": Choice(values=(0.1, 0.3)), "hidden": Choice(values=(16, 32))})
    sim = Simulation(
        limits=Limits(max_trials=100, max_concurrent_trials=3),
        space=space,
        sampler=lambda: GridSampler(space),
    )
    state = sim.run()
    assert len(state.trials) == 4
    assert state.reason is not None
    assert state.reason.kind is EndKind.SPACE_EXHAUSTED


def test_more_trials_after_the_end() -> None:
    sim = Simulation(limits=Limits(max_trials=5, max_concurrent_trials=2))
    first = sim.run()
    more = replace(sim.limits, max_trials=8)
    sim.journal.append(
        [LimitsChanged(limits=more, document={}), ExperimentResumed()],
        after=first.version,
        at=sim.clock.now(),
    )
    state = sim.run()
    assert len(state.trials) == len(sim.service.jobs) == 8
    assert [trial.config for trial in state.trials][:5] == [trial.config for trial in first.trials]


def test_fewer_trials_than_have_been_started() -> None:
    sim = Simulation(limits=Limits(max_trials=50, max_concurrent_trials=4))
    lowered = replace(sim.limits, max_trials=6)

    def watch(state: State, _events: Sequence[Event]) -> None:
        if len(state.trials) == 10 and state.limits.max_trials == 50:
            sim.journal.append(
                [LimitsChanged(limits=lowered, document={})],
                after=len(sim.journal.read()),
                at=sim.clock.now(),
            )

    state = sim.run(watch)
    assert state.phase is Phase.ENDED
    assert len(state.trials) <= 11


@pytest.mark.parametrize("workers", [1, 4, 8])
def test_warm_machines_are_reused_and_none_is_left(workers: int) -> None:
    limits = Limits(max_trials=24, max_concurrent_trials=workers)
    sim = Simulation(limits=limits, keep_alive=240.0)
    state = sim.run()
    reused = sum(job.reused_pool for job in sim.service.jobs.values())
    assert reused == limits.max_trials - workers
    assert sim.service.pools(sim.clock.now()) == 0
    assert state.pools == ()
    assert state.reason is not None
    assert state.reason.kind is EndKind.MAX_TRIALS


def test_warm_machines_are_given_back_as_soon_as_no_launch_can_use_them() -> None:
    limits = Limits(max_trials=8, max_concurrent_trials=8)
    sim = Simulation(limits=limits, keep_alive=3600.0)
    kept: list[int] = []
    sim.run(lambda _state, _events: kept.append(sim.service.pools(sim.clock.now())))
    assert max(kept) == 0


def test_warm_machines_are_given_back_after_a_stop() -> None:
    sim = Simulation(
        limits=Limits(max_trials=100, max_concurrent_trials=4, timeout=1500.0), keep_alive=3600.0
    )
    sim.run()
    assert sim.service.pools(sim.clock.now()) == 0


def test_a_cap_that_is_lowered_takes_back_the_launches_that_it_does_not_pay_for() -> None:
    # A job may cost $1.00, and the quota lets one at a time start.
    tariff = Tariff(terms=(Terms(price=1_000_000, machine="a"),))
    limits = Limits(max_trials=8, max_concurrent_trials=4, max_cost=50.0, trial_timeout=3_600.0)
    sim = Simulation(
        limits=limits,
        rule=NoStopping(),
        course=lambda _request: JobScript(lines=(), runs_for=3_500.0),
        tariff=tariff,
        assumptions=replace(NOTHING, training_quota=1),
    )
    stepper = sim.stepper()
    for _ in range(3):
        stepper.step()
    assert len(stepper.state.live) == 4
    assert len(sim.service.jobs) == 1
    lowered = replace(limits, max_cost=1.5)
    sim.journal.append(
        [LimitsChanged(limits=lowered, document={})], after=stepper.state.version, at=sim.clock.now()
    )
    state = sim.run()
    assert sim.service.bill(sim.clock.now()).dollars <= 1.5
    assert len(sim.service.jobs) == 1
    assert [trial.status for trial in state.trials][1:] == [TrialStatus.CANCELLED] * 3
    assert "max_cost of $1.50" in state.trials[TrialId(4)].reason
