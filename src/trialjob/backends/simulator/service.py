"""The simulated service: it knows every job ever submitted and what each does at any time.

Rule: what a call costs depends on what has changed since the last one, not on how many jobs there ever were.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from heapq import heappop, heappush

from trialjob.backends.assumptions import NOTHING, Assumptions
from trialjob.backends.simulator.job import SimulatedJob
from trialjob.backends.simulator.job_script import JobScript
from trialjob.backends.simulator.job_timeline import JobTimeline, leaving
from trialjob.backends.simulator.pools import Pools
from trialjob.model.ids import JobName, TrialId
from trialjob.model.job import JobRequest
from trialjob.model.money import Spend, Tariff, Terms

#: One kind of machine, which costs nothing and is not kept.
FREE = Tariff(terms=(Terms(price=0),))


class SimulatedService:
    """Outlives every orchestrator that talks to it."""

    def __init__(
        self,
        course: Callable[[JobRequest], JobScript],
        assumptions: Assumptions = NOTHING,
        *,
        tariff: Tariff = FREE,
        max_wait: float = math.inf,
        seed: int = 0,
    ) -> None:
        """``max_wait`` is how many seconds a job on spot may take in all, waiting included."""
        self.assumptions = assumptions
        self.jobs: dict[JobName, SimulatedJob] = {}
        #: Names that were stopped before they had ever been started, and so never will be.
        self.refused: set[JobName] = set()
        self._course = course
        self._tariff = tariff
        self._max_wait = max_wait
        self._seed = seed
        self._pools = Pools()
        #: The jobs of each trial, and the seconds of training that each trial began with.
        self._attempts: dict[TrialId, list[SimulatedJob]] = {}
        self._copied: dict[TrialId, float] = {}
        #: (end, name) of the jobs that have not ended; a stop adds an earlier one.
        self._ends: list[tuple[float, JobName]] = []
        #: Instances that jobs hold, by type and by whether they are on spot.
        self._held: dict[tuple[str, bool], int] = {}

    # Calls

    def create(self, request: JobRequest, now: float) -> SimulatedJob | None:
        """Accept a job; None when a quota is used up."""
        self._pass(now)
        terms = self._tariff.after(request.capacity_failures)
        if terms.one_of:
            terms = self._tariff.terms[0]  # it has the first that is asked for
        if not request.keeps_pool:
            terms = replace(terms, keep_alive=0.0)
        left_by = None if terms.spot else self._pools.fitting(terms)
        if not self._has_room(terms, reuses=left_by is not None):
            return None
        if left_by is not None:
            self._pools.end(left_by, now)
        story = JobTimeline(
            request=request,
            course=self._course(request).after(self._begins_with(request, now)),
            terms=terms,
            max_wait=self._max_wait if terms.spot else math.inf,
            assumptions=self.assumptions,
            seed=self._seed,
            warm=left_by is not None,
        )
        job = story.tell(now)
        if terms.keep_alive and not terms.spot:
            job.keeps_pool = self._pools.admit(terms, self.assumptions.warm_pool_quota)
        self.jobs[request.job] = job
        self._attempts.setdefault(request.trial, []).append(job)
        key = (terms.machine, terms.spot)
        self._held[key] = self._held.get(key, 0) + terms.instances
        heappush(self._ends, (job.ends_at, request.job))
        return job

    def _begins_with(self, request: JobRequest, now: float) -> float:
        """Seconds of training in the checkpoint that a trial was given, which is copied once."""
        source = request.source
        if source is not None and request.trial not in self._copied:
            saved = max((job.saved(now) for job in self._attempts.get(source, ())), default=0.0)
            self._copied[request.trial] = self._copied.get(source, 0.0) + saved
        return self._copied.get(request.trial, 0.0)

    def stop(self, job: SimulatedJob, now: float) -> None:
        """Cut the job short, unless it ends by itself before that."""
        if job.stop_asked or now >= job.ends_at:
            return
        job.stop_asked = True
        runs = any(launch.code_began <= now < launch.code_ended for launch in job.launches)
        leaves = now + (leaving(self.assumptions, job.course) if runs else self.assumptions.stop)
        ended = leaves + (self.assumptions.upload if runs else 0.0)
        if ended < job.ends_at:
            job.cut(code_ended=leaves, ended=ended)
            heappush(self._ends, (ended, job.request.job))

    def end_pool(self, job: SimulatedJob, now: float) -> None:
        """Give back the machine that an ended job has left warm."""
        self._pass(now)
        self._pools.end(job, now)

    # What is there

    def pools(self, now: float) -> int:
        """How many machines are kept warm."""
        self._pass(now)
        return sum(job.has_pool(now) for job in self.jobs.values())

    def running(self, now: float) -> int:
        """How many jobs hold a machine, or wait for one."""
        return sum(now < job.ends_at for job in self.jobs.values())

    def bill(self, now: float) -> Spend:
        """What the ended jobs, and what was kept behind them, cost until now."""
        self._pass(now)
        ended = (job for job in self.jobs.values() if now >= job.ends_at)
        return sum((job.spend(now) for job in ended), Spend())

    def idle(self, now: float) -> Spend:
        """The part of it that waiting machines cost."""
        self._pass(now)
        return sum((job.terms.of(job.idle(now)) for job in self.jobs.values()), Spend())

    # Quotas and the passing of time

    def _has_room(self, terms: Terms, *, reuses: bool) -> bool:
        held = self._held.get((terms.machine, terms.spot), 0)
        if terms.spot:
            return held + terms.instances <= self.assumptions.spot_quota
        waiting = self._pools.instances(terms.machine)
        return held + waiting + (0 if reuses else terms.instances) <= self.assumptions.training_quota

    def _pass(self, now: float) -> None:
        """Let go the machines of jobs that have ended, into the pools where they are kept."""
        while self._ends and self._ends[0][0] <= now:
            at, name = heappop(self._ends)
            job = self.jobs[name]
            if job.ends_at == at:  # else it was stopped, and this is how it would have ended
                self._held[job.terms.machine, job.terms.spot] -= job.terms.instances
                self._pools.ended(job)
        self._pools.expire(now)
