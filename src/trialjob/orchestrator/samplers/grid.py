"""Grid search: every configuration of a finite space, once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from trialjob.errors import Problem
from trialjob.model.ids import TrialId
from trialjob.model.json import canonical_json
from trialjob.model.paths import path_text
from trialjob.model.space import Config, Space
from trialjob.orchestrator.core.events import Event, TrialProposed
from trialjob.orchestrator.core.search import BaseSampler, Sampler, Search


@dataclass(frozen=True, slots=True, kw_only=True)
class GridSearch(BaseSampler):
    """Every configuration of a space of choices and whole numbers, one after the other: ``GridSearch()``."""

    #: Every configuration of a finite space, in order.
    kind: ClassVar[str] = "grid"
    several_objectives: ClassVar[bool] = True

    def problems_with(self, search: Search) -> Iterator[Problem]:
        """Domains that a grid cannot go through."""
        for path, domain in search.space.places():
            if domain.listed() is None:
                yield Problem(
                    field=path_text(("space", *path)),
                    message=f"{getattr(domain, 'type', 'it')} has too many values for the sampler 'grid'",
                    remedy="use a choice of values, or the sampler 'random'",
                )

    def make(self, search: Search) -> Sampler:
        return GridSampler(search.space)


class GridSampler:
    """The configurations in order, the last hyperparameter varying fastest, without those already proposed.

    Raises ValueError when a domain is continuous.
    """

    #: It learns from nothing else.
    only_proposals: ClassVar[bool] = True

    def __init__(self, space: Space) -> None:
        space.nth(0)
        self._space = space
        self._next = 0
        self._proposed: set[str] = set()

    def ask(self, trial: TrialId) -> Config | None:  # noqa: ARG002 - what was proposed says where it stands
        while True:
            try:
                config = self._space.nth(self._next)
            except IndexError:
                return None
            if canonical_json(config) not in self._proposed:
                return config
            self._next += 1

    def tell(self, events: Sequence[Event]) -> None:
        self._proposed.update(
            canonical_json(event.config) for event in events if isinstance(event, TrialProposed)
        )
