"""Jobs that hang are stopped, tried again once and given up; all others are left alone, whatever happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import pytest

from trialjob.backends.simulator.backend import SimulatorBackend
from trialjob.backends.simulator.job_script import JobScript
from trialjob.errors import BackendUnavailable
from trialjob.model.ids import TrialId
from trialjob.model.job import FailureKind, JobRequest, JobSeen, Watch
from trialjob.model.limits import Limits
from trialjob.model.trial import Phase, StopKind, TrialStatus
from trialjob.orchestrator.core import stall
from trialjob.orchestrator.core.events import AttemptEnded, JobSilent, Record, StopIntended
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.engine.loop import Loop
from trialjob.orchestrator.stopping.none import NoStopping
from trialjob.orchestrator.stopping.promotion import Promotion
from trialjob.testing.simulation import ASSUMED, Simulation, course

ONE, TWO = TrialId(1), TrialId(2)
LIMITS = Limits(max_trials=2, max_concurrent_trials=2, stall_timeout=600.0, max_failures=9)
FOR_EVER = 1e9


def hung(request: JobRequest, *, after: int = 2) -> JobScript:
    """It reports so many epochs, and then nothing for ever."""
    whole = course(request, epochs=9)
    return replace(whole, lines=whole.lines[:after], runs_for=FOR_EVER)


def chatty(request: JobRequest, *, every: float = 100.0, epochs: int = 30) -> JobScript:
    """It prints lines of no meaning for an hour before its first report."""
    whole = course(request, epochs=epochs, seconds=3600.0 / epochs)
    lines = [(every * n, f"step {n}") for n in range(1, int(3600 / every))]
    return replace(whole, lines=[*lines, whole.lines[-1]])


def simulation(course_of: object, limits: Limits = LIMITS, **more: object) -> Simulation:
    given = {"rule": NoStopping(), **more}
    return Simulation(limits=limits, course=course_of, **given)  # type: ignore[arg-type]


def stops(sim: Simulation) -> list[tuple[float, StopIntended]]:
    return [
        (record.at, event)
        for record in sim.journal.read()
        for event in record.events
        if isinstance(event, StopIntended)
    ]


def once(request: JobRequest) -> JobScript:
    """The first job of trial 2 hangs."""
    return hung(request) if request.trial == TWO and request.attempt == 1 else course(request, epochs=9)


def test_a_hung_job_is_stopped_in_time_and_tried_again() -> None:
    sim = simulation(once)
    state = sim.run()
    assert [trial.status for trial in state.trials] == [TrialStatus.COMPLETED] * 2
    first, second = state.trials[TWO].attempts
    assert first.end is not None
    assert (first.end.failure, second.reports) == (FailureKind.STALLED, 9)
    [(at, stop)] = stops(sim)
    assert stop.reason.kind is StopKind.STALLED
    assert stop.reason.detail == "no line and no report for 10m (limits.stall_timeout)"
    heard = sim.service.jobs[state.job(TWO, 1)].launches[0].code_began + 120.0
    assert 600.0 <= at - heard <= 600.0 + 100.0


def test_one_that_hangs_again_has_failed_as_stalled() -> None:
    state = simulation(
        lambda request: hung(request) if request.trial == TWO else course(request, epochs=3)
    ).run()
    trial = state.trials[TWO]
    assert (trial.status, len(trial.attempts)) == (TrialStatus.FAILED, 2)
    assert trial.reason.startswith("stalled: no line and no report for 10m")
    assert state.failures == 1


def test_it_costs_no_more_than_the_timeouts_and_is_asked_to_stop_once() -> None:
    sim = simulation(hung, replace(LIMITS, max_trials=1, max_concurrent_trials=1))
    sim.run()
    assert [event.attempt for _at, event in stops(sim)] == [1, 2]
    assert sum(job.billable() for job in sim.service.jobs.values()) < 2 * (120.0 + 600.0 + 150.0)


def test_one_that_hangs_before_its_first_line_too() -> None:
    state = simulation(lambda request: hung(request, after=0)).run()
    assert [trial.reason.split(":")[0] for trial in state.trials] == ["stalled", "stalled"]


def test_lines_are_signs_of_life() -> None:
    sim = simulation(chatty)
    assert [trial.status for trial in sim.run().trials] == [TrialStatus.COMPLETED] * 2
    assert not stops(sim)


def test_a_trial_that_pauses_goes_on_where_its_stalled_job_was() -> None:
    rule = Promotion(max_resource=9, reduction_factor=3)
    limits = replace(LIMITS, max_trials=4)
    state = simulation(once, limits, rule=rule).run()
    assert state.count(TrialStatus.FAILED) == 0
    assert len(state.trials[TWO].attempts) >= 2


@pytest.mark.parametrize("limit", [None, "none"])
def test_without_it_a_hung_job_runs_into_trial_timeout(limit: Literal["none"] | None) -> None:
    limits = replace(LIMITS, stall_timeout=limit, trial_timeout=20_000.0)
    sim = simulation(once, limits)
    state = sim.run()
    assert state.trials[TWO].status is TrialStatus.CANCELLED
    assert not any(isinstance(event, JobSilent) for record in sim.journal.read() for event in record.events)


# What must not look like it


def test_logs_that_are_an_hour_late_make_no_job_look_hung() -> None:
    late = replace(ASSUMED, log_delay=3600.0)
    sim = simulation(lambda request: course(request, epochs=99, seconds=90.0), assumptions=late)
    assert [trial.status for trial in sim.run().trials] == [TrialStatus.COMPLETED] * 2
    assert not stops(sim)


class Deaf:
    """A backend whose logs cannot be read for a while: it does not answer, or shows jobs without lines."""

    def __init__(self, sim: Simulation, *, answers: bool) -> None:
        self._sim = sim
        self._backend = SimulatorBackend(sim.service, sim.clock)
        self._began = sim.clock.now()
        self._answers = answers

    def __getattr__(self, name: str) -> object:
        return getattr(self._backend, name)

    def observe(self, watched: Sequence[Watch]) -> Sequence[JobSeen]:
        hours = (self._sim.clock.now() - self._began) / 3600
        if not 0.5 < hours < 2:
            return self._backend.observe(watched)
        if not self._answers:
            raise BackendUnavailable("no answer")
        return [replace(seen, lines=(), end=None, behind=None) for seen in self._backend.observe(watched)]


@pytest.mark.parametrize("answers", [True, False])
def test_a_time_in_which_no_log_can_be_read_does_not_count(*, answers: bool) -> None:
    sim = simulation(lambda request: course(request, epochs=150, seconds=60.0))
    loop = Loop(sim.stepper(backend=Deaf(sim, answers=answers)), sim.clock, 10.0)  # type: ignore[arg-type]
    state = loop.run(lambda _state, _events: None)
    assert [trial.status for trial in state.trials] == [TrialStatus.COMPLETED] * 2
    assert not stops(sim)


def test_a_night_in_which_nobody_looks_does_not_count() -> None:
    sim = simulation(lambda request: course(request, epochs=240, seconds=60.0))
    state = steps(sim, gap=lambda step: 8 * 3600.0 if step % 40 == 39 else 20.0)
    assert [trial.status for trial in state.trials] == [TrialStatus.COMPLETED] * 2
    assert not stops(sim)


# Whoever looks


def steps(sim: Simulation, gap: object = lambda _step: 20.0) -> State:
    """Run to the end with a new process for every step, as in a Lambda."""
    for step in range(5_000):
        stepper = sim.stepper(backend=SimulatorBackend(sim.service, sim.clock))
        stepper.step()
        if stepper.state.phase is Phase.ENDED:
            return stepper.state
        sim.clock.sleep(gap(step))  # type: ignore[operator]
    raise AssertionError("it does not come to an end")


def told(records: Sequence[Record]) -> list[tuple[float, str]]:
    """When what of silence was journaled."""
    kinds = (JobSilent, StopIntended, AttemptEnded)
    return [
        (record.at, type(event).__name__)
        for record in records
        for event in record.events
        if isinstance(event, kinds)
    ]


@pytest.mark.parametrize("course_of", [once, hung, chatty])
def test_a_new_process_for_every_step_decides_the_same(course_of: object) -> None:
    long, short = simulation(course_of, poll_interval=20.0), simulation(course_of)
    long.run()
    steps(short)
    assert told(long.journal.read()) == told(short.journal.read())


def test_a_step_in_an_hour_is_enough() -> None:
    sim = simulation(lambda request: hung(request) if request.trial == TWO else course(request, epochs=9))
    state = steps(sim, gap=lambda _step: 3600.0)
    assert state.trials[TWO].status is TrialStatus.FAILED
    assert state.trials[ONE].status is TrialStatus.COMPLETED


# By itself


AUTO = replace(LIMITS, stall_timeout="auto", trial_timeout=40_000.0)


def test_nothing_is_stopped_before_a_trial_has_completed() -> None:
    sim = simulation(hung, AUTO)
    state = sim.run()
    assert [trial.status for trial in state.trials] == [TrialStatus.CANCELLED] * 2
    assert not stops(sim)


@pytest.mark.parametrize(("seconds", "expected"), [(60.0, 1800.0), (600.0, 6000.0)])
def test_the_default_is_ten_times_what_a_whole_trial_was_silent(seconds: float, expected: float) -> None:
    def course_of(request: JobRequest) -> JobScript:
        whole = course(request, epochs=4, seconds=seconds)
        stuck = request.trial == TWO and request.attempt == 1
        return replace(whole, lines=whole.lines[:2], runs_for=FOR_EVER) if stuck else whole

    limits = replace(AUTO, max_trials=4)
    sim = simulation(course_of, limits)
    state = sim.run()
    assert {trial.status for trial in state.trials} == {TrialStatus.COMPLETED}
    assert stall.timeout_of(state) == pytest.approx(expected, abs=100.0)
    [(_at, stop)] = stops(sim)
    assert stop.trial == TWO


def test_when_all_are_silent_it_may_be_the_log() -> None:
    # The first trial completes; then the log brings nothing any more of two that train.
    def course_of(request: JobRequest) -> JobScript:
        whole = course(request, epochs=4, seconds=60.0 if request.trial == ONE else 9_000.0)
        return whole if request.trial == ONE else replace(whole, lines=whole.lines[-1:])

    limits = replace(AUTO, max_trials=3, max_concurrent_trials=1)
    sim = simulation(course_of, limits)
    assert sim.run().count(TrialStatus.FAILED) == 2  # alone, each is taken at its word
    sim = simulation(course_of, replace(limits, max_concurrent_trials=3))
    assert {trial.status for trial in sim.run().trials} == {TrialStatus.COMPLETED}
    assert not stops(sim)
