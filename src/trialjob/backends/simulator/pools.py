"""The warm pools of the simulated service: which machine fits which job, and when it is given up.

A pool is reused by a job that asks for the same type and number of machines; all else that must be equal is
equal in one experiment. The one that has waited longest is taken first.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import TypeAlias

from trialjob.backends.simulator.job import SimulatedJob
from trialjob.model.money import Terms

_Kind: TypeAlias = tuple[str, int]


class Pools:
    """Every machine that waits, or will."""

    def __init__(self) -> None:
        self._waiting: dict[_Kind, deque[SimulatedJob]] = {}
        #: When each of them is given up, if no job takes it; with a number, as jobs have no order.
        self._expiries: list[tuple[float, int, SimulatedJob]] = []
        self._count = 0
        #: Instances that wait, and those of running jobs that will, by type.
        self._idle: dict[str, int] = {}
        self._promised: dict[str, int] = {}

    def admit(self, terms: Terms, quota: float) -> bool:
        """Whether the quota lets the service keep this machine; if not, it is silent and keeps nothing."""
        kind = terms.machine
        kept = self._idle.get(kind, 0) + self._promised.get(kind, 0) + terms.instances
        if kept > quota:
            return False
        self._promised[kind] = self._promised.get(kind, 0) + terms.instances
        return True

    def ended(self, job: SimulatedJob) -> None:
        """A job has ended; its machine waits from now on, if it is kept."""
        if not job.keeps_pool:
            return
        terms = job.terms
        self._promised[terms.machine] -= terms.instances
        if job.lost_its_machine:
            job.keeps_pool = False
            return
        self._idle[terms.machine] = self._idle.get(terms.machine, 0) + terms.instances
        self._waiting.setdefault(_kind(terms), deque()).append(job)
        self._count += 1
        heappush(self._expiries, (job.pool_until, self._count, job))

    def fitting(self, terms: Terms) -> SimulatedJob | None:
        """The job whose machine the next one takes."""
        waiting = self._waiting.get(_kind(terms), deque())
        while waiting and waiting[0].pool_ended_at is not None:
            waiting.popleft()
        return waiting[0] if waiting else None

    def end(self, job: SimulatedJob, at: float) -> None:
        """Give a machine up, to another job or for good."""
        if job.keeps_pool and job.pool_ended_at is None:
            job.pool_ended_at = at
            self._idle[job.terms.machine] -= job.terms.instances

    def expire(self, now: float) -> None:
        """Give up those that have waited long enough."""
        while self._expiries and self._expiries[0][0] <= now:
            until, _, job = heappop(self._expiries)
            self.end(job, until)

    def instances(self, instance_type: str) -> int:
        """How many instances wait."""
        return self._idle.get(instance_type, 0)


def _kind(terms: Terms) -> _Kind:
    return terms.machine, terms.instances
