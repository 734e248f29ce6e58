"""The simulated service behind the backend port."""

from __future__ import annotations

from collections.abc import Sequence

from trialjob.backends.simulator.service import SimulatedJob, SimulatedService
from trialjob.errors import BackendError
from trialjob.model.ids import JobName
from trialjob.model.job import (
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

_NEVER_STARTED = JobEnd(outcome=Outcome.STOPPED, message="never started", seconds=0.0, dollars=0.0)
_GONE = JobEnd(outcome=Outcome.FAILED, failure=FailureKind.LOST, message="the service does not know it")


class SimulatorBackend:
    """One orchestrator's connection to the service."""

    def __init__(self, service: SimulatedService, clock: Clock) -> None:
        self._service = service
        self._clock = clock

    def submit(self, request: JobRequest) -> Submitted | Postponed | Rejected:
        known = self._service.jobs.get(request.job)
        if known is None:
            if request.job not in self._service.refused:
                self._service.create(request, self._clock.now())
            return Submitted()
        if known.request.digest != request.digest:
            raise BackendError(
                f"a job named {request.job} exists and is not this experiment's; run under another --name"
            )
        return Submitted(adopted=True)

    def stop(self, job: JobName) -> bool:
        known = self._service.jobs.get(job)
        if known is None:
            self._service.refused.add(job)
            return False
        self._service.stop(known, self._clock.now())
        return True

    def observe(self, watched: Sequence[Watch]) -> Sequence[JobSeen]:
        return [self._seen(watch) for watch in watched]

    def log(self, job: JobName, cursor: str = "") -> Sequence[LogLine]:
        known = self._service.jobs.get(job)
        return _lines(known, cursor, self._clock.now()) if known else ()

    def end_pools(self, jobs: Sequence[JobName]) -> bool:
        for job in jobs:
            self._service.jobs[job].pool_gone = True
        return True

    def close(self) -> None:
        """Nothing is held."""

    def _seen(self, watch: Watch) -> JobSeen:
        now = self._clock.now()
        job = self._service.jobs.get(watch.job)
        if job is None:
            end = _NEVER_STARTED if watch.job in self._service.refused else _GONE
            return JobSeen(job=watch.job, state=JobState.STOPPING, end=end)
        return JobSeen(
            job=watch.job, state=job.state(now), lines=_lines(job, watch.cursor, now), end=job.end(now)
        )


def _lines(job: SimulatedJob, cursor: str, now: float) -> tuple[LogLine, ...]:
    """The lines behind the cursor, which is the number of lines before it."""
    first, last = int(cursor or 0), job.printed(now)
    return tuple(
        LogLine(text=text, cursor=str(first + place), at=job.begins_at + when)
        for place, (when, text) in enumerate(job.course.lines[first:last], start=1)
    )
