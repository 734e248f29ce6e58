"""Whole experiments on the SageMaker backend in virtual time: real boto3 calls to a fake service.

They are put together as a user's are, but for the wire, the clock and what the jobs do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from trialjob.backends.limiter import Limiter
from trialjob.backends.sagemaker.backend import SageMakerBackend
from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.backends.sagemaker.code import Code
from trialjob.backends.sagemaker.prices import prices, tariff_of
from trialjob.backends.sagemaker.rates import RATES
from trialjob.backends.sagemaker.settings import SageMakerSettings
from trialjob.logs.metrics import readers
from trialjob.model.limits import Limits
from trialjob.orchestrator.core.events import ExperimentCreated, PricesLearned
from trialjob.orchestrator.core.search import StoppingRule
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.engine.loop import Loop, Watcher
from trialjob.orchestrator.engine.step import Parts, Stepper
from trialjob.orchestrator.journals.memory import MemoryJournal
from trialjob.orchestrator.ports import Clock, JobBackend, Journal
from trialjob.orchestrator.samplers.random import RandomSampler
from trialjob.orchestrator.stopping.asha import Asha
from trialjob.testing.fake_aws import Durations, Epoch, FakeService, Faults, VirtualClock
from trialjob.testing.fake_aws.in_process import boto3_session
from trialjob.testing.fake_aws.requests import ROLE
from trialjob.testing.simulation import ESTIMATOR, NAME, OBJECTIVE, SPACE, curve

SETTINGS = SageMakerSettings(
    s3_uri="s3://bucket/tuning", image_uri="image", role=ROLE, instance_type="ml.g5.xlarge"
)


def epochs(
    hyperparameters: Mapping[str, str], epoch: int, *, last: int = 8, seconds: float = 60.0
) -> Epoch | None:
    """A job that reports the simulation's curve after every epoch."""
    if epoch > last:
        return None
    config = {name: json.loads(value) for name, value in hyperparameters.items()}
    report = {"seq": epoch, "metrics": {"epoch": epoch, "accuracy": curve(config, epoch)}}
    return Epoch(seconds=seconds, lines=[f"epoch {epoch} begins", "[trialjob] " + json.dumps(report)])


#: Requests that name a bundle.
BUNDLED = replace(ESTIMATOR, bundle="simulated")


@dataclass(kw_only=True)
class SageMakerSimulation:
    """One experiment whose orchestrator may be replaced at any time; journal and service stay."""

    limits: Limits
    #: Where the bundle is put.
    folder: Path
    settings: SageMakerSettings = SETTINGS
    faults: Faults = field(default_factory=Faults)
    durations: Durations = field(default_factory=Durations)
    rule: StoppingRule = field(default_factory=lambda: Asha(max_resource=8))
    seed: int = 0
    poll_interval: float = 10.0
    #: It is looked at by the pace of its trials, as a user's is.
    by_pace: bool = False
    rates: Mapping[str, float] = field(default_factory=lambda: RATES)
    options: Mapping[str, Any] = field(default_factory=dict)
    clock: VirtualClock = field(default_factory=VirtualClock)
    journal: Journal = field(default_factory=MemoryJournal)

    def __post_init__(self) -> None:
        self.service = FakeService(self.clock, faults=self.faults, durations=self.durations)
        self.service.script(epochs)
        self.service.world.write("bucket", "there", b"")
        self.session = boto3_session(self.service)
        for name in ("simulated.tar.gz", "entrypoint.py"):
            (self.folder / name).write_bytes(b"code")
        created = ExperimentCreated(
            name=NAME, document={}, bundle="simulated", objective=OBJECTIVE, limits=self.limits, trialjob="0"
        )
        self.client = SageMakerClient(self.clock, Limiter(self.clock, self.rates), session=self.session)
        priced = []
        if self.settings.price_per_hour is not None:
            priced = [PricesLearned(tariff=tariff_of(self.settings, prices(self.client, self.settings)))]
        self.journal.append([created, *priced], after=0, at=self.clock.now())

    def backend(self, clock: Clock | None = None) -> SageMakerBackend:
        """A new backend, as another process would make it; with a ``clock``, as another machine would."""
        client = self.client
        if clock is not None:
            client = SageMakerClient(clock, Limiter(clock, self.rates), session=self.session)
        return SageMakerBackend(
            client=client,
            settings=self.settings,
            experiment=NAME,
            code=Code(
                bundle=lambda digest: (self.folder / f"{digest}.tar.gz").read_bytes(),
                files={"entrypoint.py": self.folder / "entrypoint.py"},
            ),
            clock=clock or self.clock,
            owner="simulation",
            usual_pause=self.poll_interval if self.by_pace else 0.0,
            **self.options,
        )

    def stepper(
        self,
        *,
        journal: Journal | None = None,
        backend: JobBackend | None = None,
        clock: Clock | None = None,
    ) -> Stepper:
        """A new orchestrator, as after a crash; with a ``clock``, one on another machine."""
        return Stepper(
            Parts(
                journal=journal or self.journal,
                backend=backend or self.backend(clock),
                estimator=BUNDLED,
                rule=self.rule,
                sampler=lambda: RandomSampler(SPACE, self.seed),
                readers=readers((), OBJECTIVE),
                clock=clock or self.clock,
            )
        )

    def run(self, watch: Watcher = lambda _state, _events: None) -> State:
        """Run to the end with one orchestrator."""
        return self.loop(self.stepper()).run(watch)

    def loop(self, stepper: Stepper) -> Loop:
        return Loop(stepper, self.clock, self.poll_interval, by_pace=self.by_pace)
