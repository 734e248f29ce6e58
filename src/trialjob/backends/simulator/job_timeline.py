"""What becomes of a job, by itself: its waits, its launches and its end, told when it is submitted.

Rule: the dice of a job depend on the seed and its name alone, so that another order of calls throws them the
same.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

from trialjob.backends.assumptions import Assumptions
from trialjob.backends.simulator.job import Launch, SimulatedJob
from trialjob.backends.simulator.job_script import JobScript
from trialjob.model.job import FailureKind, JobRequest, Outcome
from trialjob.model.money import Terms


@dataclass(slots=True, kw_only=True)
class JobTimeline:
    """Tells the story of one job."""

    request: JobRequest
    course: JobScript
    terms: Terms
    #: Seconds that it may take in all, waiting included.
    max_wait: float
    assumptions: Assumptions
    seed: int
    #: It is given a machine that another job has left warm.
    warm: bool
    _launches: list[Launch] = field(default_factory=list)

    def tell(self, now: float) -> SimulatedJob:
        """The job, submitted ``now``."""
        dice = random.Random(f"{self.seed}/{self.request.job}")  # noqa: S311 - repeatable on purpose
        deadline, at, done, left = now + self.max_wait, now, 0.0, self.request.max_runtime
        while True:
            warm = self.warm and not self._launches
            wait = self._wait(dice, warm=warm)
            if wait is None or at + wait >= deadline:
                return self._job(now, ended=min(deadline, at + self.assumptions.capacity_wait), lost=True)
            began = at + wait
            code_began = began + self._setup(dice, warm=warm)
            over = code_began + self.course.runs_for - done
            expired = min(began + left, deadline)
            taken = code_began + self._interruption(dice)
            if taken >= min(over, expired):
                break
            self._launch(began, code_began, done, taken, taken)
            left -= taken - began
            done = self._saved(self._launches[-1])
            at = taken + self.assumptions.restart
        code_ended = min(over, expired + leaving(self.assumptions, self.course)) if over > expired else over
        ended = code_ended + self.assumptions.upload
        self._launch(began, code_began, done, code_ended, ended)
        return self._job(now, ended=ended, lost=over > expired == deadline, expired=over > expired)

    def _launch(self, began: float, code_began: float, done: float, code_ended: float, ended: float) -> None:
        self._launches.append(
            Launch(began=began, code_began=code_began, done=done, code_ended=code_ended, ended=ended)
        )

    def _wait(self, dice: random.Random, *, warm: bool) -> float | None:
        """Seconds until there is a machine; None when there is none to be had."""
        assume = self.assumptions
        if warm:
            return assume.warm_start
        start = assume.cold_start * varied(dice, assume.start_spread) + self.course.start_delay
        if self.terms.spot:
            return start + (dice.expovariate(1 / assume.spot_wait) if assume.spot_wait else 0.0)
        if assume.no_capacity and dice.random() < assume.no_capacity:
            # Half of them are lucky before the service gives up.
            wait = 2 * assume.capacity_wait * dice.random()
            return None if wait >= assume.capacity_wait else start + wait
        return start

    def _setup(self, dice: random.Random, *, warm: bool) -> float:
        assume = self.assumptions
        return assume.warm_setup if warm else assume.setup * varied(dice, assume.start_spread)

    def _interruption(self, dice: random.Random) -> float:
        """Seconds of running until spot takes the machine away."""
        if not self.terms.spot:
            return math.inf
        planned = self.course.interruptions
        if planned is not None:
            return planned[len(self._launches)] if len(self._launches) < len(planned) else math.inf
        rate = self.assumptions.interruptions_per_hour * self.terms.instances / 3600
        return dice.expovariate(rate) if rate else math.inf

    def _saved(self, launch: Launch) -> float:
        """From where in its course an interrupted job goes on: what its last line told is saved."""
        if not self.course.checkpoints:
            return 0.0
        printed = launch.printed(self.course.lines, launch.ended)
        return max(launch.done, self.course.lines[printed - 1][0]) if printed else launch.done

    def _job(self, now: float, *, ended: float, lost: bool, expired: bool = False) -> SimulatedJob:
        outcome, failure = Outcome.COMPLETED, self.course.failure
        if lost:
            failure = FailureKind.SPOT if self.terms.spot else FailureKind.CAPACITY
        elif expired:
            outcome, failure = Outcome.TIMED_OUT, None
        return SimulatedJob(
            request=self.request,
            course=self.course,
            terms=self.terms,
            submitted_at=now,
            launches=self._launches,
            ends_at=ended,
            outcome=outcome if failure is None else Outcome.FAILED,
            failure=failure,
            discount=self.assumptions.spot_discount if self.terms.spot else 0.0,
            reused_pool=self.warm,
        )


def leaving(assumptions: Assumptions, course: JobScript) -> float:
    """Seconds from SIGTERM until the code has left."""
    return assumptions.stop_grace if course.ignores_sigterm else assumptions.stop


def varied(dice: random.Random, spread: float) -> float:
    """A factor around 1, log-normal."""
    return math.exp(dice.gauss(0.0, math.log(spread))) if spread > 1 else 1.0
