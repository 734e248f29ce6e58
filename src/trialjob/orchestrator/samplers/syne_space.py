"""Our spaces in the words of Syne Tune.

Rule: Syne Tune sees the unit interval and bare categories, whatever the domain. Scales, grids and whole
numbers are ours (``axes``): how it encodes them does not matter, and what comes back lies in the space.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from trialjob.model.space import Choice, Config, Space
from trialjob.orchestrator.samplers.encoding import Categories, Unit

#: A configuration as Syne Tune has it: a number in [0, 1], or the index of a category as text.
Place: TypeAlias = Mapping[str, Any]


class SyneSpace:
    """A space, to Syne Tune's searchers."""

    def __init__(self, space: Space) -> None:
        self._space = space
        # What has one value only is nothing to search, and models divide by how many there are less one.
        self._axes: dict[str, Categories | Unit] = {
            name: Categories(values=tuple(domain.values))
            if isinstance(domain, Choice)
            else Unit(domain=domain)
            for name, domain in space.domains.items()
            if len(domain.listed() or (0, 1)) > 1
        }

    @property
    def dimensions(self) -> int:
        """How many hyperparameters vary."""
        return len(self._axes)

    def domains(self) -> dict[str, Any]:
        """Syne Tune's own space, made anew, as searchers may keep it."""
        from syne_tune.config_space import choice, uniform  # noqa: PLC0415 - an extra, and slow

        return {
            name: choice([str(index) for index in range(len(axis.values))])
            if isinstance(axis, Categories)
            else uniform(0.0, 1.0)
            for name, axis in self._axes.items()
        }

    def place(self, config: Config) -> Place:
        """Where a configuration is. What is inactive in it stands in the middle: models must have it all."""
        return {name: self._placed(name, axis, config) for name, axis in self._axes.items()}

    def _placed(self, name: str, axis: Categories | Unit, config: Config) -> float | str:
        domain = self._space.domains[name]
        place = axis.place(config[name] if name in config else domain.at(0.5))
        return str(place) if isinstance(axis, Categories) else float(place)

    def config(self, place: Place) -> Config:
        """The configuration at a place that Syne Tune proposed."""
        values = {
            name: self._axes[name].value(float(place[name])) if name in self._axes else domain.at(0.5)
            for name, domain in self._space.domains.items()
        }
        return self._space.active(values)
