"""Hyperparameters as a library's model sees them: categories, whole numbers, or the unit interval.

Rule: an axis adds nothing to its domain. Every place on it is a value of the domain, and every value has a
place, so a model may be told of configurations that it did not propose.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from trialjob.model.json import Json, canonical_json
from trialjob.model.space import Choice, Domain, RandInt

#: Whole numbers up to here are exact as floats, which is how models keep them.
_EXACT = 2**53
#: The largest float below 1.
_LAST = 1 - 2**-53


@dataclass(frozen=True, slots=True, kw_only=True)
class Categories:
    """Values without an order; a place is an index."""

    values: tuple[Json, ...]
    _index: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        index = {canonical_json(value): place for place, value in enumerate(self.values)}
        object.__setattr__(self, "_index", index)

    def value(self, place: float) -> Json:
        return self.values[int(place)]

    def place(self, value: Json) -> int:
        return self._index[canonical_json(value)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Integers:
    """The whole numbers from ``lower`` to ``upper``, both included; each is its own place."""

    lower: int
    upper: int

    def value(self, place: float) -> Json:
        return int(place)

    def place(self, value: Json) -> int:
        if not isinstance(value, int):
            raise TypeError(f"{value!r} is not a whole number")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A domain on the scale of its quantiles, from 0 to 1."""

    domain: Domain
    _rank: Callable[[Json], float] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_rank", _rank(self.domain))

    def value(self, place: float) -> Json:
        return self.domain.at(min(max(place, 0.0), _LAST))

    def place(self, value: Json) -> float:
        """The middle of the quantiles that give ``value``."""
        rank = self._rank(value)
        first = _edge(self.domain, self._rank, lambda other: other >= rank)
        middle = (first + _edge(self.domain, self._rank, lambda other: other > rank)) / 2
        # Far out on a normal distribution a value may have a single quantile, and there is no middle.
        return middle if self._rank(self.value(middle)) == rank else first


def _edge(domain: Domain, rank: Callable[[Json], float], holds: Callable[[float], bool]) -> float:
    """The quantile at which ``holds`` begins to be true, by bisection: domains never decrease."""
    if holds(rank(domain.at(0.0))):
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(53):
        middle = (low + high) / 2
        if holds(rank(domain.at(middle))):
            high = middle
        else:
            low = middle
    return high


def beyond(domain: Domain, value: float, target: float) -> Json:
    """The number of ``domain`` nearest behind ``target`` on the way from ``value``, or the last before it."""
    rank = _rank(domain)
    if target > value:
        return domain.at(min(_edge(domain, rank, lambda other: other >= target), _LAST))
    edge = _edge(domain, rank, lambda other: other > target)
    # Where the bisection was last below the edge; where all numbers are greater, the first is the last.
    return domain.at(max(0.0, edge - 2**-53))


Axis: TypeAlias = Categories | Integers | Unit


def axis_of(domain: Domain) -> Axis:
    """The axis on which a model sees ``domain`` best."""
    if isinstance(domain, Choice):
        return Categories(values=tuple(domain.values))
    if isinstance(domain, RandInt) and -_EXACT < domain.lower < domain.upper < _EXACT:
        return Integers(lower=domain.lower, upper=domain.upper - 1)
    return Unit(domain=domain)


def _rank(domain: Domain) -> Callable[[Json], float]:
    """What puts the values of ``domain`` into its own order: numbers by size, others as they are listed."""
    listed = domain.listed()
    if listed is None or isinstance(listed, range):
        return lambda value: float(str(value))
    index = {canonical_json(value): place for place, value in enumerate(listed)}
    return lambda value: index[canonical_json(value)]
