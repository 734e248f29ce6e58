"""The simulated service: it knows every job ever submitted and what each does at any time.

Rule: a job's whole course is settled when it is submitted, and a stop only cuts it short. So looking at it
costs nothing while nothing happens, and the order of looks changes nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trialjob.model.ids import JobName
from trialjob.model.job import FailureKind, JobEnd, JobRequest, JobState, Outcome

#: Lines of the log that a failure shows.
_TAIL = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What a job does by itself, in seconds since its training began."""

    #: (when, text) of each line it prints, in order.
    lines: Sequence[tuple[float, str]] = ()
    #: When it ends.
    runs_for: float
    #: What it fails of, or None when it ends well.
    failure: FailureKind | None = None
    exit_code: int = 0
    #: Seconds between submission and the beginning of training on a machine that is not warm.
    start_delay: float = 0.0
    #: It goes on after SIGTERM and has to be killed.
    ignores_sigterm: bool = False


@dataclass(slots=True)
class SimulatedJob:
    """A job of the service, and how it ends as far as is known at present."""

    request: JobRequest
    course: Course
    submitted_at: float
    ends_at: float
    outcome: Outcome
    #: When training begins.
    begins_at: float
    #: Seconds its machine is kept warm after its end, unless somebody takes it or gives it back.
    keep_alive: float = 0.0
    #: It began on a machine that another job had left warm.
    reused_pool: bool = False
    #: Its own machine was taken by a later job, or given back.
    pool_gone: bool = False
    stop_asked: bool = False

    @property
    def pool_until(self) -> float:
        """Until when its machine is kept warm, if nobody takes it."""
        return self.ends_at + self.keep_alive

    def keeps_pool(self, now: float) -> bool:
        """True while its machine waits for another job."""
        return not self.pool_gone and self.ends_at <= now < self.pool_until

    def state(self, now: float) -> JobState:
        """Where it stands; JobState has no word for an ended job, see ``end``."""
        if self.stop_asked:
            return JobState.STOPPING
        return JobState.TRAINING if now >= self.begins_at else JobState.STARTING

    def printed(self, now: float) -> int:
        """How many lines it has printed."""
        until = min(now, self.ends_at) - self.begins_at
        return bisect_right(self.course.lines, until, key=lambda line: line[0])

    def end(self, now: float) -> JobEnd | None:
        """How it ended, or None while it runs."""
        if now < self.ends_at:
            return None
        failed = self.outcome is Outcome.FAILED
        return JobEnd(
            outcome=self.outcome,
            failure=self.course.failure if failed else None,
            exit_code=self.course.exit_code if failed or self.outcome is Outcome.COMPLETED else None,
            message=f"exit status {self.course.exit_code}" if failed else "",
            tail="\n".join(text for _, text in self.course.lines[: self.printed(now)][-_TAIL:])
            if failed
            else "",
            started_at=self.begins_at,
            ended_at=self.ends_at,
            seconds=max(0.0, self.ends_at - self.begins_at),
            dollars=0.0,
            pool_until=self.pool_until if self.keep_alive else None,
            reused_pool=self.reused_pool,
        )


class SimulatedService:
    """Outlives every orchestrator that talks to it."""

    def __init__(
        self,
        course: Callable[[JobRequest], Course],
        *,
        stop_delay: float = 0.0,
        stop_grace: float = 120.0,
        keep_alive: float = 0.0,
        warm_delay: float = 0.0,
    ) -> None:
        self._course = course
        self._keep_alive = keep_alive
        self._warm_delay = warm_delay
        self._stop_delay = stop_delay
        self._stop_grace = stop_grace
        self.jobs: dict[JobName, SimulatedJob] = {}
        #: Names that were stopped before they had ever been started, and so never will be.
        self.refused: set[JobName] = set()

    def create(self, request: JobRequest, now: float) -> SimulatedJob:
        """Accept a job."""
        course = self._course(request)
        kept = (job for job in self.jobs.values() if job.keeps_pool(now))
        pool = next(kept, None) if self._keep_alive else None
        if pool is not None:
            pool.pool_gone = True
        begins_at = now + (course.start_delay if pool is None else self._warm_delay)
        outcome, ends_at = Outcome.COMPLETED, begins_at + course.runs_for
        if course.failure is not None:
            outcome = Outcome.FAILED
        if course.runs_for > request.max_runtime:
            outcome, ends_at = Outcome.TIMED_OUT, begins_at + request.max_runtime
        job = SimulatedJob(
            request=request,
            course=course,
            submitted_at=now,
            ends_at=ends_at,
            outcome=outcome,
            begins_at=begins_at,
            keep_alive=self._keep_alive,
            reused_pool=pool is not None,
        )
        self.jobs[request.job] = job
        return job

    def stop(self, job: SimulatedJob, now: float) -> None:
        """Cut the job short, unless it ends by itself before that."""
        if job.stop_asked or now >= job.ends_at:
            return
        job.stop_asked = True
        grace = self._stop_grace if job.course.ignores_sigterm else self._stop_delay
        if now + grace < job.ends_at:
            job.ends_at, job.outcome = now + grace, Outcome.STOPPED

    def pools(self, now: float) -> int:
        """How many machines are kept warm."""
        return sum(job.keeps_pool(now) for job in self.jobs.values())

    def running(self, now: float) -> int:
        """How many jobs hold a machine."""
        return sum(1 for job in self.jobs.values() if now < job.ends_at)
