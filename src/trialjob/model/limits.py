"""What the user agreed to pay for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

#: SageMaker's default MaxRuntimeInSeconds (CreateTrainingJob API reference, StoppingCondition).
DEFAULT_TRIAL_TIMEOUT = 86_400.0

#: Seconds; ``auto`` follows the pace that trials have shown (``core.stall``), and ``none`` is never.
StallTimeout: TypeAlias = float | Literal["auto", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Whichever is reached first ends the experiment; finished results are always kept.

    ``Limits(max_trials=32, max_concurrent_trials=8, max_cost=25.0)``. Times are seconds.
    """

    #: So many trials are started, and not one more.
    max_trials: int
    #: Trials that run at the same time.
    max_concurrent_trials: int = 1
    #: Wall-clock time since the experiment was created; what runs then is cancelled.
    timeout: float | None = None
    #: Longest run time of one trial, over all its attempts.
    trial_timeout: float = DEFAULT_TRIAL_TIMEOUT
    #: A job that has been silent for so long is stopped; None, as in journals of before 0.2, is never.
    #: In a spec and in Python one that is left out is ``auto``.
    stall_timeout: StallTimeout | None = None
    #: The experiment ends when this many trials have failed.
    max_failures: int = 3
    #: The experiment ends when a trial reports a value at least as good as this.
    target: float | None = None
    #: The experiment ends when so many trials in a row have ended without a score better than all before.
    max_trials_without_improvement: int | None = None
    #: No trial is begun once a dollar is expected to better the objective by less than this.
    min_gain_per_dollar: float | None = None
    #: The experiment ends when a job has logged for so long and no trial has a value of the objective yet.
    #: Left out it is 4 hours with a stopping rule, and else ``none``.
    metric_deadline: float | Literal["none"] | None = None
    #: The first trial runs alone until it has a value of the objective.
    canary: bool = False
    #: Dollars, and hours of single instances, that all jobs together may cost at the very most.
    max_cost: float | None = None
    max_instance_hours: float | None = None
