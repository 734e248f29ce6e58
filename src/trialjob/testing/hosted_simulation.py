"""Whole experiments that are handed to SageMaker's own tuner, in virtual time: real calls to the fake."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from trialjob.backends.plugin import Handover
from trialjob.backends.sagemaker.code import Code
from trialjob.backends.sagemaker.hosted.backend import HostedBackend, Parts
from trialjob.backends.sagemaker.hosted.tuning_request import Tuned
from trialjob.estimators.script import ScriptEstimator
from trialjob.in_job.hosted import configuration
from trialjob.logs.metrics import readers
from trialjob.model.ids import TrialId, job_name
from trialjob.model.job import Arguments
from trialjob.model.secret import unknown
from trialjob.orchestrator.core.search import BaseRule, Search
from trialjob.orchestrator.engine import step
from trialjob.orchestrator.engine.hosted import HostedStepper
from trialjob.orchestrator.engine.step import Stepper
from trialjob.orchestrator.ports import Clock, JobBackend, Journal
from trialjob.orchestrator.samplers.random import RandomSampler, RandomSearch
from trialjob.orchestrator.stopping.none import NoStopping
from trialjob.testing.fake_aws import Epoch
from trialjob.testing.sagemaker_simulation import SageMakerSimulation
from trialjob.testing.simulation import NAME, OBJECTIVE, SPACE, curve

#: How many epochs a job has, of a minute each.
EPOCHS = 3
#: What a job of the simulation runs.
HOSTED = ScriptEstimator(
    experiment=NAME, bundle="simulated", entry_point="train.py", arguments=Arguments(dialect="sdk-v2")
)


@dataclass(kw_only=True)
class HostedSimulation(SageMakerSimulation):
    """One experiment whose trials the fake's tuner proposes."""

    stopping: BaseRule = field(default_factory=NoStopping)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.service.script(self.epoch)

    @property
    def tuned(self) -> Tuned:
        search = Search(
            space=SPACE,
            objective=OBJECTIVE,
            limits=self.limits,
            sampler=RandomSearch(seed=self.seed),
            stopping=self.stopping,
        )
        job = HOSTED.request(
            job_name(NAME, TrialId(1), 1), TrialId(1), 1, SPACE.at({"lr": 0.5, "hidden": 0.0}), 3600.0
        )
        return Tuned(settings=self.settings, handover=Handover(search=search), job=job)

    def epoch(self, hyperparameters: Mapping[str, str], epoch: int) -> Epoch | None:
        """A job that reports the simulation's curve, and the best so far, after every epoch."""
        if epoch > 8:
            return None
        config = configuration(hyperparameters, self.tuned.ranges.codec)
        values = [curve(config, each) for each in range(1, epoch + 1)]
        report = {"seq": epoch, "metrics": {"epoch": epoch, "accuracy": values[-1]}}
        return Epoch(
            seconds=60.0, lines=["[trialjob] " + json.dumps(report), f"[trialjob-best] {max(values)!r}"]
        )

    def hosted(self, clock: Clock | None = None) -> HostedBackend:
        """A new backend, as another process would make it."""
        return HostedBackend(self.tuned, self.parts(clock))

    def parts(self, clock: Clock | None = None) -> Parts:
        """What a backend of this account is made of."""
        base = self.backend(clock)
        code = Code(
            bundle=lambda digest: (self.folder / f"{digest}.tar.gz").read_bytes(),
            files={"entrypoint.py": self.folder / "entrypoint.py"},
        )
        return Parts(
            client=base._client,  # noqa: SLF001 - its tokens are the account's, as those of one process are
            code=code,
            clock=clock or self.clock,
            owner="simulation",
            reveal=unknown,
        )

    def stepper(
        self,
        *,
        journal: Journal | None = None,
        backend: JobBackend | None = None,  # noqa: ARG002 - it is always the tuner's
        clock: Clock | None = None,
    ) -> Stepper:
        """A new orchestrator, as after a crash."""
        hosted = self.hosted(clock)
        parts = step.Parts(
            journal=journal or self.journal,
            backend=hosted,
            estimator=HOSTED,
            rule=NoStopping(),
            sampler=lambda: RandomSampler(SPACE, self.seed),
            readers=readers((), OBJECTIVE),
            clock=clock or self.clock,
        )
        return HostedStepper(parts, hosted, prunes=self.stopping.ends_trials)
