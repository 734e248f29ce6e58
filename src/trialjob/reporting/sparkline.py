"""Curves as a line of block characters, for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from trialjob.model.metric import Objective
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial
from trialjob.reporting.results import counts_as_best, ended_at

_BLOCKS = "▁▂▃▄▅▆▇█"


def spark(values: Sequence[float], width: int) -> str:
    """``▁▃▆█``: the lowest value is the lowest block; longer lists are thinned. Empty below two values."""
    finite = [value for value in values if math.isfinite(value)]
    if len(finite) < 2:  # noqa: PLR2004 - one point is no curve
        return ""
    if len(finite) > width:
        finite = [finite[place * (len(finite) - 1) // (width - 1)] for place in range(width)]
    low, high = min(finite), max(finite)
    # Halved, as the distance between two large numbers may be no number.
    half = (high / 2 - low / 2) or 1.0
    top = len(_BLOCKS) - 1
    return "".join(_BLOCKS[min(top, int((value / 2 - low / 2) / half * top + 0.5))] for value in finite)


def best_so_far(state: State) -> list[float]:
    """The best score after each trial that has ended with one, in the order in which they ended."""
    ended = [trial for trial in state.trials if trial.ended and counts_as_best(trial)]
    ended.sort(key=lambda trial: (ended_at(trial) or 0.0, trial.id))
    curve: list[float] = []
    for trial in ended:
        curve += after(curve, trial, state.objective)
    return curve


def after(curve: Sequence[float], trial: Trial, objective: Objective) -> list[float]:
    """What a trial that has ended adds to the curve: one point, or none when it has no score that counts."""
    if not counts_as_best(trial) or trial.score is None:
        return []
    if curve and not objective.better(trial.score, curve[-1]):
        return [curve[-1]]
    return [trial.score]
