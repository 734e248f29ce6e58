"""What must hold after every step, whatever has gone wrong."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace

from trialjob.backends.assumptions import NOTHING, Assumptions
from trialjob.backends.simulator.clock import VirtualClock
from trialjob.backends.simulator.job_script import JobScript
from trialjob.backends.simulator.service import SimulatedService
from trialjob.errors import InvariantError
from trialjob.model.ids import ExperimentName, JobName, parse_job_name
from trialjob.model.job import JobRequest
from trialjob.model.money import Tariff, Terms, cap_micros
from trialjob.model.trial import AttemptStatus, StopKind, TrialStatus
from trialjob.orchestrator.core import stall
from trialjob.orchestrator.core.events import (
    AttemptIntended,
    Event,
    PricesLearned,
    ReportsRead,
    StopIntended,
)
from trialjob.orchestrator.core.evolve import evolve
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.transitions import is_final
from trialjob.orchestrator.journals.codec import encode
from trialjob.orchestrator.journals.memory import MemoryJournal
from trialjob.testing.chaos_schedule import Broken, Fault, Job, Schedule
from trialjob.testing.histories import beginning
from trialjob.testing.simulation import NAME, OBJECTIVE, curve

_EPOCH = 60.0
_DAY = 86_400.0


class LawfulWorld:
    """The service, the journal and the true time, which outlive every orchestrator.

    What must hold of them is looked at as by an outsider, who sees the journal and the service.
    """

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
        self.calls = 0
        #: Calls that are being made, one within the other.
        self.depth = 0
        #: By the number of records that made each.
        self._states: dict[int, State] = {}
        self._intended: set[JobName] = set()
        self._jobs = 0
        created = beginning(NAME, OBJECTIVE, limits)
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

    def state_at(self, version: int) -> State:
        """What the journal says up to there."""
        self.check()
        return self._states[version]

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

    def check(self) -> None:
        """Raise Broken unless every law holds at this moment."""
        state = self._read()
        now, service, limits = self.clock.now(), self.service, state.limits
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
        version = len(self._states)
        for record in self.journal.read(version):
            try:
                state = evolve(self._states.get(version), record)
            except InvariantError as error:
                raise self.broken(f"no transition outside the tables: {error}") from error
            for event in record.events:
                if isinstance(event, AttemptIntended):
                    self._intended.add(state.job(event.trial, event.attempt))
                if isinstance(event, StopIntended) and event.reason.kind is StopKind.STALLED:
                    self._check_stall(state.job(event.trial, event.attempt))
            version += 1
            self._states[version] = state
        return self._states[version]

    def _check_stall(self, job: JobName) -> None:
        # A clock that is set makes one part of the silence pass at most, and another's as much again.
        faults = self.schedule.faults.values()
        jumps = sum(fault in (Fault.AHEAD, Fault.BACK) for fault in faults)
        hangs = self.hangs(self.service.jobs[job].request)
        self._hold(hangs or jumps + 1 >= stall.PARTS, f"no job is taken for hung that is not, as {job} was")

    def check_end(self, state: State) -> None:
        now, service = self.clock.now(), self.service
        self._hold(not service.running(now), "nothing runs after the end")
        self._hold(not service.pools(now), "no machine is kept warm after the end")
        self._hold(all(is_final(trial.status) for trial in state.trials), "every trial has its final status")
        ends = [attempt.status for trial in state.trials for attempt in trial.attempts]
        self._hold(set(ends) <= {AttemptStatus.ENDED}, "every attempt has ended")
        self._check_reports()
        if not self.schedule.no_capacity and all(
            job.failure is None and not job.hangs for job in self.schedule.jobs
        ):
            # A clock that is set ahead may bring the end of a time limit; nothing else may fail a trial.
            failed = state.count(TrialStatus.FAILED)
            self._hold(not failed or self.schedule.spot, f"nothing fails by our doing, but {failed} did")

    def _check_reports(self) -> None:
        delivered: Counter[tuple[int, int, float]] = Counter(
            (event.trial, event.attempt, report.resource)
            for record in self.journal.read()
            for event in record.events
            if isinstance(event, ReportsRead)
            for report in event.reports
        )
        printed: Counter[tuple[int, int, float]] = Counter()
        for name, job in self.service.jobs.items():
            parsed = parse_job_name(ExperimentName(NAME), name)
            for _, text in job.log(0, math.inf):
                epoch = json.loads(text.removeprefix("[trialjob] "))["metrics"]["epoch"]
                printed[(*(parsed or (0, 0)), float(epoch))] += 1
        lost, doubled = printed - delivered, delivered - printed
        self._hold(not lost, f"every report is delivered, also {sorted(lost)}")
        self._hold(not doubled, f"no report is delivered twice, not {sorted(doubled)}")

    def _hold(self, holds: bool, law: str) -> None:  # noqa: FBT001 - reads as an assertion
        if not holds:
            raise self.broken(law)


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
