"""How much each hyperparameter matters, by Optuna's evaluator on the trials so far.

Rule: a trial counts when its score is one that the search has learned from: completed, pruned or cut short.
What is not finite counts as the worst, or best, score that is.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState, create_trial

from trialjob.model.space import Space
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial
from trialjob.reporting.optuna_space import parameters

#: Fewer trials say nothing.
_FEWEST = 10
#: The best of them are compared with all: this share, or so many when that is more.
_SHARE, _BEST = 0.1, 5
#: Of more trials an even choice by rank is looked at, as Optuna would take minutes for all.
_MOST = 2000
_COUNT = frozenset({TrialStatus.COMPLETED, TrialStatus.PRUNED, TrialStatus.CANCELLED})


def importances(state: State, space: Space) -> dict[str, float]:
    """A share of 1 for each hyperparameter, the largest first; empty when nothing can be said."""
    trials = [trial for trial in state.trials if trial.score is not None and trial.status in _COUNT]
    losses = _losses(trials, state)
    if len(trials) < _FEWEST or len(set(losses)) < 2:  # noqa: PLR2004 - nothing differs
        return {}
    with _quiet():
        study = optuna.create_study(storage=optuna.storages.InMemoryStorage())
        chosen = sorted(zip(losses, trials, strict=True), key=lambda pair: pair[0])
        chosen = chosen[:: -(-len(chosen) // _MOST)]
        for loss, trial in chosen:
            study.add_trial(_frozen(trial, loss, space))
        share = min(0.5, max(_SHARE, _BEST / len(chosen)))
        found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator(target_quantile=share))
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _frozen(trial: Trial, loss: float, space: Space) -> FrozenTrial:
    values, distributions = parameters(trial.config, space.domains)
    return create_trial(state=TrialState.COMPLETE, value=loss, params=values, distributions=distributions)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what Optuna tells its own users from ours."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(level)


def _losses(trials: list[Trial], state: State) -> list[float]:
    """The scores as losses, all of them finite."""
    losses = [-state.objective.key(trial.score) for trial in trials if trial.score is not None]
    finite = [loss for loss in losses if math.isfinite(loss)] or [0.0]
    return [min(max(loss, min(finite)), max(finite)) for loss in losses]
