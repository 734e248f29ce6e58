"""Two laptops and a Lambda step one experiment in S3 at once, with clocks minutes apart, and die meanwhile.

Everything happens in one thread and in virtual time: at the boundary of any call of one orchestrator a whole
step of another one may take place, hours may pass, or it may be killed.
"""

from __future__ import annotations

import random
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from trialjob.errors import ExperimentBusy, StoreUnavailable
from trialjob.model.limits import Limits
from trialjob.model.trial import Phase
from trialjob.orchestrator.core.evolve import replay
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.engine.loop import Loop
from trialjob.orchestrator.journals.objects import Objects
from trialjob.orchestrator.journals.s3 import S3Journal
from trialjob.testing.crash import Crash
from trialjob.testing.fake_aws import Faults
from trialjob.testing.sagemaker_checks import check
from trialjob.testing.sagemaker_simulation import SageMakerSimulation
from trialjob.testing.simulation import NAME

LEASE = 60.0


@dataclass(eq=False)
class Machine:
    """A machine whose clock is ``skew`` seconds ahead, unless it follows that of S3."""

    simulated: SageMakerSimulation
    skew: float
    seal_at: int
    dead: bool = False
    objects: Objects = field(init=False)

    def __post_init__(self) -> None:
        self.objects = Objects("bucket", "store", Own(self), session=self.simulated.session)

    def journal(self) -> S3Journal:
        return S3Journal(self.objects, NAME, Own(self), seal_at=self.seal_at)

    def invoke(self, *, lease: bool) -> None:
        """One invocation of a new process: a step, and leave."""
        journal, clock = self.journal(), Followed(self)
        with journal.hold(LEASE) if lease else nullcontext():
            stepper = self.simulated.stepper(journal=journal, clock=clock)
            Loop(stepper, clock, 10.0).run(lambda _s, _e: None, until=clock.now() + 20.0, once=True)


@dataclass(frozen=True)
class Own:
    """The machine's own clock."""

    machine: Machine

    def now(self) -> float:
        return self.machine.simulated.clock.now() + self.machine.skew

    def sleep(self, seconds: float) -> None:
        self.machine.simulated.clock.sleep(seconds)


class Followed(Own):
    """The machine's clock, set right by that of S3, as a session does it."""

    def now(self) -> float:
        return super().now() + self.machine.objects.ahead


class Crowd:
    """Invocations of several machines, one within the other."""

    def __init__(
        self, simulated: SageMakerSimulation, *, seed: int, lease: bool, seal_at: int = 3000
    ) -> None:
        self.simulated = simulated
        self.dice = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self.lease = lease
        self.machines = [Machine(simulated, skew, seal_at) for skew in (0.0, 420.0, -300.0)]
        self.stack: list[Machine] = []
        self.kills = self.overlaps = self.naps = 0
        journal = self.machines[0].journal()
        journal.receive(simulated.journal.read())
        simulated.journal = journal
        simulated.faults.hook = self.at_call

    def at_call(self, _when: str, _operation: str) -> None:
        if not self.stack:
            return
        machine = self.stack[-1]
        if machine.dead:
            raise Crash
        throw = self.dice.random()
        if throw < 0.01:
            machine.dead = True
            self.kills += 1
            raise Crash
        if throw < 0.02:
            self.naps += 1
            self.simulated.clock.sleep(self.dice.choice([5.0, 90.0, 600.0]))
        elif throw < 0.08 and len(self.stack) < 3:
            self.overlaps += 1
            self.invoke()

    def invoke(self) -> None:
        idle = [machine for machine in self.machines if machine not in self.stack]
        machine = self.dice.choice(idle)
        machine.dead = False
        self.stack.append(machine)
        try:
            with suppress(Crash, ExperimentBusy, StoreUnavailable):
                machine.invoke(lease=self.lease)
        finally:
            self.stack.pop()

    def run(self) -> State:
        for _ in range(3000):
            self.invoke()
            self.simulated.clock.sleep(self.dice.uniform(0.0, 40.0))
            with suppress(StoreUnavailable):
                state = replay(self.simulated.journal.read())
                assert state is not None
                if state.phase is Phase.ENDED:
                    return state
        raise AssertionError("it does not come to an end")


def simulation(folder: Path, faults: Faults, seed: int) -> SageMakerSimulation:
    limits = Limits(max_trials=12, max_concurrent_trials=4, trial_timeout=3600.0, max_failures=12)
    return SageMakerSimulation(limits=limits, folder=folder, faults=faults, seed=seed)


@pytest.mark.parametrize("lease", [True, False], ids=["lease", "no lease"])
@pytest.mark.parametrize("seed", range(4))
def test_they_lose_and_double_nothing(tmp_path: Path, seed: int, lease: bool) -> None:
    simulated = simulation(tmp_path, Faults(seed=seed), seed)
    crowd = Crowd(simulated, seed=seed, lease=lease)
    state = crowd.run()
    check(simulated, state)
    assert crowd.kills
    assert crowd.overlaps
    assert crowd.naps


@pytest.mark.parametrize("seed", [0, 1, 3])  # those in which all of it comes to pass
def test_nor_when_s3_answers_409_412_503_or_not_at_all(tmp_path: Path, seed: int) -> None:
    faults = Faults(seed=seed, write_conflict=0.1, slow_down=0.05, lost_before=0.03, lost_after=0.05)
    faults.expired = (1_700_001_000.0, 1_700_001_120.0)
    simulated = simulation(tmp_path, faults, seed)
    crowd = Crowd(simulated, seed=seed, lease=True)
    state = crowd.run()
    check(simulated, state)
    refused = {call.outcome for call in simulated.service.ledger.calls if call.operation == "PutObject"}
    assert {"ok", "lost after", "ConditionalRequestConflict", "PreconditionFailed", "SlowDown"} <= refused
