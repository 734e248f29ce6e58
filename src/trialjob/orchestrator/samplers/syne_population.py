"""How population based training changes the hyperparameters of a copy.

Jaderberg et al., "Population Based Training of Neural Networks", arXiv 1711.09846: a number is multiplied by
1.2 or 0.8, and now and then drawn anew; what has no size is always drawn anew. Syne Tune does so to numbers
as it has them, which here are quantiles; this does it to the values themselves, on their own grid.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from trialjob.model.json import Json
from trialjob.model.space import Choice, Config, Domain, Grid, Ordinal, Space
from trialjob.orchestrator.samplers.encoding import beyond

_UP, _DOWN = 1.2, 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Explorer:
    """Draws from Python's own generator, which its caller has seeded."""

    space: Space
    #: How often a number is drawn anew.
    resample_probability: float

    def changed(self, config: Config) -> Config:
        """A configuration near ``config``, in the space."""
        drawn = {name: random.random() for name in self.space.domains}  # noqa: S311 - no secret
        values = dict(self.space.complete(config, drawn))
        for name, value in config.items():
            values[name] = self._changed(self.space.domains[name], value, drawn[name])
        return self.space.complete(values, drawn)

    def _changed(self, domain: Domain, value: Json, drawn: float) -> Json:
        anew, up = random.random() < self.resample_probability, random.random() < 0.5  # noqa: S311, PLR2004
        if isinstance(domain, Choice | Ordinal | Grid) or not isinstance(value, int | float) or anew:
            return domain.at(drawn)
        return beyond(domain, value, value * (_UP if up else _DOWN))
