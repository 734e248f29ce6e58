"""One experiment on the SageMaker backend in virtual time, for ``sagemaker_case`` to measure.

Everything is as a user's but for the wire, the clock and what the jobs do: real boto3 calls end in the fake
service, which refuses calls at the real rates.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.journals import TimedBackend

from trialjob.backends.limiter import Limiter
from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.backends.sagemaker.rates import RATES
from trialjob.backends.sagemaker.settings import SageMakerSettings
from trialjob.model.job import JobSeen, Watch
from trialjob.model.limits import Limits
from trialjob.orchestrator.core.events import Event
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.journals.jsonl import JsonlJournal
from trialjob.orchestrator.stopping.asha import Asha
from trialjob.testing.fake_aws import Durations, Epoch, FakeService, Faults, VirtualClock, most_instances
from trialjob.testing.fake_aws.in_process import boto3_session
from trialjob.testing.fake_aws.job import Job
from trialjob.testing.sagemaker_simulation import SETTINGS, SageMakerSimulation
from trialjob.testing.simulation import curve

EPOCHS, KEEP_ALIVE = 8, 240.0
WARM = replace(SETTINGS, keep_alive=KEEP_ALIVE)
_STEPS, _STEP_LINES = 6, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    name: str
    trials: int
    workers: int
    settings: SageMakerSettings = WARM
    #: Usual seconds between two looks.
    pause: float = 10.0
    #: Seeds the service's dice.
    day: int = 0


class TimedService(FakeService):
    """A fake whose own CPU is known."""

    used = 0.0

    def call(
        self, service: str, operation: str, params: dict[str, Any], *, region: str | None = None
    ) -> dict[str, Any]:
        began = time.process_time()
        try:
            return super().call(service, operation, params, region=region)
        finally:
            self.used += time.process_time() - began

    def foreign(self, service: str, operation: str, params: dict[str, Any], work: Callable[[], Any]) -> Any:  # noqa: ANN401 - as its parent
        began = time.process_time()
        try:
            return super().foreign(service, operation, params, work)
        finally:
            self.used += time.process_time() - began


class CountedBackend(TimedBackend):
    """A backend whose looks are counted."""

    looks = 0

    def observe(self, watched: Sequence[Watch]) -> Sequence[JobSeen]:
        self.looks += 1
        return super().observe(watched)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """An experiment that has ended."""

    case: Case
    simulation: SageMakerSimulation
    service: TimedService
    state: State
    events: Sequence[Event]
    looks: int
    wall: float
    cpu: float

    @property
    def jobs(self) -> list[Job]:
        return sorted(self.service.jobs.values(), key=lambda job: job.created)


def chatter(told: Mapping[str, str], step: int) -> Epoch | None:
    """A job with a pace of its own that prints all the time and reports the simulation's curve."""
    epoch, place = divmod(step - 1, _STEPS)
    if epoch >= EPOCHS:
        return None
    config = {name: json.loads(value) for name, value in told.items()}
    lines = [f"epoch {epoch + 1} step {place}.{number} loss 0.123" for number in range(_STEP_LINES)]
    if place == _STEPS - 1:
        metrics = {"epoch": epoch + 1, "accuracy": curve(config, epoch + 1)}
        if "st_checkpoint_dir" in told:  # it is one of Syne Tune's
            stamps = {"st_worker_timestamp": 0.0, "st_worker_time": 0.0, "st_worker_iter": epoch}
            lines.append("[tune-metric]: " + json.dumps({**metrics, **stamps}))
        else:
            lines.append("[trialjob] " + json.dumps({"seq": epoch + 1, "metrics": metrics}))
    return Epoch(seconds=(50.0 + 30.0 * float(config["lr"])) / _STEPS, lines=lines)


def run(case: Case, folder: Path) -> Done:
    simulation = SageMakerSimulation(
        limits=Limits(max_trials=case.trials, max_concurrent_trials=case.workers, trial_timeout=4 * 3600.0),
        folder=folder,
        settings=case.settings,
        rule=Asha(max_resource=EPOCHS, reduction_factor=2),
        poll_interval=case.pause,
        by_pace=True,
        journal=JsonlJournal(folder / "journal"),
        # Not today: floats of so many seconds are coarse enough to have a call in time seem too early.
        clock=VirtualClock(1e6),
    )
    service = _service(simulation, case.day)
    backend = CountedBackend(simulation.backend())
    began, cpu = simulation.clock.now(), time.process_time()
    state = simulation.loop(simulation.stepper(backend=backend)).run(lambda _state, _events: None)
    return Done(
        case=case,
        simulation=simulation,
        service=service,
        state=state,
        events=[event for record in simulation.journal.read() for event in record.events],
        looks=backend.looks,
        wall=simulation.clock.now() - began,
        cpu=time.process_time() - cpu - service.used,
    )


def _service(simulation: SageMakerSimulation, day: int) -> TimedService:
    """Put a service whose CPU is known, and that says no as often as the real one, behind the simulation."""
    service = harsh_service(simulation.clock, day)
    simulation.service = service
    simulation.session = boto3_session(service)
    simulation.client = SageMakerClient(
        simulation.clock, Limiter(simulation.clock, RATES), session=simulation.session
    )
    return service


def harsh_service(clock: VirtualClock, day: int = 0) -> TimedService:
    """A service on a hard day, one of many."""
    service = TimedService(
        clock,
        faults=replace(Faults.hard_day(day), interruption=0.3),
        durations=Durations.hard_day(),
        quota=1000,
    )
    service.script(chatter)
    service.world.write("bucket", "there", b"")
    return service


def beside(service: TimedService, wall: float, cpu: float) -> dict[str, float]:
    """What can be asked of anybody's jobs."""
    jobs, paid = [*service.jobs.values()], service.bill()
    return {
        "jobs": len(jobs),
        "wall": wall,
        "billable": paid.billable,
        "idle": paid.idle,
        "training": sum(
            following.at - moment.at
            for job in jobs
            for moment, following in zip(job.history, job.history[1:], strict=False)
            if moment.secondary == "Training"
        ),
        "warm": paid.warm_starts,
        "most": most_instances(jobs),
        "calls": len(service.ledger.calls),
        "refused": service.ledger.count(outcome="ThrottlingException"),
        "reports": sum("accuracy" in line.message for line in service.lines()),
        "cpu": cpu,
    }
