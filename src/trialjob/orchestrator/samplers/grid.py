"""Grid search: every configuration of a finite space, once."""

from __future__ import annotations

from collections.abc import Sequence

from trialjob.model.ids import TrialId
from trialjob.model.space import Config, Space
from trialjob.orchestrator.core.events import Event


class GridSampler:
    """The n-th trial gets the n-th configuration, the last hyperparameter varying fastest.

    Raises ValueError when a domain is continuous.
    """

    def __init__(self, space: Space) -> None:
        space.nth(0)
        self._space = space

    def ask(self, trial: TrialId) -> Config | None:
        try:
            return self._space.nth(trial - 1)
        except IndexError:
            return None

    def tell(self, events: Sequence[Event]) -> None:
        """Nothing that happens changes a grid."""
