"""The best guess for an experiment, with a range: many simulated ones, each in a world of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from trialjob.model.trial import EndKind
from trialjob.planning.scale import AS_IT_IS, Scale, most_trials, scaled
from trialjob.planning.scenario_input import Case
from trialjob.planning.simulated import Outcome, simulate

#: So many experiments are simulated. One more, drawn like them, is within their extremes with a probability
#: of (n - 1) / (n + 1).
SIMULATIONS = 30
#: Fewer of those that are too large to be simulated as they are, so that a plan takes seconds.
_OF_LARGE = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A figure: its middle, and between what it lay."""

    low: float
    guess: float
    high: float


class Spread:
    """A figure of all the outcomes, as a range."""

    def __init__(self, figure: str) -> None:
        self._figure = figure

    def __get__(self, estimate: Estimate, _kind: type) -> Range:
        found = sorted(getattr(outcome, self._figure) for outcome in estimate.outcomes)
        return Range(low=found[0], guess=median(found), high=found[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Time and cost of the simulated experiments."""

    outcomes: tuple[Outcome, ...]
    #: What was simulated, when that was smaller than the experiment.
    scale: Scale | None = None

    #: Seconds from the first step to the end.
    time = Spread("time")
    dollars = Spread("dollars")
    #: Billed.
    instance_hours = Spread("instance_hours")
    jobs = Spread("jobs")
    trials = Spread("trials")
    #: Trials that came to their end.
    completed = Spread("completed")
    #: Trained, all trials together.
    epochs = Spread("epochs")

    @property
    def warm(self) -> float:
        """Share of the jobs that begin on a warm machine."""
        return fmean(outcome.warm for outcome in self.outcomes)

    @property
    def idle(self) -> float:
        """Share of the billed time in which machines wait."""
        return fmean(outcome.idle for outcome in self.outcomes)

    @property
    def interruptions(self) -> float:
        """By spot, on average."""
        return fmean(outcome.interruptions for outcome in self.outcomes)

    @property
    def end(self) -> EndKind | None:
        """How most of them ended."""
        return Counter(outcome.end for outcome in self.outcomes).most_common(1)[0][0]


def estimate(case: Case, *, count: int | None = None, seeds: Sequence[int] = ()) -> Estimate:
    """Simulate the case in ``count`` worlds, or in those of ``seeds``."""
    chosen = seeds or range(simulations(case) if count is None else count)
    scale = scaled(case)
    outcomes = tuple(scale.whole(simulate(scale.case, seed)) for seed in chosen)
    return Estimate(outcomes=outcomes, scale=scale if scale.is_smaller else None)


def simulations(case: Case) -> int:
    """How many experiments of that size are simulated."""
    return SIMULATIONS if most_trials(case) <= AS_IT_IS else _OF_LARGE
