"""One job of the simulated service: its whole story, settled when it is submitted.

Rule: a stop only cuts the story short. So looking at a job costs nothing while nothing happens, and the order
of looks changes nothing.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter

from trialjob.backends.simulator.job_script import JobScript
from trialjob.model.job import FailureKind, JobEnd, JobRequest, JobState, Outcome
from trialjob.model.money import Spend, Terms

#: Lines of the log that a failure shows.
_TAIL = 20
#: What the service says of what is not the code's fault.
_REASONS = {
    FailureKind.CAPACITY: "CapacityError: no machine could be had",
    FailureKind.SPOT: "MaxWaitTimeExceeded: no machine could be had for long enough",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One stay on a machine. Times are seconds since the epoch."""

    #: The machine is there, and billed from now on.
    began: float
    #: The code begins, at ``done`` seconds of the job's course.
    code_began: float
    done: float
    code_ended: float
    #: The machine is given back, or taken.
    ended: float

    def prints(self, line: tuple[float, str]) -> float:
        """When it prints a line of the job's course, unless its code ends before."""
        # Every question about the log is answered by this sum: another one may round to another side of it.
        return self.code_began + line[0] - self.done

    def printed(self, lines: Sequence[tuple[float, str]], now: float) -> int:
        """How many of the course's ``lines`` it has come to by ``now``."""
        return bisect_right(lines, min(now, self.code_ended), key=self.prints)

    def cut(self, code_ended: float, ended: float) -> Launch:
        """This launch, over earlier."""
        return replace(self, code_ended=min(self.code_ended, code_ended), ended=min(self.ended, ended))


@dataclass(slots=True, kw_only=True)
class SimulatedJob:
    """A job of the service, and how it ends as far as is known at present."""

    request: JobRequest
    course: JobScript
    terms: Terms
    submitted_at: float
    launches: list[Launch]
    ends_at: float
    outcome: Outcome
    #: What it fails of.
    failure: FailureKind | None = None
    #: Billable seconds are so much fewer than seconds on the machine.
    discount: float = 0.0
    #: It began on a machine that another job had left warm.
    reused_pool: bool = False
    #: The service will keep its machine for the next job.
    keeps_pool: bool = False
    #: Its own machine was taken by a later job, or given back, at this time.
    pool_ended_at: float | None = None
    stop_asked: bool = False
    #: Index of the first line of each launch.
    _first_lines: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._first_lines = [
            bisect_right(self.course.lines, launch.done, key=itemgetter(0)) if launch.done else 0
            for launch in self.launches
        ]

    @property
    def lost_its_machine(self) -> bool:
        """True when nothing is left to be kept: there was no machine, or it was the service that failed."""
        lost = (FailureKind.CAPACITY, FailureKind.SPOT, FailureKind.INTERNAL, FailureKind.LOST)
        return not self.launches or self.failure in lost

    @property
    def pool_until(self) -> float:
        """Until when its machine is kept warm, if no job takes it."""
        return self.ends_at + self.terms.keep_alive

    def has_pool(self, now: float) -> bool:
        """True while its machine waits for another job."""
        return self.keeps_pool and self.pool_ended_at is None and self.ends_at <= now < self.pool_until

    def idle(self, now: float) -> float:
        """Seconds that its machine has waited for another job until ``now``; they are paid for."""
        if not self.keeps_pool or now < self.ends_at:
            return 0.0
        return min(now, self._pool_over_at) - self.ends_at

    def pool_seconds(self, now: float) -> float | None:
        """Seconds that its machine was kept, once that is over; None until then."""
        return None if self.keeps_pool and now < self._pool_over_at else self.idle(now)

    @property
    def _pool_over_at(self) -> float:
        return self.pool_until if self.pool_ended_at is None else self.pool_ended_at

    def billable(self) -> float:
        """Seconds that are paid for on each of its machines, once it has ended; without its warm pool."""
        return (1.0 - self.discount) * sum(launch.ended - launch.began for launch in self.launches)

    def spend(self, now: float) -> Spend:
        """What it and the machine it left behind cost until ``now``, once it has ended."""
        return self.terms.of(self.billable()) + self.terms.of(self.idle(now))

    def state(self, now: float) -> JobState:
        """Where it stands; JobState has no word for an ended job, see ``end``."""
        if self.stop_asked:
            return JobState.STOPPING
        trains = (
            any(launch.code_began <= now < launch.ended for launch in self.launches) or now >= self.ends_at
        )
        return JobState.TRAINING if trains else JobState.STARTING

    # The log

    def saved(self, now: float) -> float:
        """Seconds of its course that are in its checkpoint: it saves whenever it prints."""
        reached = [self.course.lines[last - 1][0] for _, last in self._printed(now) if last]
        return max(reached, default=0.0)

    def printed(self, now: float) -> int:
        """How many lines it has printed, those that were printed again after an interruption included."""
        return sum(last - first for first, last in self._printed(now))

    def _printed(self, now: float) -> Iterator[tuple[int, int]]:
        """The first line of each launch and the first behind its last, as far as they are printed."""
        for launch, first in zip(self.launches, self._first_lines, strict=True):
            if min(now, launch.code_ended) < launch.code_began:
                return
            yield first, max(first, launch.printed(self.course.lines, now))

    def log(self, first: int, now: float) -> Iterator[tuple[float, str]]:
        """The lines from number ``first`` on that are printed by ``now``, each with its time."""
        skip = first
        for launch, (begin, end) in zip(self.launches, self._printed(now), strict=False):
            for number in range(begin + skip, end):
                line = self.course.lines[number]
                yield launch.prints(line), line[1]
            skip = max(0, skip - (end - begin))

    def changes_after(self, now: float) -> float:
        """When it next prints a line, begins to train, is interrupted, or ends; inf after its end."""
        if now >= self.ends_at:
            return math.inf
        for launch, first in zip(self.launches, self._first_lines, strict=True):
            if now < launch.code_began:
                return min(launch.code_began, launch.ended)
            if now < launch.code_ended:
                place = max(first, launch.printed(self.course.lines, now))
                if place < len(self.course.lines):
                    return min(launch.prints(self.course.lines[place]), launch.code_ended)
                return launch.code_ended
            if now < launch.ended:
                return launch.ended
        return self.ends_at

    # The end

    def cut(self, *, code_ended: float, ended: float) -> None:
        """Stop it earlier than it would have ended by itself."""
        self.launches = [launch.cut(code_ended, ended) for launch in self.launches if launch.began < ended]
        del self._first_lines[len(self.launches) :]
        self.ends_at, self.outcome, self.failure = ended, Outcome.STOPPED, None

    def end(self, now: float) -> JobEnd | None:
        """How it ended, or None while it runs."""
        if now < self.ends_at:
            return None
        failed = self.outcome is Outcome.FAILED
        reason = _REASONS.get(self.failure) if self.failure else None
        by_code = failed and reason is None
        return JobEnd(
            outcome=self.outcome,
            failure=self.failure,
            exit_code=self.course.exit_code if by_code or self.outcome is Outcome.COMPLETED else None,
            message=reason or (f"exit status {self.course.exit_code}" if by_code else ""),
            tail=self._tail() if failed else "",
            started_at=self.launches[0].began if self.launches else None,
            ended_at=self.ends_at,
            seconds=self.billable(),
            instances=self.terms.instances,
            interruptions=max(0, len(self.launches) - 1),
            pool_until=self.pool_until if self.keeps_pool else None,
            reused_pool=self.reused_pool,
            pool_seconds=self.pool_seconds(now),
            machine=self.terms.machine if self.terms.one_of else "",
        )

    def _tail(self) -> str:
        printed = self.printed(self.ends_at)
        return "\n".join(text for _, text in self.log(max(0, printed - _TAIL), self.ends_at))
