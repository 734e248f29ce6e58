"""Thousands of schedules of every fault, and the laws that hold after every call."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from trialjob.model.ids import JobName
from trialjob.model.job import FailureKind
from trialjob.model.limits import Limits
from trialjob.testing.chaos import Broken, Fault, Job, Schedule, World, play
from trialjob.testing.schedules import schedules

#: ``make soak`` asks for more of them, and for others each time.
SCHEDULES = int(os.environ.get("TRIALJOB_SCHEDULES", "2000"))
SEED = int(os.environ.get("TRIALJOB_SEED", "1"))


@pytest.mark.timeout(0)
@seed(SEED)
@settings(
    max_examples=SCHEDULES,
    deadline=None,
    database=None,
    print_blob=False,
    report_multiple_bugs=False,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
@given(schedules())
def test_every_law_holds_whatever_goes_wrong(schedule: Schedule) -> None:
    play(schedule)


#: What broke a law once, as short as it was found.
FOUND = {
    "two in turn read a report twice": Schedule(
        limits=Limits(max_trials=1), rule="asha", jobs=(Job(epochs=1),), orchestrators=2
    ),
    "a clock that is ahead took a warm machine for gone": Schedule(
        limits=Limits(max_trials=1, max_failures=1),
        keep_alive=90.0,
        jobs=(Job(epochs=0),),
        faults={1: Fault.AHEAD},
    ),
    "a retry that cannot be paid for kept a slot from all others": Schedule(
        limits=Limits(max_trials=3, trial_timeout=150.0, max_failures=1),
        rule="asha",
        cap=1.7,
        no_capacity=0.3,
        jobs=(Job(epochs=2),),
        seed=3,
    ),
    "a canary that cannot be paid for again waited for ever": Schedule(
        limits=Limits(max_trials=2, canary=True),
        cap=1.0,
        jobs=(Job(epochs=0, failure=FailureKind.CAPACITY),),
    ),
}


@pytest.mark.parametrize("schedule", FOUND.values(), ids=FOUND)
def test_what_was_found_once_stays_mended(schedule: Schedule) -> None:
    play(schedule)


def test_a_broken_law_is_told_with_the_journal() -> None:
    world = World(Schedule(limits=Limits(max_trials=1)))
    world.orchestrators[0].step()
    job = next(iter(world.service.jobs))
    world.service.jobs[JobName(job + "x")] = world.service.jobs[job]
    with pytest.raises(Broken, match="one job a trial at a time") as broken:
        world.check()
    assert '"AttemptIntended","trial":1' in str(broken.value)
    assert f"{job} 1700000000" in str(broken.value)


@pytest.mark.parametrize("fault", Fault)
def test_the_same_schedule_plays_the_same_way(fault: Fault) -> None:
    schedule = Schedule(
        limits=Limits(max_trials=3, max_concurrent_trials=2),
        rule="promotion",
        keep_alive=90.0,
        faults={4: fault, 9: fault, 12: fault},
        orchestrators=2,
    )
    assert play(schedule) == play(schedule)
