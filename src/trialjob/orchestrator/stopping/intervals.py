"""When a rule looks at a trial, and what it sees of its curve.

Rule: an interval is one unit of the objective's resource, which for a script that reports none is one report.
So a trial is compared at interval N with what others had at interval N, and an epoch that is repeated after a
restart, or missing from the log, shifts nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Annotated, TypeAlias

from annotated_types import Ge

from trialjob.model.metric import Objective
from trialjob.orchestrator.core.rule import BaseRule

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

    def floor(self, resource: float) -> float:
        """The last multiple of ``evaluation_interval`` that ``resource`` has reached."""
        return float(math.floor(resource / self.evaluation_interval) * self.evaluation_interval)

    def reached(self, curve: Curve) -> float | None:
        """The level that is reached with the last point of ``curve`` and was not with the one before."""
        level = self.floor(curve[-1][0])
        before = self.floor(curve[-2][0]) if len(curve) > 1 else 0.0
        return level if level > max(0.0, before) and level >= self.delay_evaluation else None

    def at(self, curve: Curve, level: float) -> Curve | None:
        """``curve`` up to the point that reached ``level``; None when no point did."""
        for place in range(len(curve)):
            if self.floor(curve[place][0]) == level:
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
