"""What becomes of jobs on the simulated service."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trialjob.backends.assumptions import NOTHING, Assumptions, names, problem_with
from trialjob.backends.limiter import Limiter
from trialjob.backends.simulator.backend import SimulatorBackend
from trialjob.backends.simulator.clock import VirtualClock
from trialjob.backends.simulator.job import SimulatedJob
from trialjob.backends.simulator.job_script import JobScript
from trialjob.backends.simulator.service import SimulatedService
from trialjob.errors import BackendBusy
from trialjob.model.ids import TrialId, job_name
from trialjob.model.job import FailureKind, JobEnd, JobRequest, JobState, Outcome, Watch
from trialjob.model.money import Tariff, Terms
from trialjob.orchestrator.ports import Postponed, Submitted
from trialjob.testing.simulation import ESTIMATOR, NAME

TIMED = replace(NOTHING, cold_start=100.0, warm_start=10.0, setup=50.0, warm_setup=5.0, upload=3.0, stop=7.0)
DOLLAR_A_SECOND = 3_600_000_000
WARM = Tariff(terms=(Terms(price=DOLLAR_A_SECOND, machine="ml.m5.large", keep_alive=240.0),))
SPOT = Tariff(terms=(Terms(price=DOLLAR_A_SECOND, machine="ml.m5.large", spot=True),))
COLD = Tariff(terms=(Terms(price=DOLLAR_A_SECOND, machine="ml.m5.large"),))
#: Five lines, one a minute, and 10 s more.
COURSE = JobScript(lines=[(60.0 * n, f"line {n}") for n in range(1, 6)], runs_for=310.0)


def request(trial: int = 1, *, max_runtime: float = 3600.0) -> JobRequest:
    return ESTIMATOR.request(
        job_name(NAME, TrialId(trial), 1), TrialId(trial), 1, {"trial": trial}, max_runtime
    )


def service(
    assumptions: Assumptions = TIMED, course: JobScript = COURSE, tariff: Tariff = COLD, **options: float
) -> SimulatedService:
    return SimulatedService(lambda _request: course, assumptions, tariff=tariff, **options)  # type: ignore[arg-type]


def created(service: SimulatedService, trial: int = 1, *, now: float = 0.0) -> SimulatedJob:
    job = service.create(request(trial), now)
    assert job is not None
    return job


def test_a_cold_start_is_waited_for_and_its_setup_is_paid_for() -> None:
    job = created(service())
    assert [job.state(at) for at in (0.0, 149.0, 150.0)] == [
        JobState.STARTING, JobState.STARTING, JobState.TRAINING,
    ]  # fmt: skip
    assert [job.printed(at) for at in (209.0, 210.0, 450.0, 9999.0)] == [0, 1, 5, 5]
    assert job.end(462.9) is None
    end = job.end(463.0)
    assert end is not None
    assert (end.outcome, end.started_at, end.ended_at, end.seconds) == (
        Outcome.COMPLETED,
        100.0,
        463.0,
        363.0,
    )


@given(
    now=st.floats(0.0, 2e9),
    pace=st.floats(0.1, 1e4),
    cold_start=st.floats(0.0, 1e3),
    interruptions=st.lists(st.floats(1.0, 3e4), max_size=3),
)
def test_a_job_that_runs_to_its_end_prints_every_line_whatever_rounding_makes_of_the_times(
    now: float, pace: float, cold_start: float, interruptions: list[float]
) -> None:
    course = JobScript(
        lines=[(pace * n, f"line {n}") for n in range(1, 4)],
        runs_for=pace * 3,
        interruptions=interruptions,
    )
    spot = service(replace(TIMED, cold_start=cold_start), course, SPOT, max_wait=math.inf)
    job = spot.create(request(max_runtime=1e12), now)
    assert job is not None
    assert [text for _, text in job.log(0, job.ends_at)] == ["line 1", "line 2", "line 3"]
    times = [at for at, _ in job.log(0, job.ends_at)]
    assert all(job.printed(at) > number for number, at in enumerate(times))
    assert all(now < job.changes_after(at) for at in times)


def test_a_machine_is_reused_while_it_waits_and_the_wait_is_paid_for() -> None:
    busy = service(tariff=WARM)
    first = created(busy)
    second = created(busy, 2, now=463.0 + 200.0)
    assert (first.reused_pool, second.reused_pool) == (False, True)
    assert second.launches[0].code_began == 663.0 + 15.0
    assert first.idle(9999.0) == 200.0
    assert busy.pools(663.0) == 0
    third = created(busy, 3, now=second.pool_until)
    assert not third.reused_pool
    assert second.idle(99999.0) == 240.0
    # 363 s cold, 318 s warm, 440 s idle, at a dollar a second.
    assert busy.bill(third.ends_at).dollars == pytest.approx(363 + 318 + 363 + 440)


def test_the_one_that_has_waited_longest_is_taken_first_and_an_unequal_machine_never() -> None:
    two = Tariff(terms=(WARM.terms[0], replace(WARM.terms[0], machine="ml.g5.xlarge")))
    busy = service(tariff=two)
    one, other = created(busy, 1), created(busy, 2, now=10.0)
    unequal = busy.create(replace(request(3), capacity_failures=1), 480.0)
    assert unequal is not None
    assert not unequal.reused_pool
    created(busy, 4, now=480.0)
    assert (one.pool_ended_at, other.pool_ended_at) == (480.0, None)


def test_no_machine_is_kept_beyond_the_quota_and_nobody_says_so() -> None:
    busy = service(replace(TIMED, warm_pool_quota=1), tariff=WARM)
    jobs = [created(busy, trial) for trial in (1, 2)]
    assert busy.pools(470.0) == 1
    assert [job.end(470.0).pool_until for job in jobs if job.end(470.0)] == [463.0 + 240.0, None]  # type: ignore[union-attr]


@pytest.mark.parametrize(("tariff", "quota"), [(COLD, "training_quota"), (SPOT, "spot_quota")])
def test_a_job_beyond_the_quota_waits_until_there_is_room(tariff: Tariff, quota: str) -> None:
    clock = VirtualClock(0.0)
    full = service(replace(TIMED, **{quota: 1}), tariff=tariff)
    backend = SimulatorBackend(full, clock)
    assert isinstance(backend.submit(request(1)), Submitted)
    assert isinstance(backend.submit(request(2)), Postponed)
    clock.sleep(463.0)
    assert isinstance(backend.submit(request(2)), Submitted)


def test_a_waiting_machine_counts_against_the_quota_but_not_for_who_takes_it() -> None:
    full = service(replace(TIMED, training_quota=1), tariff=WARM)
    created(full)
    assert full.create(request(2), 400.0) is None
    assert created(full, 3, now=470.0).reused_pool


def test_spot_goes_on_after_an_interruption_from_what_was_saved() -> None:
    course = replace(COURSE, interruptions=[130.0])
    job = created(service(replace(TIMED, restart=20.0), course, SPOT))
    # 150 + 130 = 280: taken after two lines; 20 to restart, 100 to start, 50 to set up; 190 s are left.
    assert [launch.code_began for launch in job.launches] == [150.0, 450.0]
    assert job.ends_at == 450.0 + 190.0 + 3.0
    assert [text for _, text in job.log(0, math.inf)] == [text for _, text in COURSE.lines]
    assert job.state(300.0) is JobState.STARTING
    end = job.end(job.ends_at)
    assert end is not None
    assert end.interruptions == 1
    assert end.seconds == pytest.approx((180.0 + 243.0) * (1 - TIMED.spot_discount))


def test_without_checkpoints_it_begins_again_and_prints_again() -> None:
    course = replace(COURSE, interruptions=[130.0], checkpoints=False)
    job = created(service(TIMED, course, SPOT))
    texts = [text for _, text in job.log(0, math.inf)]
    assert texts == ["line 1", "line 2", "line 1", "line 2", "line 3", "line 4", "line 5"]
    assert [text for _, text in job.log(3, math.inf)] == texts[3:]
    assert job.printed(math.inf) == 7


def test_spot_that_waits_too_long_fails_of_that() -> None:
    end = created(service(TIMED, tariff=SPOT, max_wait=90.0)).end(90.0)
    assert end is not None
    assert (end.failure, end.seconds, end.started_at) == (FailureKind.SPOT, 0.0, None)
    cut = created(service(TIMED, tariff=SPOT, max_wait=200.0)).end(210.0)
    assert cut is not None
    assert cut.failure is FailureKind.SPOT
    assert cut.seconds == pytest.approx(110.0 * (1 - TIMED.spot_discount))


def test_a_launch_without_capacity_ends_in_a_failure_that_is_nobodys() -> None:
    assume = replace(TIMED, no_capacity=1.0, capacity_wait=900.0)
    jobs = [created(service(assume, seed=seed)) for seed in range(40)]
    lost = [job for job in jobs if job.failure is FailureKind.CAPACITY]
    assert 8 <= len(lost) <= 32
    assert {job.ends_at for job in lost} == {900.0}
    assert all(100.0 <= job.launches[0].began < 1000.0 for job in jobs if job not in lost)
    assert not any(job.lost_its_machine for job in jobs if job not in lost)


def test_the_service_ends_a_job_at_its_maximum_run_time() -> None:
    job = service().create(request(max_runtime=200.0), 0.0)
    assert job is not None
    assert (job.outcome, job.ends_at) == (Outcome.TIMED_OUT, 100.0 + 200.0 + 7.0 + 3.0)


@pytest.mark.parametrize(
    ("at", "ends_at", "seconds"), [(20.0, 27.0, 0.0), (120.0, 127.0, 27.0), (200.0, 210.0, 110.0)]
)
def test_a_stop_cuts_a_job_short(at: float, ends_at: float, seconds: float) -> None:
    busy = service()
    job = created(busy)
    busy.stop(job, at)
    assert job.state(at) is JobState.STOPPING
    assert (job.ends_at, job.outcome, job.billable()) == (ends_at, Outcome.STOPPED, seconds)
    busy.stop(job, at + 1)
    assert job.ends_at == ends_at


def test_a_script_that_ignores_the_signal_is_killed_after_the_grace() -> None:
    busy = service(course=replace(COURSE, runs_for=9999.0, ignores_sigterm=True))
    job = created(busy)
    busy.stop(job, 200.0)
    assert job.ends_at == 200.0 + 120.0 + 3.0


# What is seen, and when


def ended(backend: SimulatorBackend, trial: int = 1) -> JobEnd | None:
    seen = backend.observe([Watch(job=request(trial).job)])
    return seen[0].end if seen else None


def test_lines_and_the_end_are_seen_late() -> None:
    clock = VirtualClock(0.0)
    backend = SimulatorBackend(service(replace(TIMED, log_delay=4.0, log_settle=10.0)), clock)
    backend.submit(request())
    clock.sleep(213.9)
    assert [len(seen.lines) for seen in backend.observe([Watch(job=request().job)])] == [0]
    clock.sleep(0.2)
    assert [len(seen.lines) for seen in backend.observe([Watch(job=request().job)])] == [1]
    clock.sleep(463.0 + 9.9 - clock.now())
    assert ended(backend) is None
    clock.sleep(0.2)
    assert ended(backend) is not None


@pytest.mark.parametrize(
    "call",
    [
        lambda backend: [backend.submit(request(trial)) for trial in (1, 2)],
        lambda backend: [backend.stop(request(trial).job) for trial in (1, 2)],
    ],
)
def test_a_call_too_many_is_told_when_to_come_again(call: Callable[[SimulatorBackend], object]) -> None:
    clock = VirtualClock(0.0)
    backend = SimulatorBackend(service(), clock, Limiter(clock, {"create": 0.2, "stop": 0.2}))
    with pytest.raises(BackendBusy) as busy:
        call(backend)
    assert busy.value.seconds == 5.0


def test_an_end_that_finds_no_turn_is_told_later() -> None:
    clock = VirtualClock(0.0)
    backend = SimulatorBackend(service(), clock)
    for trial in (1, 2):
        backend.submit(request(trial))
    clock.sleep(500.0)
    third = SimulatorBackend(backend._service, clock, Limiter(clock, {"describe": 0.2}))
    seen = third.observe([Watch(job=request(trial).job) for trial in (1, 2)])
    assert [one.end is not None for one in seen] == [True, False]
    assert third.quiet_until() == clock.now()


# Laws


@given(
    interruptions=st.lists(st.floats(1.0, 400.0), max_size=3),
    checkpoints=st.booleans(),
    stop=st.none() | st.floats(0.0, 900.0),
    looks=st.lists(st.floats(0.0, 2000.0), min_size=1, max_size=8),
)
# A line is due at 845 s; that less the beginning of its launch is less than its place in the course.
@example(interruptions=[1.0, 1.0, 122.46887410523219], checkpoints=True, stop=None, looks=[845.0])
@example(interruptions=[1.0, 1.0, 122.46887410523219], checkpoints=False, stop=None, looks=[845.0])
def test_nothing_happens_before_it_is_said_to(
    interruptions: list[float], checkpoints: bool, stop: float | None, looks: list[float]
) -> None:
    course = replace(COURSE, interruptions=interruptions, checkpoints=checkpoints)
    busy = service(TIMED, course, SPOT)
    job = created(busy)
    if stop is not None:
        busy.stop(job, stop)
    for now in looks:
        change = job.changes_after(now)
        assert change > now
        just_before = min(math.nextafter(change, 0.0), 1e6)
        if just_before > now:
            assert job.printed(just_before) == job.printed(now)
            assert job.state(just_before) is job.state(now)
            assert (job.end(just_before) is None) is (job.end(now) is None)
        assert len(list(job.log(0, now))) == job.printed(now)
    if checkpoints:
        printed = [text for _, text in job.log(0, math.inf)]
        assert printed == [text for _, text in COURSE.lines[: len(printed)]]
        assert stop is not None or len(printed) == len(COURSE.lines)


def test_the_dice_of_a_job_do_not_depend_on_the_others() -> None:
    one, other = service(Assumptions(), seed=3), service(Assumptions(), seed=3)
    created(other, 7)
    assert created(one, 1).ends_at == created(other, 1).ends_at
    assert created(one, 2).ends_at != created(service(Assumptions(), seed=4), 2).ends_at


@pytest.mark.parametrize("name", names())
def test_every_assumption_has_bounds_and_its_default_is_within(name: str) -> None:
    assert problem_with(name, getattr(Assumptions(), name)) is None
    assert problem_with(name, -1.0) is not None
    assert problem_with(name, math.nan) is not None
