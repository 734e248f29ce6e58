"""The search space: named domains, each a map from the unit interval to its values.

Rule: a domain has no randomness of its own. A sampler brings numbers in [0, 1); ``at(u)`` turns each into a
value, so every sampler (random, Sobol, grid) sees the same scaling, and a configuration is a function of
the numbers alone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, TypeAlias

from trialjob.model.json import Json, canonical_json

#: One trial's hyperparameters, constants excluded.
Config: TypeAlias = Mapping[str, Json]


class Domain(Protocol):
    """The values one hyperparameter may take."""

    def at(self, u: float) -> Json:
        """The value at quantile ``u`` in [0, 1)."""
        ...

    def contains(self, value: Json) -> bool:
        """True when ``value`` belongs to the domain."""
        ...

    def listed(self) -> Sequence[Json] | None:
        """All values in order, or None when there are more than can be listed."""
        ...


def _number(value: Json) -> float | None:
    """``value`` as a float, or None; booleans are no numbers here."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _check_range(lower: float, upper: float) -> None:
    if not (math.isfinite(lower) and math.isfinite(upper)):
        raise ValueError(f"lower {lower!r} and upper {upper!r} must both be finite")
    if lower >= upper:
        raise ValueError(f"lower {lower!r} must be less than upper {upper!r}; swap them, or write a constant")


@dataclass(frozen=True, slots=True, kw_only=True)
class Uniform:
    """A real number, every value in [lower, upper] equally likely."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    lower: float
    upper: float
    type: Literal["uniform"] = "uniform"

    def __post_init__(self) -> None:
        _check_range(self.lower, self.upper)

    def at(self, u: float) -> Json:
        return min(self.upper, self.lower * (1 - u) + self.upper * u)

    def contains(self, value: Json) -> bool:
        number = _number(value)
        return number is not None and self.lower <= number <= self.upper

    def listed(self) -> None:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogUniform:
    """A positive real number whose logarithm is uniform."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    lower: float
    upper: float
    type: Literal["loguniform"] = "loguniform"

    def __post_init__(self) -> None:
        _check_range(self.lower, self.upper)
        if self.lower <= 0:
            raise ValueError(f"lower {self.lower!r} must be above 0 on a log scale; use 'uniform' instead")

    def at(self, u: float) -> Json:
        low, high = math.log(self.lower), math.log(self.upper)
        return min(self.upper, max(self.lower, math.exp(low * (1 - u) + high * u)))

    def contains(self, value: Json) -> bool:
        number = _number(value)
        return number is not None and self.lower <= number <= self.upper

    def listed(self) -> None:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class RandInt:
    """A whole number in [lower, upper): the upper end is exclusive, as in NumPy, Ray Tune and Snowflake."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}
    #: Above this many values a range is not listed.
    LISTED: ClassVar[int] = 100_000

    lower: int
    upper: int
    type: Literal["randint"] = "randint"

    def __post_init__(self) -> None:
        if self.lower >= self.upper:
            raise ValueError(
                f"lower {self.lower} must be less than upper {self.upper}; the upper end is exclusive"
            )

    def at(self, u: float) -> Json:
        return min(self.upper - 1, self.lower + int(u * (self.upper - self.lower)))

    def contains(self, value: Json) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and self.lower <= value < self.upper

    def listed(self) -> Sequence[Json] | None:
        return range(self.lower, self.upper) if self.upper - self.lower <= self.LISTED else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of the listed values, each equally likely; any JSON value may be listed."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    values: tuple[Json, ...]
    type: Literal["choice"] = "choice"

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("values [] is empty; list at least one value")
        counts = Counter(canonical_json(value) for value in self.values)
        twice = sorted(text for text, count in counts.items() if count > 1)
        if twice:
            raise ValueError(f"values lists {', '.join(twice)} more than once; list each value once")

    def at(self, u: float) -> Json:
        return self.values[min(len(self.values) - 1, int(u * len(self.values)))]

    def contains(self, value: Json) -> bool:
        # By their text, because 1, 1.0 and True are equal in Python and different values in a spec.
        return canonical_json(value) in {canonical_json(known) for known in self.values}

    def listed(self) -> Sequence[Json]:
        return self.values


@dataclass(frozen=True, slots=True)
class Space:
    """The hyperparameters to be searched, in the order of the spec."""

    domains: Mapping[str, Domain]

    def at(self, point: Mapping[str, float]) -> Config:
        """The configuration at a point of the unit cube, one number in [0, 1) for each name."""
        return {name: domain.at(point[name]) for name, domain in self.domains.items()}

    def size(self) -> int | None:
        """How many configurations there are, or None when they cannot be counted off."""
        total = 1
        for domain in self.domains.values():
            listed = domain.listed()
            if listed is None:
                return None
            total *= len(listed)
        return total

    def nth(self, index: int) -> Config:
        """The configuration at ``index`` of the grid, the last name varying fastest.

        Raises ValueError naming a domain that is continuous, IndexError past the end.
        """
        config: dict[str, Json] = {}
        rest = index
        for name in reversed(list(self.domains)):
            listed = self.domains[name].listed()
            if listed is None:
                raise ValueError(f"{name} is continuous and has no grid; list its values with 'choice'")
            rest, place = divmod(rest, len(listed))
            config[name] = listed[place]
        if rest:
            raise IndexError(index)
        return {name: config[name] for name in self.domains}
