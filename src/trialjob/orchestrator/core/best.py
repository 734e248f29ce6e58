"""Which trial is the best one, and how the best score came about.

Rule: a NaN is never the best, and what failed cannot be relied on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from trialjob.model.ids import TrialId
from trialjob.model.metric import Objective
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial

#: When a trial ended, which one it is, and its score.
End: TypeAlias = tuple[float, TrialId, float]


def counts_as_best(trial: Trial) -> bool:
    """True when the trial's score is a number and the trial did not fail: what failed cannot be relied on."""
    return trial.score is not None and not math.isnan(trial.score) and trial.status is not TrialStatus.FAILED


def best_trial(trials: Iterable[Trial], objective: Objective) -> Trial | None:
    """The trial with the best score, the first of equals; None when no score is a number."""
    best: Trial | None = None
    for trial in trials:
        if counts_as_best(trial) and (best is None or _beats(trial, best, objective)):
            best = trial
    return best


def _beats(trial: Trial, other: Trial, objective: Objective) -> bool:
    return trial.score is not None and other.score is not None and objective.better(trial.score, other.score)


def ended_at(trial: Trial) -> float | None:
    """When the last job of a trial that has ended was over; None when that is not known."""
    last = trial.last
    return last.end.ended_at if trial.ended and last is not None and last.end is not None else None


def best_so_far(state: State) -> list[float]:
    """The best score after each trial that has ended with one, in the order in which they ended."""
    return curve_of(ends_of(state.trials), state.objective)


def ends_of(trials: Iterable[Trial]) -> tuple[End, ...]:
    """The ends of those that have ended with a score that counts."""
    return tuple(
        (ended_at(trial) or 0.0, trial.id, trial.score)
        for trial in trials
        if trial.ended and trial.score is not None and counts_as_best(trial)
    )


def curve_of(ends: Iterable[End], objective: Objective) -> list[float]:
    """The best score after each of these ends, in the order in which they came."""
    curve: list[float] = []
    for _, _, score in sorted(ends):
        curve.append(curve[-1] if curve and not objective.better(score, curve[-1]) else score)
    return curve


def after(curve: Sequence[float], trial: Trial, objective: Objective) -> list[float]:
    """What a trial that has ended adds to the curve: one point, or none when it has no score that counts."""
    if not counts_as_best(trial) or trial.score is None:
        return []
    if curve and not objective.better(trial.score, curve[-1]):
        return [curve[-1]]
    return [trial.score]
