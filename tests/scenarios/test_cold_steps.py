"""Whole experiments in which every step is a new process, which knows nothing but the journal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from trialjob.backends.limiter import Limiter
from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.backends.sagemaker.machines import Spot
from trialjob.model.ids import TrialId, job_name
from trialjob.model.job import FailureKind
from trialjob.model.limits import Limits
from trialjob.model.trial import Phase, TrialStatus
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.engine.loop import Loop
from trialjob.orchestrator.stopping.none import NoStopping
from trialjob.testing.fake_aws import Faults
from trialjob.testing.fake_aws.requests import LOG_GROUP, training_request
from trialjob.testing.sagemaker_checks import check
from trialjob.testing.sagemaker_simulation import SETTINGS, SageMakerSimulation
from trialjob.testing.simulation import NAME

TRIALS, WORKERS = 10, 4
MINUTE = 60.0


def simulation(folder: Path, **given: object) -> SageMakerSimulation:
    folder.mkdir(exist_ok=True)
    limits = Limits(
        max_trials=TRIALS, max_concurrent_trials=WORKERS, trial_timeout=3600.0, max_failures=TRIALS
    )
    return SageMakerSimulation(limits=limits, folder=folder, rule=NoStopping(), **given)  # type: ignore[arg-type]


def step(simulated: SageMakerSimulation) -> State:
    """What one process does: nothing of the one before is left but the journal."""
    clock = simulated.clock
    simulated.client = SageMakerClient(clock, Limiter(clock, simulated.rates), session=simulated.session)
    loop = Loop(simulated.stepper(), clock, simulated.poll_interval)
    return loop.run(lambda _state, _events: None, until=clock.now() + 30.0, once=True)


def step_to_the_end(simulated: SageMakerSimulation, *, every: float = MINUTE) -> State:
    for _ in range(2000):
        state = step(simulated)
        if state.phase is Phase.ENDED:
            return state
        simulated.clock.sleep(every)
    raise AssertionError("it does not come to an end")


def found(state: State) -> dict[int, object]:
    """What an experiment is made for: the configurations, and what each has come to."""
    return {trial.id: (trial.config, trial.status, trial.curve, trial.score) for trial in state.trials}


WORLDS: dict[str, dict[str, object]] = {
    "plain": {},
    "spot": {"settings": replace(SETTINGS, spot=Spot(max_wait=7200.0)), "faults": {"interruption": 0.5}},
    "pools": {"settings": replace(SETTINGS, keep_alive=240.0)},
    "quota": {"faults": {"quota_taken": 0.5}},
    "late lines": {"faults": {"log_delay": 50.0, "log_shuffle": 5.0, "log_split": 0.2, "empty_page": 0.3}},
    "late lists": {"faults": {"list_delay": 300.0}},
    "all": {"settings": replace(SETTINGS, keep_alive=240.0), "options": {"log_settle": 30.0}},
}


@pytest.mark.parametrize("world", WORLDS)
def test_a_process_for_each_step_finds_what_one_process_does(tmp_path: Path, world: str) -> None:
    def make(folder: str) -> SageMakerSimulation:
        given = dict(WORLDS[world])
        faults = given.pop("faults", {})
        switched = Faults.everything(3) if world == "all" else Faults(seed=3, **faults)  # type: ignore[arg-type]
        return simulation(tmp_path / folder, faults=switched, **given)

    looped, stepped = make("looped"), make("stepped")
    once, cold = looped.run(), step_to_the_end(stepped)
    check(looped, once)
    check(stepped, cold)
    assert found(cold) == found(once)


@pytest.mark.parametrize("every", [7.0, 600.0])
def test_at_any_pace(tmp_path: Path, every: float) -> None:
    simulated = simulation(tmp_path, settings=replace(SETTINGS, keep_alive=240.0))
    check(simulated, step_to_the_end(simulated, every=every))


def test_a_job_that_somebody_deleted_gives_its_slot_back(tmp_path: Path) -> None:
    simulated = simulation(tmp_path)
    for _ in range(4):
        state = step(simulated)
        simulated.clock.sleep(MINUTE)
    gone = job_name(NAME, TrialId(2), 1)
    assert TrialId(2) in state.live
    del simulated.service.training.jobs[gone]
    state = step_to_the_end(simulated)
    ends = [attempt.end for attempt in state.trials[TrialId(2)].attempts]
    assert [end.failure for end in ends if end is not None] == [FailureKind.LOST, None]
    assert state.count(TrialStatus.COMPLETED) == TRIALS


def test_a_job_that_is_not_seen_yet_is_not_given_up(tmp_path: Path) -> None:
    simulated = simulation(tmp_path)
    step(simulated)
    jobs = simulated.service.training.jobs
    hidden = dict(jobs)
    jobs.clear()  # as if neither lists nor descriptions knew of them yet
    for _ in range(5):
        simulated.clock.sleep(MINUTE)
        assert len(step(simulated).live) == WORKERS
    jobs.update(hidden)
    state = step_to_the_end(simulated)
    assert all(len(trial.attempts) == 1 for trial in state.trials)


def test_a_job_behind_more_others_than_a_process_may_list(tmp_path: Path) -> None:
    simulated = simulation(tmp_path)
    simulated.service.quotas.set("ml.g5.xlarge", training=1000)
    step(simulated)
    simulated.clock.sleep(1)
    told = {"lr": "0.5", "hidden": "16"}
    for number in range(100, 400):
        other = training_request(f"{NAME}-{number:04d}-1", HyperParameters=told)
        simulated.service.call("sagemaker", "CreateTrainingJob", other)
    gone = job_name(NAME, TrialId(1), 1)
    del simulated.service.training.jobs[gone]
    simulated.clock.sleep(1800)
    state = step(simulated)
    assert state.trials[TrialId(1)].attempts[0].end is not None
    assert state.trials[TrialId(2)].score is not None


def test_a_log_of_more_pages_than_a_process_may_read_at_once(tmp_path: Path) -> None:
    simulated = simulation(tmp_path)
    simulated.rates = {**simulated.rates, "filter_logs": 1.0}
    step(simulated)
    simulated.clock.sleep(200)
    stream = f"{job_name(NAME, TrialId(1), 1)}/algo-1-1767225760"
    for number in range(30_000):
        simulated.service.logs.put(LOG_GROUP, stream, f"line {number}", simulated.clock.now() + number / 1e6)
    simulated.clock.sleep(100)
    assert step(simulated).trials[TrialId(1)].score is not None
