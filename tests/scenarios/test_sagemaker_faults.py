"""Whole experiments on the SageMaker backend while everything goes wrong, and what must hold all the same."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from trialjob.backends.sagemaker.machines import Spot
from trialjob.model.ids import TrialId, job_name
from trialjob.model.limits import Limits
from trialjob.model.trial import Phase, TrialStatus
from trialjob.orchestrator.core.events import AttemptEnded, Event, JobSubmitted, SubmitPostponed
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.engine.loop import Loop
from trialjob.orchestrator.engine.step import Stepper
from trialjob.orchestrator.stopping.asha import Asha
from trialjob.orchestrator.stopping.hyperband import Hyperband
from trialjob.orchestrator.stopping.promotion import Promotion
from trialjob.testing.chaos_orchestrator import SkewedClock
from trialjob.testing.crash import Crash
from trialjob.testing.fake_aws import Faults, most_instances
from trialjob.testing.sagemaker_checks import check
from trialjob.testing.sagemaker_simulation import BUNDLED, SETTINGS, SageMakerSimulation
from trialjob.testing.simulation import NAME

HOUR = 3600.0
#: A crash at any call, in so many tests: each is ended by the time on the wall, and the machine may be busy.
_PARTS = 12
#: ``make soak`` asks for more.
SEEDS = int(os.environ.get("TRIALJOB_SAGEMAKER_SEEDS", "3"))
WORKERS = 4


def simulation(folder: Path, *, trials: int = 12, **given: object) -> SageMakerSimulation:
    limits = Limits(max_trials=trials, max_concurrent_trials=WORKERS, trial_timeout=HOUR, max_failures=trials)
    return SageMakerSimulation(limits=limits, folder=folder, **given)  # type: ignore[arg-type]


def run(simulation: SageMakerSimulation) -> State:
    """Run to the end; an experiment that does not end fails instead of standing still for ever."""
    steps = 0

    def watch(_state: State, _events: Sequence[Event]) -> None:
        nonlocal steps
        steps += 1
        assert steps < 4000, "it does not come to an end"

    return simulation.run(watch)


@pytest.mark.parametrize("seed", range(4))
def test_with_every_fault_at_once(tmp_path: Path, seed: int) -> None:
    simulated = simulation(
        tmp_path,
        faults=Faults.everything(seed),
        settings=replace(SETTINGS, keep_alive=240.0),
        options={"log_settle": 30.0},
        seed=seed,
    )
    check(simulated, run(simulated))


@pytest.mark.parametrize("rule", [Promotion, Hyperband])
def test_paused_trials_go_on_with_every_fault_at_once(
    tmp_path: Path, rule: type[Promotion | Hyperband]
) -> None:
    simulated = simulation(
        tmp_path,
        rule=rule(max_resource=8, reduction_factor=2),
        faults=Faults.everything(1),
        settings=replace(SETTINGS, keep_alive=240.0),
        options={"log_settle": 30.0},
    )
    state = run(simulated)
    check(simulated, state)
    assert TrialStatus.COMPLETED in {trial.status for trial in state.trials}
    assert any(len(trial.attempts) > 2 for trial in state.trials)


@pytest.mark.parametrize("seed", range(3))
def test_on_spot_with_every_fault_at_once(tmp_path: Path, seed: int) -> None:
    faults = Faults.everything(seed)
    faults.interruption, faults.interruption_within = 0.6, 100.0
    simulated = simulation(
        tmp_path,
        faults=faults,
        settings=replace(SETTINGS, spot=Spot(max_wait=HOUR)),
        options={"log_settle": 30.0},
        seed=seed,
    )
    check(simulated, run(simulated))
    assert simulated.service.bill().interruptions


@pytest.mark.parametrize("after", ["before", "after"])
@pytest.mark.parametrize("every", [11, 17])
def test_killed_again_and_again_at_the_boundary_of_a_call(tmp_path: Path, every: int, after: str) -> None:
    faults = Faults(seed=every, log_delay=15.0, log_split=0.3, log_shuffle=3.0, list_delay=10.0, throttle=1.0)
    simulated = simulation(tmp_path, trials=8, faults=faults, options={"log_settle": 25.0})
    calls = 0

    def hook(when: str, _operation: str) -> None:
        nonlocal calls
        calls += when == after
        if when == after and calls % every == 0:
            raise Crash

    faults.hook = hook
    for _ in range(3000):
        try:
            state = run(simulated)
            break
        except Crash:
            # The interpreter's next start takes a while; and a fixed rhythm could be that of the faults.
            calls += 1
            simulated.clock.sleep(3.0)
    else:
        pytest.fail("it does not come to an end")
    check(simulated, state)


@pytest.mark.parametrize("after", ["before", "after"])
@pytest.mark.parametrize("part", range(_PARTS))
def test_killed_once_at_the_boundary_of_any_call(tmp_path: Path, part: int, after: str) -> None:
    crash_at = 1 + part
    while True:
        folder = tmp_path / str(crash_at)
        folder.mkdir()
        simulated = simulation(folder, trials=5, settings=replace(SETTINGS, keep_alive=240.0))
        calls = 0

        def hook(when: str, _operation: str, at: int = crash_at) -> None:
            nonlocal calls
            calls += when == after
            if when == after and calls == at:
                raise Crash

        simulated.faults.hook = hook
        try:
            state = run(simulated)
        except Crash:
            check(simulated, run(simulated))
        else:
            # There are no more calls than that.
            check(simulated, state)
            assert crash_at > 100
            return
        crash_at += _PARTS


@pytest.mark.parametrize("seed", range(SEEDS))
def test_two_orchestrators_that_die_now_and_then_with_every_fault_at_once(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - repeatable on purpose
    faults = Faults.everything(seed)
    simulated = simulation(
        tmp_path,
        trials=6,
        rule=dice.choice([Asha, Promotion])(max_resource=8, reduction_factor=2),
        faults=faults,
        settings=replace(SETTINGS, keep_alive=dice.choice([None, 240.0])),
        options={"log_settle": 30.0},
        seed=seed,
    )
    dies = False

    def hook(_when: str, _operation: str) -> None:
        nonlocal dies
        if dies and dice.random() < 0.02:
            dies = False
            raise Crash

    faults.hook = hook
    steppers: list[Stepper | None] = [None, None]
    for turn in range(4000):
        dies = True
        who = dice.randrange(2)
        try:
            stepper = steppers[who] = steppers[who] or simulated.stepper()
            stepper.step()
        except Crash:
            steppers[who] = None
            continue
        if stepper.state.phase is Phase.ENDED:
            break
        simulated.clock.sleep(dice.choice([1.0, 10.0, 30.0]))
        assert turn < 3990, "it does not come to an end"
    check(simulated, stepper.state)


@pytest.mark.parametrize("ahead", [-240.0, 60.0, 240.0])
def test_lines_that_come_late_are_waited_for_by_the_services_clock(tmp_path: Path, ahead: float) -> None:
    faults = Faults(seed=1, log_delay=20.0)
    simulated = simulation(tmp_path, trials=6, faults=faults, options={"log_settle": 30.0})
    clock = SkewedClock(simulated.clock, ahead)
    stepper = simulated.stepper(clock=clock)
    state = Loop(stepper, clock, simulated.poll_interval).run(lambda _state, _events: None)
    check(simulated, state)


def test_a_new_process_for_every_step(tmp_path: Path) -> None:
    faults = Faults(seed=1, log_delay=15.0, log_split=0.3, list_delay=10.0, throttle=1.0, lost_after=0.05)
    simulated = simulation(tmp_path, trials=6, faults=faults, options={"log_settle": 25.0})
    for _ in range(400):
        stepper = simulated.stepper()
        stepper.step()
        if stepper.state.phase is Phase.ENDED:
            break
        simulated.clock.sleep(60.0)
    check(simulated, stepper.state)


def test_expired_credentials_are_waited_for_and_nothing_is_lost(tmp_path: Path) -> None:
    faults = Faults()
    simulated = simulation(tmp_path, faults=faults)
    begin = simulated.clock.now()
    faults.expired = (begin + 250, begin + 400)
    state = run(simulated)
    check(simulated, state)
    reasons = [
        event.reason
        for record in simulated.journal.read()
        for event in record.events
        if isinstance(event, SubmitPostponed)
    ]
    assert simulated.clock.now() > begin + 400
    assert all("waiting for" in reason for reason in reasons)


def test_an_exhausted_quota_delays_and_fails_nothing(tmp_path: Path) -> None:
    simulated = simulation(tmp_path)
    simulated.service.quotas.set("ml.g5.xlarge", training=2)
    state = run(simulated)
    check(simulated, state)
    assert most_instances(simulated.service.jobs.values()) == 2
    reasons = {
        event.reason
        for record in simulated.journal.read()
        for event in record.events
        if isinstance(event, SubmitPostponed)
    }
    assert any("ml.g5.xlarge for training job usage' is 2 Instances" in reason for reason in reasons)


def test_a_zero_quota_is_no_wait_without_end(tmp_path: Path) -> None:
    simulated = simulation(tmp_path, trials=3)
    simulated.service.quotas.set("ml.g5.xlarge", training=0)
    state = run(simulated)
    assert not simulated.service.jobs
    assert all(trial.status is TrialStatus.FAILED for trial in state.trials)
    assert "higher quota" in state.trials[TrialId(1)].reason


def test_the_cost_of_watching_is_two_calls_a_poll(tmp_path: Path) -> None:
    simulated = simulation(tmp_path)
    polls = 0

    def watch(_state: State, _events: Sequence[Event]) -> None:
        nonlocal polls
        polls += 1

    state = simulated.run(watch)
    check(simulated, state)
    count = simulated.service.ledger.count
    ended = len(simulated.service.jobs)
    assert count("ListTrainingJobs") <= polls
    assert count("FilterLogEvents") <= polls + ended
    assert count("CreateTrainingJob") == ended
    assert count("DescribeTrainingJob") + count("Search") <= ended
    assert count("PutObject") == 2


def test_the_same_code_is_not_sent_again(tmp_path: Path) -> None:
    simulated = simulation(tmp_path, trials=1)
    run(simulated)
    sent = simulated.service.ledger.count("PutObject")
    other = simulated.backend()
    request = BUNDLED.request(job_name(NAME, TrialId(1), 1), TrialId(1), 1, {"lr": 0.1}, 60.0)
    uri = other._launches._uploads.uri(request)
    assert simulated.service.ledger.count("PutObject") == sent
    assert uri.startswith("s3://bucket/tuning/_code/")


def test_ended_jobs_know_what_they_cost(tmp_path: Path) -> None:
    simulated = simulation(tmp_path, trials=4)
    run(simulated)
    ends = [
        event.end
        for record in simulated.journal.read()
        for event in record.events
        if isinstance(event, AttemptEnded)
    ]
    assert len(ends) == 4
    assert all(end.seconds for end in ends)
    adopted = [
        event.adopted
        for record in simulated.journal.read()
        for event in record.events
        if isinstance(event, JobSubmitted)
    ]
    assert adopted == [False] * 4
