"""What a domain is: a map from the unit interval to the values of one hyperparameter.

Rule: a domain has no randomness of its own. A sampler brings numbers in [0, 1); ``at(u)`` turns each into a
value, so every sampler (random, Sobol, grid) sees the same scaling, and a configuration is a function of
the numbers alone. ``at`` never decreases.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import ClassVar, Protocol, TypeAlias

from trialjob.model.json import Json

#: One trial's hyperparameters, constants excluded.
Config: TypeAlias = Mapping[str, Json]
#: Above this many values a domain is not listed.
MOST_LISTED = 100_000


class Domain(Protocol):
    """The values one hyperparameter may take."""

    def at(self, u: float) -> Json:
        """The value at quantile ``u`` in [0, 1)."""

    def contains(self, value: Json) -> bool:
        """True when ``value`` belongs to the domain."""

    def listed(self) -> Sequence[Json] | None:
        """All values in order, or None when there are more than can be listed."""


class Endless:
    """What domains have in common of which the values cannot be listed."""

    __slots__ = ()

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    def listed(self) -> Sequence[Json] | None:
        return None


def as_number(value: Json) -> float | None:
    """``value`` as a finite float, or None; booleans are no numbers here."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def is_between(value: Json, lower: float, upper: float) -> bool:
    """True for a number in [lower, upper]."""
    number = as_number(value)
    return number is not None and lower <= number <= upper


def is_whole(value: Json) -> bool:
    """True for a whole number that is written as one."""
    return isinstance(value, int) and not isinstance(value, bool)


def check_range(lower: float, upper: float) -> None:
    """Raise ValueError unless the two are a range."""
    _check_finite(lower=lower, upper=upper)
    if lower >= upper:
        instead = "swap them" if lower > upper else "raise upper, or write a constant in place of the domain"
        raise ValueError(f"lower {lower!r} must be less than upper {upper!r}; {instead}")


def _check_finite(**both: float) -> None:
    # A spec file's values have types by now; what Python code gives may have any.
    if not all(isinstance(value, Real) and math.isfinite(value) for value in both.values()):
        words = " and ".join(f"{name} {value!r}" for name, value in both.items())
        raise ValueError(f"{words} must both be finite numbers")


def check_logarithmic(lower: float, *, instead: str) -> None:
    """Raise ValueError, which names the type to use ``instead``, unless the range has a logarithm."""
    if lower <= 0:
        raise ValueError(f"lower {lower!r} must be above 0 on a log scale; use {instead!r} instead")


def check_normal(mu: float, sigma: float) -> None:
    """Raise ValueError unless the two are the parameters of a normal distribution."""
    _check_finite(mu=mu, sigma=sigma)
    if sigma <= 0:
        raise ValueError(
            f"sigma {sigma!r} must be above 0; write one that is, or a constant in place of the domain"
        )
