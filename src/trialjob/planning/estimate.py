"""The best guess for an experiment, with a range: many simulated ones, each in a world of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What the simulated experiments have come to."""

    outcomes: tuple[Outcome, ...]
    #: What was simulated, when that was smaller than the experiment.
    scale: Scale | None = None

    @property
    def time(self) -> Range:
        """Seconds from the first step to the end."""
        return self._range(lambda outcome: outcome.time)

    @property
    def dollars(self) -> Range:
        return self._range(lambda outcome: outcome.dollars)

    @property
    def instance_hours(self) -> Range:
        """Billed."""
        return self._range(lambda outcome: outcome.instance_hours)

    @property
    def jobs(self) -> Range:
        return self._range(lambda outcome: outcome.jobs)

    @property
    def trials(self) -> Range:
        return self._range(lambda outcome: outcome.trials)

    @property
    def completed(self) -> Range:
        """Trials that came to their end."""
        return self._range(lambda outcome: outcome.completed)

    @property
    def epochs(self) -> Range:
        """Trained, all trials together."""
        return self._range(lambda outcome: outcome.epochs)

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

    def _range(self, figure: Callable[[Outcome], float]) -> Range:
        found = sorted(map(figure, self.outcomes))
        return Range(low=found[0], guess=median(found), high=found[-1])


def estimate(case: Case, *, count: int | None = None, seeds: Sequence[int] = ()) -> Estimate:
    """Simulate the case in ``count`` worlds, or in those of ``seeds``."""
    chosen = seeds or range(simulations(case) if count is None else count)
    scale = scaled(case)
    outcomes = tuple(scale.whole(simulate(scale.case, seed)) for seed in chosen)
    return Estimate(outcomes=outcomes, scale=scale if scale.is_smaller else None)


def simulations(case: Case) -> int:
    """How many experiments of that size are simulated."""
    return SIMULATIONS if most_trials(case) <= AS_IT_IS else _OF_LARGE
