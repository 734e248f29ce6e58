"""What the user agreed to pay for."""

from __future__ import annotations

from dataclasses import dataclass

#: SageMaker's default MaxRuntimeInSeconds (CreateTrainingJob API reference, StoppingCondition).
DEFAULT_TRIAL_TIMEOUT = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Whichever is reached first ends the experiment; finished results are always kept.

    Times are seconds. ``timeout`` is wall-clock time since the experiment was created.
    """

    max_trials: int
    max_concurrent_trials: int = 1
    timeout: float | None = None
    #: Longest run time of one trial, over all its attempts.
    trial_timeout: float = DEFAULT_TRIAL_TIMEOUT
    #: The experiment ends when this many trials have failed.
    max_failures: int = 3
