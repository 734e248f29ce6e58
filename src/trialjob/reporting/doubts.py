"""What is suspicious about results: hyperparameters without an effect, and values that are infinite."""

from __future__ import annotations

import math

from trialjob.orchestrator.core.state import State
from trialjob.reporting.no_effect import without_effect

#: So many trials are named.
_SHOWN = 5


def doubts(state: State) -> list[str]:
    """A sentence for each."""
    return [*infinite(state), *without_effect(state.trials)]


def infinite(state: State) -> list[str]:
    """Which trials have reported a value of the objective that is infinitely good."""
    objective = state.objective
    found = [
        trial.id
        for trial in state.trials
        if any(
            math.isinf(value) and objective.key(value) > 0
            for report in trial.reports
            if (value := report.value(objective)) is not None
        )
    ]
    if not found:
        return []
    shown = ", ".join(map(str, found[:_SHOWN]))
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    value = objective.value_of(math.inf)
    what = f"trial{'s' if len(found) > 1 else ''} {shown}{more} reported {value} for {objective.metric}"
    so = "an infinite value is better than every number, though it reaches no target"
    remedy = "if the model has diverged there, have the script report NaN, and do not trust the best score"
    return [f"{what}: {so}; {remedy}"]
