"""How much each hyperparameter matters, by PED-ANOVA on the trials so far.

Rule: a trial counts when its score is one that the search has learned from: completed, pruned or cut short.
What is not finite counts as the worst, or best, score that is.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from statistics import pstdev
from types import MappingProxyType

from trialjob.model.space import Space
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial
from trialjob.reporting.ped_anova import Seen, place_of, shares

#: Fewer trials say nothing.
_FEWEST = 10
#: The best of them are compared with all: this share, or so many when that is more. On functions whose answer
#: is known, 0.3 puts the right one first more often than 0.1 does (docs/results.md).
_SHARE, _BEST = 0.3, 5
#: The spread is that of so many draws, with replacement, of at most so many trials.
_DRAWS, _DRAWN = 12, 200
#: Of more trials an even choice by rank is looked at, which says as much.
_MOST = 2000
_COUNT = frozenset({TrialStatus.COMPLETED, TrialStatus.PRUNED, TrialStatus.CANCELLED})


class Importances(dict[str, float]):
    """A share of 1 for each hyperparameter, the largest first, and how far that is to be believed."""

    #: How they were found.
    method: str = "PED-ANOVA (arXiv 2304.10255): the best 30 % of the trials beside all"
    #: Why there are none; "" where there are some.
    reason: str = ""
    #: The standard deviation of each share over draws of the trials, with replacement.
    spread: Mapping[str, float] = MappingProxyType({})


def importances(state: State, space: Space) -> Importances:
    """What the trials so far say; empty, with the reason, when nothing can be said."""
    trials = [trial for trial in state.trials if trial.score is not None and trial.status in _COUNT]
    losses = _losses(trials, state)
    found = Importances()
    found.reason = _why_none(losses)
    if found.reason:
        return found
    chosen = sorted(zip(losses, trials, strict=True), key=lambda pair: pair[0])
    seen = [_seen(trial, loss, space) for loss, trial in chosen[:: -(-len(chosen) // _MOST)]]
    found.update(sorted(_shares(seen).items(), key=lambda item: -item[1]))
    found.spread = _spread(seen, found)
    return found


def _why_none(losses: Sequence[float]) -> str:
    if len(losses) < _FEWEST:
        return f"{len(losses)} of {_FEWEST} trials have a score so far"
    return "" if len(set(losses)) > 1 else f"all {len(losses)} trials have the same score"


def _shares(trials: Sequence[Seen]) -> dict[str, float]:
    return shares(trials, best=min(0.5, max(_SHARE, _BEST / len(trials))))


def _spread(trials: Sequence[Seen], found: Mapping[str, float]) -> dict[str, float]:
    """How much each share would be another, had other trials been drawn; the same for the same trials."""
    dice = random.Random(len(trials))  # noqa: S311 - no secret
    draws = [dice.choices(trials, k=min(len(trials), _DRAWN)) for _ in range(_DRAWS)]
    others = [_shares(draw) for draw in draws if len({trial.loss for trial in draw}) > 1]
    return {name: pstdev([each.get(name, 0.0) for each in others]) for name in found if len(others) > 1}


def _seen(trial: Trial, loss: float, space: Space) -> Seen:
    domains = space.domains
    known = {name: value for name, value in trial.config.items() if name in domains}
    return Seen(loss=loss, places={name: place_of(domains[name], value) for name, value in known.items()})


def _losses(trials: list[Trial], state: State) -> list[float]:
    """The scores as losses, all of them finite."""
    losses = [-state.objective.key(trial.score) for trial in trials if trial.score is not None]
    finite = [loss for loss in losses if math.isfinite(loss)] or [0.0]
    least, most = min(finite), max(finite)
    return [min(max(loss, least), most) for loss in losses]
