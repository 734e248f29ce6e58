"""An experiment while everything goes wrong at chosen calls, and what must hold after every one of them.

A ``Schedule`` says what goes wrong; ``play`` runs it and raises ``Broken``, with the journal in its words,
when a law does not hold. The same schedule always plays the same way.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TypeVar

from trialjob.backends.assumptions import NOTHING, Assumptions
from trialjob.backends.simulator.backend import SimulatorBackend
from trialjob.backends.simulator.clock import VirtualClock
from trialjob.backends.simulator.job_script import Course
from trialjob.backends.simulator.service import SimulatedService
from trialjob.errors import BackendBusy, BackendUnavailable, InvariantError, StoreUnavailable
from trialjob.logs.metrics import readers
from trialjob.model.ids import ExperimentName, JobName, parse_job_name
from trialjob.model.job import FailureKind, JobRequest, JobSeen, Watch
from trialjob.model.limits import Limits
from trialjob.model.money import Tariff, Terms, cap_micros
from trialjob.model.trial import AttemptStatus, EndKind, EndReason, Phase, StopKind, TrialStatus
from trialjob.orchestrator.core import stall
from trialjob.orchestrator.core.events import (
    AttemptIntended,
    Event,
    ExperimentCreated,
    ExperimentEnding,
    ExperimentResumed,
    LimitsChanged,
    PricesLearned,
    Record,
    ReportsRead,
    StopIntended,
)
from trialjob.orchestrator.core.evolve import evolve
from trialjob.orchestrator.core.rule import StoppingRule
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.transitions import is_final
from trialjob.orchestrator.engine.step import Parts, Stepper
from trialjob.orchestrator.journals.codec import encode
from trialjob.orchestrator.journals.memory import MemoryJournal
from trialjob.orchestrator.ports import Clock, Journal, Postponed, Rejected, Submitted
from trialjob.orchestrator.samplers.random import RandomSampler
from trialjob.orchestrator.stopping.asha import Asha
from trialjob.orchestrator.stopping.hyperband import Hyperband
from trialjob.orchestrator.stopping.none import NoStopping
from trialjob.orchestrator.stopping.promotion import Promotion
from trialjob.testing.crash import Crash
from trialjob.testing.simulation import ESTIMATOR, NAME, OBJECTIVE, SPACE, curve

T = TypeVar("T")

EPOCHS = 4
_EPOCH = 60.0
#: So many turns are made at the pace of the schedule; the rest are longer, as clocks may be hours apart.
_TURNS, _ALL_TURNS, _LONG = 150, 600, 600.0
_DAY = 86_400.0

RULES: Mapping[str, Callable[[], StoppingRule]] = {
    "none": NoStopping,
    "asha": lambda: Asha(max_resource=EPOCHS, reduction_factor=2),
    "promotion": lambda: Promotion(max_resource=EPOCHS, reduction_factor=2),
    "hyperband": lambda: Hyperband(max_resource=EPOCHS, reduction_factor=2),
}


class Fault(Enum):
    """What happens at one call, to the journal or to the backend."""

    CRASH_BEFORE = "the process dies before the call"
    CRASH_AFTER = "the process dies after the call"
    LOST_BEFORE = "the connection is lost before the call"
    LOST_AFTER = "the connection is lost after the call"
    TWICE = "the call arrives twice"
    BUSY = "it was asked too often"
    RACE_BEFORE = "another orchestrator makes a step before the call"
    RACE_AFTER = "another orchestrator makes a step after the call"
    AHEAD = "its clock is set an hour ahead"
    BACK = "its clock is set an hour back"
    BACK_A_BIT = "its clock is set ten seconds back"
    STALE = "nothing new is seen"
    STOP = "its user asks for the end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one job does, whoever asks for it."""

    #: How many epochs it reports before it ends.
    epochs: int = EPOCHS
    failure: FailureKind | None = None
    ignores_sigterm: bool = False
    #: After its last epoch it goes on and prints nothing, where a limit will end it.
    hangs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """An experiment, and all that goes wrong in it."""

    limits: Limits
    rule: str = "none"
    keep_alive: float = 0.0
    spot: bool = False
    #: The cap, as a multiple of what the first job may cost at most.
    cap: float | None = None
    #: How many trials more are agreed to once it has ended.
    more: int = 0
    poll: float = 45.0
    log_delay: float = 0.0
    list_delay: float = 0.0
    no_capacity: float = 0.0
    quota: int = 99
    #: What jobs do, in turn.
    jobs: tuple[Job, ...] = (Job(),)
    #: By the number of the call, from 1.
    faults: Mapping[int, Fault] = field(default_factory=dict)
    #: How many orchestrators take turns, each with a clock of its own.
    orchestrators: int = 1
    seed: int = 0


class Broken(AssertionError):
    """A law does not hold; the message has the journal up to there."""


class _SkewedClock:
    """The clock of one orchestrator."""

    def __init__(self, true: Clock) -> None:
        self._true = true
        self.skew = 0.0

    def now(self) -> float:
        return self._true.now() + self.skew

    def sleep(self, seconds: float) -> None:
        self._true.sleep(seconds)


class World:
    """The service, the journal and the true time, which outlive every orchestrator."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.clock = VirtualClock()
        self.journal = MemoryJournal()
        tariff, limits = _tariff(schedule), schedule.limits
        if schedule.cap is not None:
            worst = tariff.terms[0].worst(limits.trial_timeout)
            limits = replace(limits, max_cost=schedule.cap * worst.dollars)
        self.service = SimulatedService(
            self._course, _assumptions(schedule), tariff=tariff, max_wait=3600.0, seed=schedule.seed
        )
        self.orchestrators = [_Orchestrator(self) for _ in range(schedule.orchestrators)]
        self.calls = 0
        #: Calls that are being made, one within the other.
        self.depth = 0
        self._laws = _Laws(self)
        created = ExperimentCreated(
            name=NAME, document={}, bundle="", objective=OBJECTIVE, limits=limits, trialjob="0"
        )
        self.journal.append([created, PricesLearned(tariff=tariff)], after=0, at=self.clock.now())

    def _course(self, request: JobRequest) -> Course:
        job = self._job(request)
        lines = [(_EPOCH * epoch, _line(request, epoch)) for epoch in range(1, job.epochs + 1)]
        return Course(
            lines=lines,
            runs_for=1e9 if self.hangs(request) else _EPOCH * job.epochs + 5.0,
            failure=job.failure,
            exit_code=0 if job.failure is None else 1,
            start_delay=30.0,
            ignores_sigterm=job.ignores_sigterm,
        )

    def _job(self, request: JobRequest) -> Job:
        jobs = self.schedule.jobs
        return jobs[(request.trial * 3 + request.attempt - 4) % len(jobs)]

    def hangs(self, request: JobRequest) -> bool:
        """Whether that job never ends by itself."""
        limits = self.schedule.limits
        return self._job(request).hangs and (limits.stall_timeout is not None or limits.trial_timeout < _DAY)

    def check(self) -> None:
        """Raise Broken unless every law holds at this moment."""
        self._laws.check()

    def state_at(self, version: int) -> State:
        """What the journal says up to there."""
        self.check()
        return self._laws.states[version]

    def play(self) -> State:
        """Run to the end. Raises Broken."""
        state = self._to_its_end()
        if self.schedule.more:
            limits = replace(state.limits, max_trials=len(state.trials) + self.schedule.more)
            self.append(LimitsChanged(limits=limits, document={}), ExperimentResumed())
            state = self._to_its_end()
        return state

    def _to_its_end(self) -> State:
        for turn in range(_ALL_TURNS):
            orchestrator = self.orchestrators[turn % len(self.orchestrators)]
            orchestrator.step()
            self.check()
            state = self.state()
            if state.phase is Phase.ENDED:
                self._laws.check_end(state)
                return state
            self.clock.sleep(self.schedule.poll if turn < _TURNS else _LONG)
        raise self.broken("it does not come to an end")

    def state(self) -> State:
        """What the journal says now."""
        return self.state_at(len(self.journal.read()))

    def append(self, *events: Event) -> None:
        """Journal what a user asks for, at another place."""
        self.journal.append(events, after=len(self.journal.read()), at=self.clock.now())

    def broken(self, law: str) -> Broken:
        records = b"".join(encode(record) for record in self.journal.read()).decode()
        jobs = "\n".join(
            f"  {name} {job.submitted_at:.0f} … {job.ends_at:.0f} {job.outcome.value}"
            for name, job in self.service.jobs.items()
        )
        now = f"{self.clock.now():.0f}, after {self.calls} calls"
        return Broken(f"{law}\nat {now}\njobs:\n{jobs}\njournal:\n{records}")


def play(schedule: Schedule) -> State:
    """Run a schedule to its end and return the last state. Raises Broken."""
    return World(schedule).play()


def _assumptions(schedule: Schedule) -> Assumptions:
    return replace(
        NOTHING,
        stop=20.0,
        warm_start=5.0,
        log_delay=schedule.log_delay,
        list_delay=schedule.list_delay,
        no_capacity=schedule.no_capacity,
        capacity_wait=120.0,
        interruptions_per_hour=20.0 if schedule.spot else 0.0,
        restart=30.0,
        training_quota=schedule.quota,
    )


def _tariff(schedule: Schedule) -> Tariff:
    """A dollar buys about a quarter of an hour, and less where there is no other machine."""
    cheap = Terms(
        price=3_600_001, machine="a", spot=schedule.spot, stop_grace=120.0, keep_alive=schedule.keep_alive
    )
    return Tariff(terms=(cheap, replace(cheap, price=5_000_003, machine="b", spot=False)))


def _line(request: JobRequest, epoch: int) -> str:
    value = curve(request.hyperparameters, epoch)
    return "[trialjob] " + json.dumps({"seq": epoch, "metrics": {"epoch": epoch, "accuracy": value}})


# Orchestrators


class _Orchestrator:
    """A process that steps, dies, and is started again."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.clock = _SkewedClock(world.clock)
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
            journal=_Journal(world, self),
            backend=_Backend(world, self),
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
        others = [other for other in world.orchestrators if other is not self]
        try:
            (others[0] if others else _Orchestrator(world)).step()
        finally:
            world.depth -= 1


class _Journal:
    """The journal as one orchestrator reaches it."""

    def __init__(self, world: World, owner: _Orchestrator) -> None:
        self._journal: Journal = world.journal
        self._owner = owner

    def read(self, after: int = 0) -> Sequence[Record]:
        return self._journal.read(after)

    def append(self, events: Sequence[Event], *, after: int, at: float) -> Record:
        lost = StoreUnavailable("no answer")
        return self._owner.call(lambda: self._journal.append(events, after=after, at=at), lost)

    def hold(self, seconds: float = 60.0) -> AbstractContextManager[None]:
        return self._journal.hold(seconds)

    def receive(self, records: Sequence[Record]) -> None:
        self._journal.receive(records)

    def holder(self) -> str | None:
        return self._journal.holder()


class _Backend:
    """The service as one orchestrator reaches it."""

    def __init__(self, world: World, owner: _Orchestrator) -> None:
        self._world = world
        self._owner = owner
        self._backend = SimulatorBackend(world.service, world.clock)

    def submit(self, request: JobRequest) -> Submitted | Postponed | Rejected:
        return self._owner.call(lambda: self._backend.submit(request), BackendUnavailable("lost"))

    def stop(self, job: JobName) -> bool:
        return self._owner.call(lambda: self._backend.stop(job), BackendUnavailable("lost"))

    def observe(self, watched: Sequence[Watch]) -> Sequence[JobSeen]:
        stale = self._world.schedule.faults.get(self._world.calls + 1) is Fault.STALE
        seen = self._owner.call(lambda: self._backend.observe(watched), BackendUnavailable("lost"))
        return () if stale else seen

    def end_pools(self, jobs: Sequence[JobName]) -> bool:
        return self._owner.call(lambda: self._backend.end_pools(jobs), BackendUnavailable("lost"))

    def close(self) -> None:
        self._backend.close()


# Laws


class _Laws:
    """What must hold, looked at as an outsider who sees the journal and the service."""

    def __init__(self, world: World) -> None:
        self._world = world
        #: By the number of records that made each.
        self.states: dict[int, State] = {}
        self._intended: set[JobName] = set()
        self._jobs = 0

    def check(self) -> None:
        state = self._read()
        now, service, limits = self._world.clock.now(), self._world.service, state.limits
        self._hold(len(state.trials) <= limits.max_trials, "no more trials than max_trials")
        self._hold(
            len(state.live) <= limits.max_concurrent_trials, "no more slots than max_concurrent_trials"
        )
        running = [job.request for job in service.jobs.values() if now < job.ends_at]
        twice = [trial for trial, count in Counter(job.trial for job in running).items() if count > 1]
        self._hold(not twice, f"one job a trial at a time, not two of {twice}")
        self._hold(len(running) <= limits.max_concurrent_trials, "no more jobs than max_concurrent_trials")
        held = Counter(
            job.terms.machine for job in service.jobs.values() if now < job.ends_at or job.has_pool(now)
        )
        self._hold(
            all(count <= limits.max_concurrent_trials for count in held.values()),
            "of no machine more instances than max_concurrent_trials, warm ones included",
        )
        if limits.max_cost is not None:
            cap, bill = cap_micros(limits.max_cost), service.bill(now).micros
            self._hold(state.committed.micros <= cap, "no more is committed than max_cost")
            self._hold(bill <= cap, f"no more is spent than max_cost, not {bill} of {cap}")
        for name in list(service.jobs)[self._jobs :]:
            self._hold(name in self._intended, f"no job without an intent: {name}")
        self._jobs = len(service.jobs)
        open_ = {job.trial for job in running} - state.live
        self._hold(not open_, f"no job that the journal takes for ended: trials {sorted(open_)}")

    def _read(self) -> State:
        version = len(self.states)
        for record in self._world.journal.read(version):
            try:
                state = evolve(self.states.get(version), record)
            except InvariantError as error:
                raise self._world.broken(f"no transition outside the tables: {error}") from error
            for event in record.events:
                if isinstance(event, AttemptIntended):
                    self._intended.add(state.job(event.trial, event.attempt))
                if isinstance(event, StopIntended) and event.reason.kind is StopKind.STALLED:
                    self._check_stall(state.job(event.trial, event.attempt))
            version += 1
            self.states[version] = state
        return self.states[version]

    def _check_stall(self, job: JobName) -> None:
        # A clock that is set makes one part of the silence pass at most, and another's as much again.
        faults = self._world.schedule.faults.values()
        jumps = sum(fault in (Fault.AHEAD, Fault.BACK) for fault in faults)
        hangs = self._world.hangs(self._world.service.jobs[job].request)
        self._hold(hangs or jumps + 1 >= stall.PARTS, f"no job is taken for hung that is not, as {job} was")

    def check_end(self, state: State) -> None:
        now, service = self._world.clock.now(), self._world.service
        self._hold(not service.running(now), "nothing runs after the end")
        self._hold(not service.pools(now), "no machine is kept warm after the end")
        self._hold(all(is_final(trial.status) for trial in state.trials), "every trial has its final status")
        ends = [attempt.status for trial in state.trials for attempt in trial.attempts]
        self._hold(set(ends) <= {AttemptStatus.ENDED}, "every attempt has ended")
        self._check_reports()
        if not self._world.schedule.no_capacity and all(
            job.failure is None and not job.hangs for job in self._world.schedule.jobs
        ):
            # A clock that is set ahead may bring the end of a time limit; nothing else may fail a trial.
            failed = state.count(TrialStatus.FAILED)
            self._hold(
                not failed or self._world.schedule.spot, f"nothing fails by our doing, but {failed} did"
            )

    def _check_reports(self) -> None:
        delivered: Counter[tuple[int, int, float]] = Counter(
            (event.trial, event.attempt, report.resource)
            for record in self._world.journal.read()
            for event in record.events
            if isinstance(event, ReportsRead)
            for report in event.reports
        )
        printed: Counter[tuple[int, int, float]] = Counter()
        for name, job in self._world.service.jobs.items():
            parsed = parse_job_name(ExperimentName(NAME), name)
            for _, text in job.log(0, math.inf):
                epoch = json.loads(text.removeprefix("[trialjob] "))["metrics"]["epoch"]
                printed[(*(parsed or (0, 0)), float(epoch))] += 1
        lost, doubled = printed - delivered, delivered - printed
        self._hold(not lost, f"every report is delivered, also {sorted(lost)}")
        self._hold(not doubled, f"no report is delivered twice, not {sorted(doubled)}")

    def _hold(self, holds: bool, law: str) -> None:  # noqa: FBT001 - reads as an assertion
        if not holds:
            raise self._world.broken(law)
