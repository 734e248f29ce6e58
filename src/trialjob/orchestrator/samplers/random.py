"""Random search.

Rule: the configuration of a trial is a function of the seed, the trial's number and the configurations
already proposed; neither the order of calls nor a crash changes it. No configuration is proposed twice, as a
repetition of a finite space would be paid for and teach nothing new.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from trialjob.model.ids import TrialId
from trialjob.model.json import canonical_json
from trialjob.model.space import Config, Space
from trialjob.orchestrator.core.events import Event, TrialProposed
from trialjob.orchestrator.core.search import BaseSampler, Sampler, Search

#: Draws before the configurations that are left are listed and one of them is drawn.
_DRAWS = 100


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

    def make(self, search: Search) -> Sampler:
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
