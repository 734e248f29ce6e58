"""What follows from all trials together, kept so that a reader need not go through all of them.

Rule: a function of the state, so that it may be kept beside one and never says anything else.
"""

from __future__ import annotations

from dataclasses import dataclass

from trialjob.orchestrator.core.best import best_so_far, best_trial
from trialjob.orchestrator.core.costs import Costs, costs_of
from trialjob.orchestrator.core.expected_gain import Forecast, forecast
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The figures of an experiment as a whole."""

    #: The trial with the best score; None when no score is a number.
    best: Trial | None
    #: The best score after each trial that has ended with one.
    curve: tuple[float, ...]
    costs: Costs
    #: What one more trial is expected to bring; None while too little is known.
    forecast: Forecast | None


def overview_of(state: State) -> Overview:
    """The figures of this state."""
    return Overview(
        best=best_trial(state.trials, state.objective),
        curve=tuple(best_so_far(state)),
        costs=costs_of(state),
        forecast=forecast(state),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A state with its figures."""

    state: State
    overview: Overview

    @classmethod
    def of(cls, state: State) -> Seen:
        """This state, with its figures worked out."""
        return cls(state=state, overview=overview_of(state))
