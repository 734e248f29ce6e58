"""When a rule looks at a trial, and what it sees of its curve.

Rule: an interval is one unit of the objective's resource, which for a script that reports none is one value
of the objective. So a trial is compared at interval N with what others had at interval N, and an epoch that
is repeated after a restart, or missing from the log, shifts nothing. Azure ML counts reports, the first as
number 1, whatever the script calls it: of a script that counts from epoch 0, epoch 0 is the first interval
and epoch 4 the fifth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Annotated, TypeAlias

from annotated_types import Ge

from trialjob.model.metric import Objective
from trialjob.orchestrator.core.rung import as_written
from trialjob.orchestrator.core.search import BaseRule

#: Resource and value of each report that went further than all before it.
Curve: TypeAlias = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalRule(BaseRule):
    """A rule that looks at every multiple of ``evaluation_interval`` from ``delay_evaluation`` on.

    As Azure ML has it:
    https://learn.microsoft.com/azure/machine-learning/how-to-tune-hyperparameters#specify-early-termination-policy
    """

    #: A trial is looked at whenever it has got so much further, in units of the objective's resource.
    evaluation_interval: Annotated[int, Ge(1)] = 1
    #: No trial is stopped before it, in the same units.
    delay_evaluation: Annotated[int, Ge(0)] = 0

    def level(self, curve: Curve, place: int) -> float:
        """The resource of the last interval that this point of ``curve`` has reached; below its start, none.

        A rung is told by its resource and not by its number: where the first line of a log is lost, the
        others are compared as ever.
        """
        start = 1 if curve[0][0] == 0 else 0  # the first report is the first interval, also at 0
        whole = math.floor(as_written(curve[place][0] + start) / self.evaluation_interval)
        return float(whole * self.evaluation_interval - start)

    def reached(self, curve: Curve, place: int = -1) -> float | None:
        """The level that is reached with this point of ``curve`` and was not with the one before."""
        start = 1 if curve[0][0] == 0 else 0
        place %= len(curve)
        level = self.level(curve, place)
        before = self.level(curve, place - 1) if place else -start
        return level if level > max(-start, before) and level + start >= self.delay_evaluation else None

    def at(self, curve: Curve, level: float) -> Curve | None:
        """``curve`` up to the point that reached ``level``; None when no point did."""
        for place in range(len(curve)):
            if self.level(curve, place) == level:
                return curve[: place + 1]
        return None


def best(curve: Curve, objective: Objective) -> float:
    """The best value of a curve, as a key where more is better."""
    return max(objective.key(value) for _, value in curve)


def running_averages(curve: Curve, objective: Objective) -> list[float]:
    """The mean of all values up to each point, as keys; -inf from the first NaN or worst infinity on."""
    keys = [objective.key(value) for _, value in curve]
    averages = []
    for count, (total, low, high) in enumerate(
        zip(accumulate(keys), accumulate(keys, min), accumulate(keys, max), strict=True), start=1
    ):
        # Kept between the least and the greatest, which a sum may leave by rounding or overflow.
        averages.append(-math.inf if low == -math.inf else min(high, max(low, total / count)))
    return averages
