"""Whole experiments in virtual time, put together as users' are but for the service and the clock."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from trialjob.backends.assumptions import NOTHING, Assumptions
from trialjob.backends.simulator.backend import SimulatorBackend
from trialjob.backends.simulator.clock import VirtualClock
from trialjob.backends.simulator.job_script import JobScript
from trialjob.backends.simulator.service import SimulatedService
from trialjob.estimators.script import ScriptEstimator
from trialjob.logs.metrics import readers
from trialjob.logs.on_log import LogPatterns
from trialjob.model.ids import ExperimentName
from trialjob.model.job import JobRequest
from trialjob.model.json import Json
from trialjob.model.limits import Limits
from trialjob.model.metric import Mode, Objective
from trialjob.model.money import Tariff, Terms
from trialjob.model.space import Choice, Space, Uniform
from trialjob.orchestrator.core.events import PricesLearned
from trialjob.orchestrator.core.search import StoppingRule
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.engine.loop import Loop, Watcher
from trialjob.orchestrator.engine.step import Parts, Stepper
from trialjob.orchestrator.journals.memory import MemoryJournal
from trialjob.orchestrator.ports import JobBackend, Journal, LogRules, Sampler
from trialjob.orchestrator.samplers.random import RandomSampler
from trialjob.orchestrator.stopping.asha import Asha
from trialjob.testing.crash import Crash, Fuse, FusedBackend, FusedJournal
from trialjob.testing.histories import beginning

NAME = ExperimentName("simulated")
OBJECTIVE = Objective(metric="accuracy", mode=Mode.MAX)
#: What the service is like; how long a start takes is up to the course.
ASSUMED = replace(NOTHING, stop=20.0, warm_start=15.0)
SPACE = Space({"lr": Uniform(lower=0.0, upper=1.0), "hidden": Choice(values=(16, 32, 64))})


def curve(config: Mapping[str, Json], epoch: int) -> float:
    """A learning curve: better near lr = 0.3, better with every epoch."""
    lr, hidden = float(str(config["lr"])), float(str(config["hidden"]))
    return 1.0 - abs(lr - 0.3) * (1.0 + 1.0 / epoch) - 1.0 / hidden


def course(request: JobRequest, *, epochs: int = 27, seconds: float = 60.0) -> JobScript:
    """A job that reports ``curve`` after every epoch; starts take 100 to 149 seconds."""
    values = [curve(request.hyperparameters, epoch) for epoch in range(1, epochs + 1)]
    lines = [
        (
            seconds * epoch,
            "[trialjob] " + json.dumps({"seq": epoch, "metrics": {"epoch": epoch, "accuracy": value}}),
        )
        for epoch, value in enumerate(values, start=1)
    ]
    return JobScript(
        lines=lines, runs_for=seconds * epochs + 5.0, start_delay=100.0 + request.trial * 37 % 50
    )


#: Requests for a program without code.
ESTIMATOR = ScriptEstimator(experiment=NAME, bundle="", entry_point="train.py")


@dataclass(kw_only=True)
class Simulation:
    """One experiment whose orchestrator may be replaced at any time; journal and service stay."""

    limits: Limits
    rule: StoppingRule = field(default_factory=lambda: Asha(max_resource=27))
    objective: Objective = OBJECTIVE
    space: Space = SPACE
    sampler: Callable[[], Sampler] | None = None
    course: Callable[[JobRequest], JobScript] = course
    rules: LogRules = field(default_factory=lambda: LogPatterns(()))
    poll_interval: float = 10.0
    by_pace: bool = False
    keep_alive: float = 0.0
    #: By what jobs are paid; by default they cost nothing, and leave their machine for ``keep_alive``.
    tariff: Tariff | None = None
    assumptions: Assumptions = ASSUMED
    seed: int = 0
    clock: VirtualClock = field(default_factory=VirtualClock)
    journal: Journal = field(default_factory=MemoryJournal)

    def __post_init__(self) -> None:
        tariff = self.tariff or Tariff(terms=(Terms(price=0, keep_alive=self.keep_alive),))
        self.service = SimulatedService(self.course, self.assumptions, tariff=tariff, seed=self.seed)
        self.backend: JobBackend = SimulatorBackend(self.service, self.clock)
        created = beginning(NAME, self.objective, self.limits)
        self.journal.append([created, PricesLearned(tariff=tariff)], after=0, at=self.clock.now())

    def stepper(
        self,
        *,
        journal: Journal | None = None,
        backend: JobBackend | None = None,
        state: State | None = None,
    ) -> Stepper:
        """A new orchestrator, as after a crash; it may know already what the journal's beginning says."""
        return Stepper(
            Parts(
                journal=journal or self.journal,
                backend=backend or self.backend,
                estimator=ESTIMATOR,
                rule=self.rule,
                sampler=self.sampler or (lambda: RandomSampler(self.space, 0)),
                readers=readers((), self.objective),
                rules=self.rules,
                clock=self.clock,
            ),
            state=state,
        )

    def run(self, watch: Watcher = lambda _state, _events: None, *, fuse: Fuse | None = None) -> State:
        """Run to the end with one orchestrator. Raises Crash where ``fuse`` blows."""
        fuse = fuse or Fuse()
        stepper = self.stepper(
            journal=FusedJournal(self.journal, fuse), backend=FusedBackend(self.backend, fuse)
        )
        return Loop(stepper, self.clock, self.poll_interval, by_pace=self.by_pace).run(watch)

    def run_dying(self, calls: int, *, away: float = 0.0) -> tuple[State, int]:
        """Run to the end with orchestrators that die at their ``calls``-th call, before or after its effect.

        No orchestrator runs for ``away`` seconds after each death. The second value is how many have died.
        """
        deaths = 0
        while True:
            try:
                return self.run(fuse=Fuse(calls, after=deaths % 2 == 0)), deaths
            except Crash:
                deaths += 1
                self.clock.sleep(away)
