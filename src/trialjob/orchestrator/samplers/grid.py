"""Grid search: every configuration of a finite space, once."""

from __future__ import annotations

from collections.abc import Sequence

from trialjob.model.ids import TrialId
from trialjob.model.json import canonical_json
from trialjob.model.space import Config, Space
from trialjob.orchestrator.core.events import Event, TrialProposed


class GridSampler:
    """The configurations in order, the last hyperparameter varying fastest, without those already proposed.

    Raises ValueError when a domain is continuous.
    """

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
