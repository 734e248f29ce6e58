"""What is suspicious about results: hyperparameters without an effect, and scores that are not finite."""

from __future__ import annotations

import math

from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core.state import State
from trialjob.reporting.no_effect import without_effect

#: So many trials are named.
_SHOWN = 5


def doubts(state: State) -> list[str]:
    """A sentence for each."""
    return [*infinite(state), *never_finite(state), *without_effect(state.trials)]


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


def never_finite(state: State) -> list[str]:
    """That no trial has come to a finite score, so that the best one is the best in name only."""
    counted = (TrialStatus.COMPLETED, TrialStatus.PRUNED)
    scores = [trial.score for trial in state.trials if trial.status in counted and trial.score is not None]
    if not scores or any(map(math.isfinite, scores)) or infinite(state):
        return []
    metric, value = state.objective.metric, "NaN" if all(map(math.isnan, scores)) else "NaN or infinite"
    return [f"every score is {value}: nothing is known of {metric}; see what the script computes it from"]
