"""A sampler with a model of its own: a small Gaussian process and the expected improvement, numpy only.

It is a function of its seed and of what it has been told, as every sampler must be: so the one that a process
after a crash makes, told the same journal, proposes the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

from trialjob.model.ids import TrialId
from trialjob.model.metric import Objective, TrialScore
from trialjob.model.space import Choice, Config, Domain, Space
from trialjob.orchestrator.core.events import Event, KnownResult, ReportsRead, TrialEnded, TrialProposed
from trialjob.orchestrator.core.search import BaseSampler, Sampler, Search
from trialjob.orchestrator.samplers.encoding import Categories, Unit
from trialjob.orchestrator.samplers.random import RandomSampler

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallGP(BaseSampler):
    """What is written under ``sampler``."""

    kind: ClassVar[str] = "small_gp"
    learns: ClassVar[bool] = True
    seed: int | None = None
    #: Scores that are there before the model is asked; until then configurations are random.
    n_startup_trials: Annotated[int, Ge(1)] = 5
    #: Random configurations of which the most promising one is proposed.
    candidates: Annotated[int, Ge(1)] = 200
    #: Experiments in the same store, and CSV files, that it learns from first.
    warm_start: tuple[str, ...] = ()

    def make(self, search: Search) -> Sampler:
        return SmallGPSampler(search.space, search.objective, search.seed, self)


class SmallGPSampler:
    """The sampler of one experiment."""

    def __init__(self, space: Space, objective: Objective, seed: int, section: SmallGP) -> None:
        self._space, self._objective, self._seed, self._section = space, objective, seed, section
        self._axes = {name: _axis(domain) for name, domain in space.domains.items()}
        self._random = RandomSampler(space, seed)
        self._running: dict[TrialId, tuple[Config, TrialScore]] = {}
        self._places: list[Array] = []
        self._keys: list[float] = []

    def tell(self, events: Sequence[Event]) -> None:
        self._random.tell(events)
        for event in events:
            match event:
                case KnownResult(config=config, score=score):
                    self._learn(config, score)
                case TrialProposed(trial=trial, config=config):
                    self._running[trial] = (config, TrialScore())
                case ReportsRead(trial=trial, reports=reports):
                    config, standing = self._running[trial]
                    for report in reports:
                        standing = standing.after(report, self._objective)
                    self._running[trial] = (config, standing)
                case TrialEnded(trial=trial):
                    config, standing = self._running.pop(trial)
                    self._learn(config, standing.score)
                case _:
                    pass

    def ask(self, trial: TrialId) -> Config | None:
        if self._random.is_exhausted or len(self._keys) < self._section.n_startup_trials:
            return self._random.ask(trial)
        dice = np.random.default_rng([self._seed, trial])
        points = dice.random((self._section.candidates, len(self._axes)))
        configs = [self._space.at(dict(zip(self._axes, map(float, point), strict=True))) for point in points]
        new = [config for config in configs if self._random.is_new(config)]
        if not new:
            return self._random.ask(trial)
        places = np.array([self._place(config) for config in new])
        gain = expected_improvement(np.array(self._places), np.array(self._keys), places)
        return new[int(np.argmax(gain))]

    def _learn(self, config: Config, score: float | None) -> None:
        """A trial without a score, or with one that is no number, teaches this model nothing."""
        key = -math.inf if score is None else self._objective.key(score)
        if math.isfinite(key):
            self._places.append(self._place(config))
            self._keys.append(key)

    def _place(self, config: Config) -> Array:
        """Numbers between 0 and 1; what is inactive stands in the middle, a category has a corner."""
        place: list[float] = []
        for name, axis in self._axes.items():
            if isinstance(axis, Categories):
                own = axis.place(config[name]) if name in config else -1
                place += [float(n == own) for n in range(len(axis.values))]
            else:
                place.append(axis.place(config[name]) if name in config else 0.5)
        return np.array(place)


def _axis(domain: Domain) -> Categories | Unit:
    return Categories(values=tuple(domain.values)) if isinstance(domain, Choice) else Unit(domain=domain)


def expected_improvement(places: Array, keys: Array, candidates: Array) -> Array:
    """How much better than the best key each candidate can be expected to be."""
    values = (keys - keys.mean()) / (keys.std() or 1.0)
    factor = np.linalg.cholesky(_kernel(places, places) + 1e-4 * np.eye(len(places)))
    across = np.linalg.solve(factor, _kernel(places, candidates))
    mean = across.T @ np.linalg.solve(factor, values)
    deviation = np.sqrt(np.maximum(1.0 - (across**2).sum(axis=0), 1e-12))
    z = (mean - values.max()) / deviation
    below = np.array([(1.0 + math.erf(each / math.sqrt(2.0))) / 2.0 for each in z])
    density = np.exp(-(z**2) / 2.0) / math.sqrt(2.0 * math.pi)
    return np.asarray(deviation * (z * below + density))


def _kernel(left: Array, right: Array, length: float = 0.3) -> Array:
    squares = ((left[:, None, :] - right[None, :, :]) ** 2).sum(axis=2)
    return np.asarray(np.exp(-squares / (2.0 * length**2)))
