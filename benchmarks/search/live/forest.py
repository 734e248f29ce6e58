"""A random forest under a rule: Thompson sampling over what each trial has come to.

It is of the bench, to be compared. scikit-learn's forest learns each trial's least loss, by rank, from its
configuration; a proposal is what one of its trees, drawn anew for each, says is least of many random ones.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor

from trialjob.model.ids import TrialId
from trialjob.model.json import canonical_json
from trialjob.model.space import Config, LogRandInt, LogUniform, Space
from trialjob.orchestrator.core.events import Event, ReportsRead, TrialProposed
from trialjob.orchestrator.samplers.random import RandomSampler

#: Trials with a value before the forest is asked.
FIRST = 10
#: Random configurations a tree chooses from.
CANDIDATES = 300


class ForestSampler:
    """Random until ``FIRST`` trials have a value, then a tree's choice; nothing is proposed twice."""

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        self._seed = seed
        self._random = RandomSampler(space, seed)
        self._configs: dict[TrialId, Config] = {}
        self._least: dict[TrialId, float] = {}

    def ask(self, trial: TrialId) -> Config | None:
        if len(self._least) < FIRST:
            return self._random.ask(trial)
        rng = random.Random(f"{self._seed}/forest/{trial}")  # noqa: S311 - no secret
        drawn = [
            self._space.at({name: rng.random() for name in self._space.domains}) for _ in range(CANDIDATES)
        ]
        known = {canonical_json(config) for config in self._configs.values()}
        new = [config for config in drawn if canonical_json(config) not in known]
        if not new:
            return self._random.ask(trial)
        told = self._fitted(rng.randrange(2**31)).predict(self._points(new))
        return new[int(np.argmin(told))]

    def tell(self, events: Sequence[Event]) -> None:
        self._random.tell(events)
        for event in events:
            match event:
                case TrialProposed():
                    self._configs[event.trial] = event.config
                case ReportsRead():
                    losses = [float(report.metrics["loss"]) for report in event.reports]
                    self._least[event.trial] = min([self._least.get(event.trial, math.inf), *losses])
                case _:
                    pass

    def _fitted(self, seed: int) -> RandomForestRegressor:
        """One tree, of other trials and cuts for each seed, is a forest's draw."""
        trials = list(self._least)
        losses = np.array([self._least[trial] for trial in trials])
        points = self._points([self._configs[trial] for trial in trials])
        model = RandomForestRegressor(1, max_features=0.8, min_samples_leaf=2, random_state=seed)
        return model.fit(points, losses.argsort().argsort())

    def _points(self, configs: Sequence[Config]) -> NDArray[np.float64]:
        return np.array([list(_features(self._space, config)) for config in configs])


def _features(space: Space, config: Mapping[str, Any]) -> list[float]:
    """A number for each number, by its order of magnitude where it is searched so; one for each word."""
    features: list[float] = []
    for name, domain in space.domains.items():
        listed = domain.listed()
        match domain:
            case LogUniform() | LogRandInt():
                features.append(math.log(config[name]))
            case _ if listed is not None and not isinstance(listed, range):
                features += [float(config[name] == value) for value in listed]
            case _:
                features.append(float(config[name]))
    return features
