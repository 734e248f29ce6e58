"""How much hyperparameters matter: the same as Optuna's own evaluator says."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Mapping

import optuna
import pytest
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import create_trial

from trialjob.model.ids import TrialId
from trialjob.model.json import Json
from trialjob.model.space import (
    Branches,
    Choice,
    Domain,
    LogNormal,
    LogRandInt,
    LogUniform,
    Normal,
    Ordinal,
    QLogUniform,
    QNormal,
    QUniform,
    RandInt,
    ReverseLogUniform,
    Space,
    Uniform,
)
from trialjob.orchestrator.samplers.optuna import quiet
from trialjob.orchestrator.samplers.random import RandomSampler
from trialjob.reporting.optuna_space import parameters
from trialjob.reporting.ped_anova import Seen, place_of, shares

DOMAINS: Mapping[str, Domain] = {
    "rate": LogUniform(lower=1e-5, upper=1.0),
    "plain": Uniform(lower=-1.0, upper=3.0),
    "near one": ReverseLogUniform(lower=0.5, upper=0.999),
    "few": RandInt(lower=1, upper=9),
    "many": RandInt(lower=0, upper=5000),
    "sizes": LogRandInt(lower=1, upper=2000),
    "steps": QUniform(lower=0.0, upper=1.0, q=0.05),
    "whole steps": QUniform(lower=16.0, upper=512.0, q=16.0),
    "log steps": QLogUniform(lower=1.0, upper=1000.0, q=5.0),
    "bell": Normal(mu=0.0, sigma=3.0),
    "bell in steps": QNormal(mu=10.0, sigma=3.0, q=0.5),
    "log bell": LogNormal(mu=0.0, sigma=1.0),
    "odd": Choice(values=(1, True, None, [1, {"x": 2}])),
    "one": Choice(values=("same",)),
    "order": Ordinal(values=(1, 2, 4)),
    "kind": Branches(
        values=("a", "b"),
        branches={"a": {"only": Uniform(lower=0.0, upper=1.0)}, "b": {"other": RandInt(lower=1, upper=4)}},
    ),
}
SPACE = Space(DOMAINS)


def by_optuna(trials: list[tuple[float, Mapping[str, Json]]], best: float) -> dict[str, float]:
    with quiet():
        study = optuna.create_study(storage=optuna.storages.InMemoryStorage())
        for loss, config in trials:
            values, distributions = parameters(config, SPACE.domains)
            study.add_trial(create_trial(value=loss, params=values, distributions=distributions))
        return get_param_importances(study, evaluator=PedAnovaImportanceEvaluator(target_quantile=best))


def by_us(trials: list[tuple[float, Mapping[str, Json]]], best: float) -> dict[str, float]:
    seen = [
        Seen(loss=loss, places={name: place_of(SPACE.domains[name], config[name]) for name in config})
        for loss, config in trials
    ]
    return shares(seen, best)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("count", "best"), [(10, 0.5), (23, 0.3), (200, 0.1), (700, 0.3)])
def test_optuna_says_the_same_of_every_kind_of_domain(seed: int, count: int, best: float) -> None:
    dice = random.Random(f"{seed}/{count}")  # noqa: S311 - repeatable on purpose
    sampler = RandomSampler(SPACE, seed)
    trials = []
    for number in range(1, count + 1):
        config = sampler.ask(TrialId(number)) or {}
        # Rounded, so that some losses are equal.
        loss = abs(float(str(config["plain"])) - 1) + 0.1 * len(str(config["odd"])) + 0.2 * dice.random()
        trials.append((round(loss, 1), config))
    assert by_us(trials, best) == pytest.approx(by_optuna(trials, best), rel=1e-6, abs=1e-9)


def test_what_is_the_same_in_all_trials_has_an_equal_share() -> None:
    trials: list[tuple[float, Mapping[str, Json]]] = [
        (float(n), {"plain": 0.5, "few": 3, "one": "same"}) for n in range(10)
    ]
    assert by_us(trials, 1.0) == {"plain": 1 / 3, "few": 1 / 3, "one": 1 / 3}


def test_a_report_loads_no_library_for_them() -> None:
    named = "print({'optuna', 'sklearn', 'scipy', 'numpy'} & {*sys.modules})"
    code = f"import sys, trialjob.reporting.importances; {named}"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"
