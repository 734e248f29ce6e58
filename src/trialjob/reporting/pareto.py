"""Which trials are best when there are several objectives: those that no other beats in everything.

Rule: a trial is compared only when it has a number for every objective and did not fail. NaN and what was not
reported are no numbers; infinities are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TypeAlias

from trialjob.model.metric import Objective
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core.trial import Trial

#: The values of a trial, on scales where more is better.
_Keys: TypeAlias = tuple[float, ...]


def pareto_front(trials: Iterable[Trial], objective: Objective) -> list[Trial]:
    """The trials that no other dominates: at least as good in every objective and better in one.

    The best of the first objective comes first. Trials with the very same values are all there.
    """
    ranked = sorted(
        ((keys, -trial.id, trial) for trial in trials if (keys := _keys(trial, objective))),
        key=lambda entry: entry[:2],
        reverse=True,
    )
    front: list[tuple[_Keys, Trial]] = []
    for keys, _, trial in ranked:
        # What dominates a trial comes before it in this order, and so does something on the front that
        # dominates it. With two objectives the newest on the front has the best second value of them all.
        rivals = front[-1:] if len(keys) <= 2 else front  # noqa: PLR2004 - as above
        if not any(_dominates(rival, keys) for rival, _ in rivals):
            front.append((keys, trial))
    return [trial for _, trial in front]


def _keys(trial: Trial, objective: Objective) -> _Keys:
    """Empty when the trial is not to be compared."""
    values = (trial.score, *trial.others)
    if trial.status is TrialStatus.FAILED or len(values) != 1 + len(objective.others):
        return ()
    numbers = [value for value in values if value is not None and not math.isnan(value)]
    if len(numbers) != len(values):
        return ()
    goals = objective.goals
    return tuple(goal.key(number) for goal, number in zip(goals, numbers, strict=True))


def _dominates(one: _Keys, other: _Keys) -> bool:
    return one != other and all(a >= b for a, b in zip(one, other, strict=True))
