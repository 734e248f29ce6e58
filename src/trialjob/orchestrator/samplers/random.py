"""Random search, and random search that knows earlier results.

Rule: the configuration of a trial is a function of the seed, the trial's number, what was known at the
beginning and the configurations already proposed; neither the order of calls nor a crash changes it. No
configuration is proposed twice, as a repetition of a finite space would be paid for and teach nothing new.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Final

from trialjob.model.ids import TrialId
from trialjob.model.json import Json, canonical_json
from trialjob.model.metric import Objective
from trialjob.model.space import Choice, Config, Space
from trialjob.orchestrator.core.events import Event, KnownResult, TrialProposed
from trialjob.orchestrator.core.search import BaseSampler, Sampler, Search
from trialjob.orchestrator.samplers.encoding import Unit

#: Draws before it is given up to find a new configuration by chance.
_DRAWS: Final = 100
#: The part of what is known near which configurations are drawn, and how often they are.
_BEST: Final = 1 / 3
_OFTEN: Final = 1 / 2
#: How far a number moves, on the scale of its quantiles, and how often a choice is drawn anew.
_STEP: Final = 0.1
#: The largest float below 1.
_LAST: Final = 1 - 2**-53


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomSearch(BaseSampler):
    """Configurations drawn at random, none of them twice: ``RandomSearch(seed=0)``.

    The same seed gives the same trials, whatever ran in between.
    """

    #: Each hyperparameter by itself. Trial n depends on the seed and n, not on timing.
    kind: ClassVar[str] = "random"
    several_objectives: ClassVar[bool] = True
    #: Where the draws begin. Default: drawn and recorded.
    seed: int | None = None
    #: Experiments in the same store and `.csv` files to learn from first, such as `[digits-x7k2p, old.csv]`.
    warm_start: tuple[str, ...] = ()

    def make(self, search: Search) -> Sampler:
        if self.warm_start:
            return ExperiencedSampler(search.space, search.seed, search.objective)
        return RandomSampler(search.space, search.seed)


class RandomSampler:
    """Draws each hyperparameter independently."""

    #: It learns from nothing else.
    only_proposals: ClassVar[bool] = True

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        self._seed = seed
        self._size = space.size()
        self._proposed: set[str] = set()

    @property
    def is_exhausted(self) -> bool:
        """True when every configuration of a finite space has been proposed, by whomever."""
        return self._size is not None and len(self._proposed) >= self._size

    def is_new(self, config: Config) -> bool:
        """True when it has not been proposed, by whomever."""
        return canonical_json(config) not in self._proposed

    def ask(self, trial: TrialId) -> Config | None:
        if self.is_exhausted:
            return None
        for config in self._draws(trial):
            if self.is_new(config):
                return config
        return self._one_of_the_rest(trial)

    def tell(self, events: Sequence[Event]) -> None:
        self._proposed.update(
            canonical_json(event.config) for event in events if isinstance(event, TrialProposed)
        )

    def _draws(self, trial: TrialId) -> Iterator[Config]:
        for draw in range(_DRAWS):
            # A string seed is hashed with SHA-512, the same in every process and version of Python.
            yield self._space.at(
                {
                    name: random.Random(f"{self._seed}/{trial}/{draw}/{name}").random()  # noqa: S311 - no secret
                    for name in self._space.domains
                }
            )

    def _one_of_the_rest(self, trial: TrialId) -> Config | None:
        rest = [index for index in range(self._size or 0) if self.is_new(self._space.nth(index))]
        if not rest:
            return None
        choice = random.Random(f"{self._seed}/{trial}/rest").choice(rest)  # noqa: S311 - no secret
        return self._space.nth(choice)


class ExperiencedSampler:
    """Random search of which a coin sends half near the best third of what is known.

    The other half does not depend on what is known, which may mislead.
    """

    def __init__(self, space: Space, seed: int, objective: Objective) -> None:
        self._space = space
        self._seed = seed
        self._objective = objective
        self._random = RandomSampler(space, seed)
        self._known: list[KnownResult] = []

    def ask(self, trial: TrialId) -> Config | None:
        if self._random.is_exhausted:
            return None
        return self._near(trial) or self._random.ask(trial)

    def tell(self, events: Sequence[Event]) -> None:
        self._random.tell(events)
        known = [event for event in events if isinstance(event, KnownResult)]
        if known:
            self._known += known
            self.__dict__.pop("_best", None)

    @cached_property
    def _best(self) -> list[Config]:
        """The best third: those first that came further, and of these the better ones."""

        def merit(result: KnownResult) -> tuple[float, float]:
            reached = math.inf if result.pruned_at is None else result.pruned_at
            return reached, self._objective.key(result.score)

        ranked = sorted(self._known, key=merit, reverse=True)
        return [result.config for result in ranked[: math.ceil(_BEST * len(ranked))]]

    def _near(self, trial: TrialId) -> Config | None:
        """A new configuration near one of the best; None where the coin says so, or none is left."""
        rng = random.Random(f"{self._seed}/warm/{trial}")  # noqa: S311 - no secret
        if not self._best or rng.random() >= _OFTEN:
            return None
        drawn = (self._moved(rng.choice(self._best), rng) for _ in range(_DRAWS))
        return next(filter(self._random.is_new, drawn), None)

    def _moved(self, config: Config, rng: random.Random) -> Config:
        moved = {name: self._value(name, value, rng) for name, value in config.items()}
        # Another branch brings hyperparameters that the known one did not have.
        return self._space.complete(moved, {name: rng.random() for name in self._space.domains})

    def _value(self, name: str, value: Json, rng: random.Random) -> Json:
        domain = self._space.domains[name]
        if isinstance(domain, Choice):
            return domain.at(rng.random()) if rng.random() < _STEP else value
        place = abs(Unit(domain=domain).place(value) + rng.gauss(0, _STEP))
        return domain.at(min(2 - place if place > 1 else place, _LAST))
