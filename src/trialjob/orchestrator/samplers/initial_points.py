"""The user's own configurations first, then those of another sampler.

Rule: what a point leaves out is drawn at random, as a function of the seed, the trial's number and the name.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from trialjob.model.ids import TrialId
from trialjob.model.space import Config, Space
from trialjob.orchestrator.core.events import Event
from trialjob.orchestrator.core.search import only_proposals
from trialjob.orchestrator.ports import Sampler


class PointsFirst:
    """The n-th trial gets the n-th point, and trials after the last point are the other sampler's."""

    def __init__(self, points: Sequence[Config], space: Space, seed: int, after: Sampler) -> None:
        self._points = points
        self._space = space
        self._seed = seed
        self._after = after
        self.only_proposals = only_proposals(after)

    def ask(self, trial: TrialId) -> Config | None:
        if trial > len(self._points):
            return self._after.ask(trial)
        drawn = {
            name: random.Random(f"{self._seed}/{trial}/point/{name}").random()  # noqa: S311 - no secret
            for name in self._space.domains
        }
        return self._space.complete(self._points[trial - 1], drawn)

    def tell(self, events: Sequence[Event]) -> None:
        self._after.tell(events)
