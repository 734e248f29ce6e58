"""What follows from all trials together, kept so that a reader need not go through all of them.

Rule: a function of the state, so that it may be kept beside one and never says anything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from trialjob.model.ids import TrialId
from trialjob.model.metric import Objective
from trialjob.orchestrator.core.best import End, best_trial, curve_of, ends_of
from trialjob.orchestrator.core.costs import CostPart, Costs, cost_part, costs_of
from trialjob.orchestrator.core.expected_gain import Forecast, forecast_of, scores_of
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What some of the trials add to the figures of all."""

    #: The best of them with its score, the first of equals; None when no score is a number.
    best: tuple[TrialId, float] | None
    ends: tuple[End, ...]
    #: As ``scores_of`` tells them.
    scores: tuple[float, ...]
    scored: int
    costs: CostPart


@runtime_checkable
class Counted(Protocol):
    """A chunk of trials that knows its part, and need not be gone through."""

    @property
    def part(self) -> Part: ...


def part_of(trials: Sequence[Trial], objective: Objective) -> Part:
    """What these trials add."""
    best, (scores, scored) = best_trial(trials, objective), scores_of(trials)
    return Part(
        best=None if best is None or best.score is None else (best.id, best.score),
        ends=ends_of(trials),
        scores=scores,
        scored=scored,
        costs=cost_part(trials, objective),
    )


def overview_of(state: State) -> Overview:
    """The figures of this state."""
    objective = state.objective
    parts = [
        chunk.part if isinstance(chunk, Counted) else part_of(chunk, objective)
        for chunk in state.trials.chunks
    ]
    bests = [part.best for part in parts if part.best is not None]
    # The first of equals, as of the trials themselves.
    best = max(bests, key=lambda found: objective.key(found[1]), default=None)
    scores = [score for part in parts for score in part.scores]
    return Overview(
        best=None if best is None else state.trials[best[0]],
        curve=tuple(curve_of((end for part in parts for end in part.ends), objective)),
        costs=costs_of(state, [part.costs for part in parts]),
        forecast=forecast_of(state, scores, sum(part.scored for part in parts)),
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
