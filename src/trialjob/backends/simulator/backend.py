"""The simulated service behind the backend port."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush

from trialjob.backends.limiter import Limiter
from trialjob.backends.simulator.job import SimulatedJob
from trialjob.backends.simulator.service import SimulatedService
from trialjob.errors import BackendBusy, BackendError
from trialjob.model.ids import JobName
from trialjob.model.job import (
    Bill,
    FailureKind,
    JobEnd,
    JobRequest,
    JobSeen,
    JobState,
    LogLine,
    Outcome,
    Watch,
)
from trialjob.orchestrator.ports import Clock, Postponed, Rejected, Submitted

_NEVER_STARTED = JobEnd(outcome=Outcome.STOPPED, message="never started", seconds=0.0, pool_seconds=0.0)
_GONE = JobEnd(outcome=Outcome.FAILED, failure=FailureKind.LOST, message="the service does not know it")
#: After a quota was found used up, no launch is tried for so many seconds.
_QUOTA_PAUSE = 30.0


class SimulatorBackend:
    """One orchestrator's connection to the service."""

    def __init__(self, service: SimulatedService, clock: Clock, turns: Limiter | None = None) -> None:
        """``turns`` grants the operations ``create``, ``stop``, ``update`` and ``describe``."""
        self._service = service
        self._clock = clock
        self._turns = turns or Limiter(clock, {})
        self._full_until = -math.inf
        assume = service.assumptions
        #: Lines are waited for after an end as the backend of SageMaker does it, and a slot for nothing.
        self._settle = max(assume.log_settle, 1.5 * assume.log_delay, assume.list_delay)
        #: What the watcher of each job was told last, and until when that is all there is to tell.
        self._heard: dict[JobName, tuple[str, float]] = {}
        self._over: set[JobName] = set()
        self._described: set[JobName] = set()
        #: When what is kept behind ended jobs will be known to be over, if no job takes it before.
        self._bills: dict[JobName, float] = {}
        #: The same times in order, for ``quiet_until``; some of them are out of date.
        self._news: list[tuple[float, JobName]] = []

    def submit(self, request: JobRequest) -> Submitted | Postponed | Rejected:
        if self._clock.now() < self._full_until:
            return Postponed(reason="the quota is used up")
        known = self._service.jobs.get(request.job)
        if known is not None and known.request.digest != request.digest:
            raise BackendError(
                f"a job named {request.job} exists and is not this experiment's; run under another --name"
            )
        self._turn("create")
        if known is not None:
            return Submitted(adopted=True)
        if request.job not in self._service.refused:
            job = self._service.create(request, self._clock.now())
            if job is None:
                self._full_until = self._clock.now() + _QUOTA_PAUSE
                return Postponed(reason="the quota is used up")
            self._heard.pop(request.job, None)
            heappush(self._news, (self._clock.now(), request.job))
        return Submitted()

    def stop(self, job: JobName, digest: str = "") -> bool:
        self._turn("stop")
        known = self._service.jobs.get(job)
        if known is not None and digest and known.request.digest != digest:
            return False
        if known is None:
            self._service.refused.add(job)
            return False
        self._service.stop(known, self._clock.now())
        self._heard.pop(job, None)
        heappush(self._news, (self._clock.now(), job))
        return True

    def observe(self, watched: Sequence[Watch]) -> Sequence[JobSeen]:
        return list(self._looked(watched))

    def log(self, job: JobName, cursor: str = "") -> Sequence[LogLine]:
        known = self._service.jobs.get(job)
        return _lines(known, cursor, self._clock.now()) if known else ()

    def end_pools(self, jobs: Sequence[JobName]) -> bool:
        now = self._clock.now()
        kept = [job for job in jobs if (known := self._service.jobs.get(job)) and known.has_pool(now)]
        # The newest have the longest to wait, and are the least likely to have been taken over.
        for job in reversed(kept):
            self._turn("update")
            self._service.end_pool(self._service.jobs[job], now)
            self._bills[job] = now
        return True

    def close(self) -> None:
        """Nothing is held."""

    def quiet_until(self) -> float:
        """Until when there is nothing new to be seen of any job that was looked at; inf for ever."""
        now = self._clock.now()
        while self._news:
            at, name = self._news[0]
            heard = self._heard.get(name)
            if name not in self._over and (heard is None or heard[1] == at):
                return max(now, min([at, *self._bills.values()]))
            heappop(self._news)  # it has been looked at since
        return max(now, min(self._bills.values(), default=math.inf))

    def _turn(self, operation: str) -> None:
        if not self._turns.take(operation):
            wait = max(self._turns.wait(operation), 0.01)
            raise BackendBusy(f"waiting for a turn to {operation}", wait)

    def _looked(self, watched: Sequence[Watch]) -> Iterator[JobSeen]:
        now = self._clock.now()
        for watch in watched:
            if watch.bill:
                yield from self._billed(watch.job, now)
                continue
            cursor, quiet_until = self._heard.get(watch.job, ("", -math.inf))
            if now < quiet_until and cursor == watch.cursor and not watch.listens:
                continue  # what there is to say has been said
            job = self._service.jobs.get(watch.job)
            if job is None:
                end = _NEVER_STARTED if watch.job in self._service.refused else _GONE
                yield JobSeen(job=watch.job, state=JobState.STOPPING, end=end)
            else:
                yield self._seen(watch, job, now)

    def _billed(self, name: JobName, now: float) -> Iterator[JobSeen]:
        job = self._service.jobs.get(name)
        if job is not None:
            bill = Bill(seconds=job.billable(), pool_seconds=job.pool_seconds(now))
            if bill.pool_seconds is None:
                self._bills[name] = job.pool_until
            else:
                self._bills.pop(name, None)
            yield JobSeen(job=name, state=JobState.STOPPING, bill=bill)

    def _seen(self, watch: Watch, job: SimulatedJob, now: float) -> JobSeen:
        assume = self._service.assumptions
        lines = _lines(job, watch.cursor, now - assume.log_delay)
        over = end = None
        if now >= job.ends_at + assume.list_delay and (
            watch.job in self._described or self._turns.take("describe")
        ):
            self._described.add(watch.job)
            over = job.end(now)
        if over is not None and now >= self._drained_at(job):
            end = over
            self._heard.pop(watch.job, None)
            self._over.add(watch.job)
        else:
            news = self._news_after(job, now)
            self._heard[watch.job] = (lines[-1].cursor if lines else watch.cursor, news)
            heappush(self._news, (news, watch.job))
        return JobSeen(
            job=watch.job,
            state=job.state(now - assume.list_delay),
            lines=lines,
            end=end,
            over=over,
            behind=assume.log_delay,
        )

    def _drained_at(self, job: SimulatedJob) -> float:
        """When every line of its log can have been read."""
        return job.ends_at + self._settle

    def _news_after(self, job: SimulatedJob, now: float) -> float:
        assume = self._service.assumptions
        lines, states = (
            job.changes_after(now - delay) + delay for delay in (assume.log_delay, assume.list_delay)
        )
        drained, over = self._drained_at(job), job.ends_at + assume.list_delay
        if now >= drained or (now >= over and job.request.job not in self._described):
            return now  # it waits for the turn of a call
        return min(lines, states, drained if now >= over else over)


def _lines(job: SimulatedJob, cursor: str, now: float) -> tuple[LogLine, ...]:
    """The lines behind the cursor, which is the number of lines before it."""
    first = int(cursor or 0)
    return tuple(
        LogLine(text=text, cursor=str(number), at=at)
        for number, (at, text) in enumerate(job.log(first, now), start=first + 1)
    )
