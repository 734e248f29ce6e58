"""What must hold after every step, whatever has gone wrong."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import TYPE_CHECKING

from trialjob.errors import InvariantError
from trialjob.model.ids import ExperimentName, JobName, parse_job_name
from trialjob.model.money import cap_micros
from trialjob.model.trial import AttemptStatus, StopKind, TrialStatus
from trialjob.orchestrator.core import stall
from trialjob.orchestrator.core.events import (
    AttemptIntended,
    ReportsRead,
    StopIntended,
)
from trialjob.orchestrator.core.evolve import evolve
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.transitions import is_final
from trialjob.testing.chaos_schedule import Fault
from trialjob.testing.simulation import NAME

if TYPE_CHECKING:
    from trialjob.testing.chaos import World


class Laws:
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
