"""Whether another trial is worth its money, and whether any is to be proposed at all. Pure.

The forecast takes trials for draws from one distribution, which random configurations under one stopping
rule are: the least of ``m`` of ``n`` values, averaged over all choices of ``m``, is known exactly, and its
way from ``n / 4`` over ``n / 2`` to ``n`` is continued as a power of ``n``, which it is near the end of a
distribution (Fisher and Tippett 1928, https://doi.org/10.1017/S0305004100015681). A sampler that learns may
do better.

Rule: whatever runs may go on, as most of its money is spent. Only new trials are not begun.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from trialjob.model.trial import EndKind, EndReason, TrialStatus
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial

#: From so many trials with a value on something is forecast.
ENOUGH: Final = 16
#: The least that twice as many trials may bring of what the last doubling brought.
_LEAST: Final = 0.05
#: Powers below it are none.
_FLAT: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What one more trial is expected to bring, in units of the objective, and what it costs."""

    gain: float
    dollars: float
    #: How many trials that is known from.
    trials: int

    @property
    def gain_per_dollar(self) -> float:
        return self.gain / self.dollars


def proposes(state: State) -> bool:
    """Whether new trials are wanted at all, now or later."""
    return not state.exhausted and len(state.trials) < state.limits.max_trials and not_worth_it(state) is None


def not_worth_it(state: State) -> EndReason | None:
    """Why no new trial is worth its money; None where one is, or no limit asks."""
    least = state.limits.min_gain_per_dollar
    if least is None:
        return None
    expected = forecast(state)
    if expected is None or expected.gain_per_dollar >= least:
        return None
    return EndReason(
        kind=EndKind.MIN_GAIN,
        detail=f"another dollar is expected to better {state.objective.metric} by "
        f"{expected.gain_per_dollar:.2g} (from {expected.trials} trials, at ${expected.dollars:.2g} each); "
        f"min_gain_per_dollar is {least:g}",
    )


def forecast(state: State) -> Forecast | None:
    """What one more trial is expected to bring; None while too little is known, or nothing costs anything."""
    return forecast_of(state, *scores_of(state.trials))


def scores_of(trials: Iterable[Trial]) -> tuple[tuple[float, ...], int]:
    """The finite scores among those of some trials, and how many have ended with one of any kind.

    What failed is left out: its score is none that can be had.
    """
    scored = [trial for trial in trials if trial.score is not None and trial.status is not TrialStatus.FAILED]
    scores = tuple(trial.score for trial in scored if trial.score is not None and math.isfinite(trial.score))
    return scores, sum(trial.ended for trial in scored)


def forecast_of(state: State, scores: Iterable[float], ended: int) -> Forecast | None:
    """The same, where that is known of all trials."""
    values = sorted(-state.objective.key(score) for score in scores)
    if len(values) < ENOUGH or not ended or state.spent.micros <= 0:
        return None
    dollars = state.spent.dollars / ended
    return Forecast(gain=next_gain(values), dollars=dollars, trials=len(values))


def next_gain(values: Sequence[float]) -> float:
    """By how much the next of ``values``, which ascend, is expected to be below all before; four at least."""
    count = len(values)
    quarter, half = (_expected_least(values, size) for size in (count // 4, count // 2))
    earlier, later = quarter - half, half - values[0]
    if later <= 0.0:
        return 0.0
    ratio = max(_LEAST, later / earlier) if earlier > 0.0 else 1.0
    power = -math.log2(ratio)
    # A doubling that brought more than the one before is luck; and the limit for 0 is a logarithm.
    slope = power / (2.0**power - 1.0) if power > _FLAT else 1.0 / math.log(2.0)
    return slope * later / count


def _expected_least(values: Sequence[float], size: int) -> float:
    """The least of ``size`` of them, averaged over all choices."""
    count = len(values)
    total, chance = 0.0, size / count
    for place, value in enumerate(values):
        total += chance * value
        chance *= (count - size - place) / (count - 1 - place) if place < count - 1 else 0.0
    return total
