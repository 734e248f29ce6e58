"""How much each hyperparameter matters, by Optuna's evaluator on the trials so far.

Rule: a trial counts when its score is one that the search has learned from: completed, pruned or cut short.
What is not finite counts as the worst, or best, score that is.
"""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from statistics import pstdev
from types import MappingProxyType
from typing import Self

import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from trialjob.model.space import Space
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial
from trialjob.orchestrator.samplers.optuna import quiet
from trialjob.reporting.optuna_space import parameters

#: Fewer trials say nothing.
_FEWEST = 10
#: The best of them are compared with all: this share, or so many when that is more. On functions whose answer
#: is known, 0.3 puts the right one first more often than 0.1 does (docs/results.md).
_SHARE, _BEST = 0.3, 5
#: The spread is that of so many draws, with replacement, of at most so many trials.
_DRAWS, _DRAWN = 12, 200
#: Of more trials an even choice by rank is looked at, as Optuna would take minutes for all.
_MOST = 2000
#: When a trial ended is not looked at, and has to be there.
_WHENEVER = datetime(2000, 1, 1, tzinfo=UTC)
_COUNT = frozenset({TrialStatus.COMPLETED, TrialStatus.PRUNED, TrialStatus.CANCELLED})


class Importances(dict[str, float]):
    """A share of 1 for each hyperparameter, the largest first, and how far that is to be believed."""

    #: How they were found.
    method: str = "PED-ANOVA (arXiv 2304.10255): the best 30 % of the trials beside all"
    #: Why there are none; "" where there are some.
    reason: str = ""
    #: The standard deviation of each share over draws of the trials, with replacement.
    spread: Mapping[str, float] = MappingProxyType({})


class _Read(FrozenTrial):
    """A trial that is never changed: Optuna copies each one, which took longer than its own work."""

    def __deepcopy__(self, memo: object) -> Self:
        return copy.copy(self)


def importances(state: State, space: Space) -> Importances:
    """What the trials so far say; empty, with the reason, when nothing can be said."""
    trials = [trial for trial in state.trials if trial.score is not None and trial.status in _COUNT]
    losses = _losses(trials, state)
    found = Importances()
    found.reason = _why_none(losses)
    if found.reason:
        return found
    with quiet():
        chosen = sorted(zip(losses, trials, strict=True), key=lambda pair: pair[0])
        frozen = [_frozen(trial, loss, space) for loss, trial in chosen[:: -(-len(chosen) // _MOST)]]
        found.update(sorted(_shares(frozen).items(), key=lambda item: -item[1]))
        found.spread = _spread(frozen, found)
    if not found:
        found.reason = "no hyperparameter had several values"
    return found


def _why_none(losses: Sequence[float]) -> str:
    if len(losses) < _FEWEST:
        return f"it takes {_FEWEST} trials that have ended with a score; so far {len(losses)}"
    return "" if len(set(losses)) > 1 else f"all {len(losses)} trials have the same score"


def _shares(trials: Sequence[FrozenTrial]) -> dict[str, float]:
    study = optuna.create_study(storage=optuna.storages.InMemoryStorage())
    study.add_trials(trials)
    share = min(0.5, max(_SHARE, _BEST / len(trials)))
    return get_param_importances(study, evaluator=PedAnovaImportanceEvaluator(target_quantile=share))


def _spread(trials: Sequence[FrozenTrial], shares: Mapping[str, float]) -> dict[str, float]:
    """How much each share would be another, had other trials been drawn; the same for the same trials."""
    dice = random.Random(len(trials))  # noqa: S311 - no secret
    draws = [dice.choices(trials, k=min(len(trials), _DRAWN)) for _ in range(_DRAWS)]
    found = [_shares(draw) for draw in draws if len({trial.value for trial in draw}) > 1]
    return {name: pstdev([each.get(name, 0.0) for each in found]) for name in shares if len(found) > 1}


def _frozen(trial: Trial, loss: float, space: Space) -> FrozenTrial:
    values, distributions = parameters(trial.config, space.domains)
    return _Read(
        number=-1,
        trial_id=-1,
        state=TrialState.COMPLETE,
        value=loss,
        datetime_start=_WHENEVER,
        datetime_complete=_WHENEVER,
        params=values,
        distributions=distributions,
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )


def _losses(trials: list[Trial], state: State) -> list[float]:
    """The scores as losses, all of them finite."""
    losses = [-state.objective.key(trial.score) for trial in trials if trial.score is not None]
    finite = [loss for loss in losses if math.isfinite(loss)] or [0.0]
    least, most = min(finite), max(finite)
    return [min(max(loss, least), most) for loss in losses]
