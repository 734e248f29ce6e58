"""An experiment while everything goes wrong at chosen calls, and what must hold after every one of them.

A ``Schedule`` says what goes wrong; ``play`` runs it and raises ``Broken``, with the journal in its words,
when a law does not hold. The same schedule always plays the same way.
"""

from __future__ import annotations

import json
from dataclasses import replace

from trialjob.backends.assumptions import NOTHING, Assumptions
from trialjob.backends.simulator.clock import VirtualClock
from trialjob.backends.simulator.job_script import JobScript
from trialjob.backends.simulator.service import SimulatedService
from trialjob.model.job import JobRequest
from trialjob.model.money import Tariff, Terms
from trialjob.model.trial import Phase
from trialjob.orchestrator.core.events import (
    Event,
    ExperimentCreated,
    ExperimentResumed,
    LimitsChanged,
    PricesLearned,
)
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.journals.codec import encode
from trialjob.orchestrator.journals.memory import MemoryJournal
from trialjob.testing.chaos_laws import Laws
from trialjob.testing.chaos_orchestrator import Orchestrator
from trialjob.testing.chaos_schedule import EPOCHS, RULES, Broken, Fault, Job, Schedule
from trialjob.testing.simulation import NAME, OBJECTIVE, curve

_EPOCH = 60.0
#: So many turns are made at the pace of the schedule; the rest are longer, as clocks may be hours apart.
_TURNS, _ALL_TURNS, _LONG = 150, 600, 600.0
_DAY = 86_400.0


__all__ = ["EPOCHS", "RULES", "Broken", "Fault", "Job", "Schedule", "World", "play"]


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
        self.orchestrators = [Orchestrator(self) for _ in range(schedule.orchestrators)]
        self.calls = 0
        #: Calls that are being made, one within the other.
        self.depth = 0
        self._laws = Laws(self)
        created = ExperimentCreated(
            name=NAME, document={}, bundle="", objective=OBJECTIVE, limits=limits, trialjob="0"
        )
        self.journal.append([created, PricesLearned(tariff=tariff)], after=0, at=self.clock.now())

    def _course(self, request: JobRequest) -> JobScript:
        job = self._job(request)
        lines = [(_EPOCH * epoch, _line(request, epoch)) for epoch in range(1, job.epochs + 1)]
        return JobScript(
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
