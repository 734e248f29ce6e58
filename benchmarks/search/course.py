"""What a trial's job does in virtual time, and what a whole run of trials has shown and cost.

Every loop, ours or another library's, is given the same jobs: a start-up delay as of a managed service, a
function of seed and trial; then an epoch after the other with the loss of the table; and twenty seconds
between a stop and the end of the job, during which the worker is not free.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from benchmarks.search.tables import EPOCHS, Searched

from trialjob.backends.assumptions import Assumptions
from trialjob.model.space import Config

#: Seconds until a machine trains: as published for managed training without a warm pool.
START_UP = (120.0, 180.0)
STOP_DELAY = 20.0
#: Seconds between two looks at the jobs.
POLL = 10.0
#: What a run goes on to: so many trials have ended, and so many epochs are paid (as of 24 whole trials).
TRIALS = 64
BUDGET = 24 * EPOCHS

EPOCH_MARKS = tuple(EPOCHS * n for n in range(1, TRIALS + 1))
MINUTE_MARKS = tuple(range(10, 310, 10))
TRIAL_MARKS = (16, 32, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How many trials run at a time, on what, and when a run has been seen.

    ``enough`` is told the trials that ended, and how many epochs were reported.
    """

    workers: int = 8
    enough: Callable[[Collection[int], int], bool]
    #: What spot machines are like; None is on demand.
    spot: Assumptions | None = None


def start_delay(seed: int, trial: int, attempt: int = 1) -> float:
    return random.Random(f"{seed}/{trial}/{attempt}").uniform(*START_UP)  # noqa: S311 - no secret


@dataclass(slots=True)
class Trace:
    """Everything that was reported, as (seconds, trial, loss)."""

    table: Searched
    points: list[tuple[float, int, float]] = field(default_factory=list)
    configs: dict[int, Config] = field(default_factory=dict)

    def marks(self) -> dict[str, list[float]]:
        """Regret at each mark, None where the run did not come so far; and what the first trials cost."""
        self.points.sort()
        best, bests = math.inf, []
        for _, _, loss in self.points:
            best = min(best, loss)
            bests.append(self.table.regret(best))
        times = [at for at, _, _ in self.points]
        return {
            "epochs": [bests[mark - 1] for mark in EPOCH_MARKS if mark <= len(bests)],
            "minutes": [
                _last(bests, times, 60.0 * mark)
                for mark in MINUTE_MARKS
                if times and 60.0 * mark <= times[-1]
            ],
            "trials": [self._of_first(mark) for mark in TRIAL_MARKS],
            "paid": [self._paid(mark) for mark in TRIAL_MARKS],
            "hours": [self._hours(mark) for mark in TRIAL_MARKS],
        }

    def _of_first(self, count: int) -> float:
        return self.table.regret(
            min((loss for _, trial, loss in self.points if trial <= count), default=10.0)
        )

    def _paid(self, count: int) -> float:
        return float(sum(trial <= count for _, trial, _ in self.points))

    def _hours(self, count: int) -> float:
        return max((at for at, trial, _ in self.points if trial <= count), default=0.0) / 3600


def _last(values: Sequence[float], times: Sequence[float], until: float) -> float:
    found = math.nan
    for value, at in zip(values, times, strict=True):
        if at > until:
            break
        found = value
    return found


def _enough(ended: Collection[int], epochs: int) -> bool:
    """A rule that pauses trials ends few of them: such a run goes on to twice what 64 whole trials cost."""
    if epochs < BUDGET:
        return False
    return epochs >= 2 * TRIALS * EPOCHS or sum(trial <= TRIALS for trial in ended) >= TRIALS


#: Eight workers, and all marks of ``Trace``.
USUAL = Setting(enough=_enough)
