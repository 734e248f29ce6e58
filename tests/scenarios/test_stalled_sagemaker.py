"""A job that hangs on SageMaker is stopped and tried again once; whatever the service does, no other is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from trialjob.model.job import FailureKind
from trialjob.model.limits import Limits
from trialjob.model.trial import StopKind, TrialStatus
from trialjob.orchestrator.core.events import StopIntended
from trialjob.orchestrator.stopping.none import NoStopping
from trialjob.testing.fake_aws import Epoch, Faults
from trialjob.testing.sagemaker_simulation import SageMakerSimulation, epochs

LIMITS = Limits(max_trials=2, max_concurrent_trials=2, max_failures=9, stall_timeout=600.0)


def hangs(told: Mapping[str, str], epoch: int) -> Epoch | None:
    """It reports two epochs, and then nothing for days."""
    usual = epochs(told, epoch)
    return usual if usual is None or epoch <= 2 else replace(usual, seconds=1e6)


def simulation(folder: Path, **given: object) -> SageMakerSimulation:
    return SageMakerSimulation(folder=folder, rule=NoStopping(), **{"limits": LIMITS, **given})  # type: ignore[arg-type]


def test_a_hung_job_is_stopped_and_tried_again_once(tmp_path: Path) -> None:
    simulated = simulation(tmp_path, limits=replace(LIMITS, max_trials=1))
    simulated.service.script(hangs)
    state = simulated.run()
    assert [trial.status for trial in state.trials] == [TrialStatus.FAILED]
    for trial in state.trials:
        kinds = [attempt.end.failure for attempt in trial.attempts if attempt.end]
        assert kinds == [FailureKind.STALLED] * 2
    jobs = simulated.service.jobs.values()
    assert all((job.describe(simulated.clock.now())["BillableTimeInSeconds"]) < 1_200 for job in jobs)


def test_with_every_fault_of_the_service_no_job_looks_hung(tmp_path: Path) -> None:
    simulated = simulation(tmp_path, faults=Faults.everything(3), options={"log_settle": 30.0})
    state = simulated.run()
    stops = [
        event.reason.kind
        for record in simulated.journal.read()
        for event in record.events
        if isinstance(event, StopIntended)
    ]
    assert StopKind.STALLED not in stops
    assert state.count(TrialStatus.COMPLETED) == 2
