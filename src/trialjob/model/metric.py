"""Metrics: what is optimised, how it is found in a log, and what was read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar


class Mode(Enum):
    """Which way is better."""

    MIN = "min"
    MAX = "max"


class NanPolicy(Enum):
    """What a NaN of the objective means."""

    #: It is worse than every number.
    WORST = "worst"
    #: The trial has failed.
    FAIL = "fail"
    #: It is no value at all.
    IGNORE = "ignore"


class Score(Enum):
    """Which of a trial's values is its score."""

    LAST = "last"
    BEST = "best"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricGoal:
    """A metric, and which way it is to go."""

    metric: str
    mode: Mode

    def better(self, a: float, b: float) -> bool:
        """True when ``a`` is strictly better than ``b``; NaN is worse than every number."""
        return self.key(a) > self.key(b)

    def beats(self, a: float, b: float) -> bool:
        """As ``better``, but nothing infinite is better than a finite number: by this a target is reached."""
        if math.isfinite(a) != math.isfinite(b):
            return math.isfinite(a)
        return self.better(a, b)

    def key(self, value: float) -> float:
        """``value`` on a scale where more is better and NaN is the worst of all."""
        if math.isnan(value):
            return -math.inf
        return value if self.mode is Mode.MAX else -value

    def value_of(self, key: float) -> float:
        """The value whose key is ``key``; NaN has none of its own and comes back as the worst number."""
        return key if self.mode is Mode.MAX else -key


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective(MetricGoal):
    """What the experiment optimises. A trial's score, its pruning and every limit are by ``metric`` alone."""

    #: The metric that counts progress (epochs, steps). A value of the objective without it counts
    #: as one more than the last.
    resource: str = "epoch"
    score: Score = Score.BEST
    nan: NanPolicy = NanPolicy.WORST
    #: What is to be good beside ``metric``; samplers and the Pareto front weigh all of them.
    others: tuple[MetricGoal, ...] = ()

    @property
    def goals(self) -> tuple[MetricGoal, ...]:
        """All that is to be good, itself first."""
        return self, *self.others


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricDefinition:
    """A metric to be found in the log by a regular expression, as SageMaker takes them.

    The first group of ``regex`` is the number. ``{number}`` has already been replaced.
    """

    name: str
    regex: str


class ResourceOrder(Enum):
    """Where in a log the resource of a value stands that regular expressions have found."""

    LINE = "line"
    #: In a line before that with the value.
    BEFORE = "before"
    #: In a line behind it, as of a script that prints the value first and the epoch then.
    BEHIND = "behind"
    #: Nowhere: it is counted.
    COUNTED = "counted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Metric values of one trial at one resource level."""

    #: For the journal's codec: strict JSON has no word for numbers that are not finite.
    __pydantic_config__: ClassVar = {"ser_json_inf_nan": "strings", "extra": "forbid"}

    #: The resource level, in units of the objective's resource metric.
    resource: float
    #: Every metric that was reported, the objective's included when it was.
    metrics: Mapping[str, float]
    #: When it was read, in seconds since the epoch.
    at: float
    #: It was found in the log by regular expressions, not sent by the in-job reporter.
    scraped: bool = False
    #: Of one that was found: how its resource was. None in journals of before 0.2.
    order: ResourceOrder | None = None

    def value(self, objective: Objective) -> float | None:
        """The objective's value, or None when this report does not have it."""
        value = self.metrics.get(objective.metric)
        if value is not None and math.isnan(value) and objective.nan is NanPolicy.IGNORE:
            return None
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialScore:
    """What a trial's reports so far amount to."""

    #: The objective's value that counts; None before the first.
    score: float | None = None
    #: The value of each of the objective's ``others``, as reported together with ``score``, so that all are
    #: of one model; where that report had none, the newest one of the trial. None before the first.
    others: tuple[float | None, ...] = ()
    #: Which of ``others`` were reported together with ``score``.
    together: tuple[bool, ...] = ()

    def after(self, report: Report, objective: Objective) -> TrialScore:
        """What they amount to with one more."""
        value = report.value(objective)
        counts = value is not None and (
            self.score is None or objective.score is Score.LAST or objective.better(value, self.score)
        )
        score = value if counts else self.score
        if not objective.others:
            return TrialScore(score=score) if counts else self
        others: list[float | None] = []
        together: list[bool] = []
        for place, goal in enumerate(objective.others):
            new = report.metrics.get(goal.metric)
            old = self.others[place] if self.others else None
            fixed = not counts and bool(self.together) and self.together[place]
            others.append(old if fixed or new is None else new)
            together.append(fixed or (counts and new is not None))
        return TrialScore(score=score, others=tuple(others), together=tuple(together))
