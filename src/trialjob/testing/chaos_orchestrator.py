"""A process that steps, whose calls meet the faults of a schedule, and that dies of some."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from trialjob.backends.simulator.backend import SimulatorBackend
from trialjob.errors import BackendBusy, BackendUnavailable, InvariantError, StoreUnavailable
from trialjob.logs.metrics import readers
from trialjob.model.job import JobSeen, Watch
from trialjob.model.trial import EndKind, EndReason, Phase
from trialjob.orchestrator.core.events import ExperimentEnding, Record
from trialjob.orchestrator.engine.step import Parts, Stepper
from trialjob.orchestrator.ports import Clock
from trialjob.orchestrator.samplers.random import RandomSampler
from trialjob.testing.chaos_laws import LawfulWorld
from trialjob.testing.chaos_schedule import RULES, Fault
from trialjob.testing.crash import Crash, FusedBackend, FusedJournal
from trialjob.testing.simulation import ESTIMATOR, OBJECTIVE, SPACE

T = TypeVar("T")


class SkewedClock:
    """The clock of one orchestrator, some seconds ahead of the true one."""

    def __init__(self, true: Clock, skew: float = 0.0) -> None:
        self._true = true
        self.skew = skew

    def now(self) -> float:
        return self._true.now() + self.skew

    def sleep(self, seconds: float) -> None:
        self._true.sleep(seconds)


class Orchestrator:
    """A process that steps, dies, and is started again."""

    def __init__(self, world: LawfulWorld, all_of_them: Sequence[Orchestrator] = ()) -> None:
        self._world, self._all = world, all_of_them
        self.clock = SkewedClock(world.clock)
        self._stepper: Stepper | None = None

    def step(self) -> None:
        """One step; a process that has died is started first."""
        try:
            if self._stepper is None:
                self._stepper = Stepper(self._parts())
            # Another step may be tried by the same process.
            with suppress(StoreUnavailable):
                self._stepper.step()
                self._check_memory(self._stepper)
        except Crash:
            self._stepper = None
        except InvariantError as error:
            raise self._world.broken(f"no event may contradict the state: {error}") from error

    def _check_memory(self, stepper: Stepper) -> None:
        known = self._world.state_at(stepper.state.version)
        if stepper.state is not known and stepper.state != known:
            raise self._world.broken("what an orchestrator has in mind is what the journal says")

    def _parts(self) -> Parts:
        world = self._world
        return Parts(
            journal=FusedJournal(world.journal, _Way(self, StoreUnavailable("no answer"))),
            backend=FaultyBackend(world, self),
            estimator=ESTIMATOR,
            rule=RULES[world.schedule.rule](),
            sampler=lambda: RandomSampler(SPACE, 0),
            readers=readers((), OBJECTIVE),
            clock=self.clock,
        )

    def call(self, function: Callable[[], T], lost: Exception) -> T:
        """Make one call, with what the schedule has in mind for it."""
        world = self._world
        world.calls += 1
        fault = world.schedule.faults.get(world.calls)
        self._before(fault, lost)
        result = function()
        if fault is Fault.TWICE and not isinstance(result, Record):
            result = function()
        world.check()
        if fault is Fault.RACE_AFTER:
            self._race()
        if fault is Fault.CRASH_AFTER:
            raise Crash
        if fault is Fault.LOST_AFTER:
            raise lost
        return result

    def _before(self, fault: Fault | None, lost: Exception) -> None:
        world = self._world
        match fault:
            case Fault.CRASH_BEFORE:
                raise Crash
            case Fault.LOST_BEFORE:
                raise lost
            case Fault.BUSY if isinstance(lost, BackendUnavailable):
                raise BackendBusy("asked too often", 7.0)
            case Fault.RACE_BEFORE:
                self._race()
            case Fault.AHEAD:
                self.clock.skew += 3600.0
            case Fault.BACK:
                self.clock.skew -= 3600.0
            case Fault.BACK_A_BIT:
                self.clock.skew -= 10.0
            case Fault.STOP if world.state().phase is Phase.RUNNING:
                world.append(ExperimentEnding(reason=EndReason(kind=EndKind.STOPPED, detail="by the user")))
            case _:
                pass

    def _race(self) -> None:
        world = self._world
        if world.depth:
            return
        world.depth += 1
        others = [other for other in self._all if other is not self]
        try:
            (others[0] if others else Orchestrator(world)).step()
        finally:
            world.depth -= 1


class _Way:
    """How one orchestrator reaches the journal or the service: a call may be ``lost``."""

    def __init__(self, owner: Orchestrator, lost: Exception) -> None:
        self._owner = owner
        self._lost = lost

    def call(self, function: Callable[[], T]) -> T:
        return self._owner.call(function, self._lost)


class FaultyBackend(FusedBackend):
    """The service as one orchestrator reaches it."""

    def __init__(self, world: LawfulWorld, owner: Orchestrator) -> None:
        super().__init__(
            SimulatorBackend(world.service, world.clock), _Way(owner, BackendUnavailable("lost"))
        )
        self._world = world

    def observe(self, watched: Sequence[Watch]) -> Sequence[JobSeen]:
        stale = self._world.schedule.faults.get(self._world.calls + 1) is Fault.STALE
        seen = super().observe(watched)
        return () if stale else seen
