"""Whole numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import ClassVar, Literal

from trialjob.model.json import Json
from trialjob.model.space.domain import MOST_LISTED, check_logarithmic, is_whole


@dataclass(frozen=True, slots=True)
class _Whole:
    __pydantic_config__: ClassVar = {"extra": "forbid"}

    #: The smallest value.
    lower: int
    #: One more than the largest value.
    upper: int

    def __post_init__(self) -> None:
        if not (isinstance(self.lower, Integral) and isinstance(self.upper, Integral)):
            raise ValueError(  # noqa: TRY004 - what every domain raises
                f"lower {self.lower!r} and upper {self.upper!r} must both be whole numbers"
            )
        if self.lower >= self.upper:
            raise ValueError(
                f"lower {self.lower} must be less than upper {self.upper}; "
                "raise upper, as the upper end is exclusive"
            )

    def contains(self, value: Json) -> bool:
        return isinstance(value, int) and is_whole(value) and self.lower <= value < self.upper

    def listed(self) -> Sequence[Json] | None:
        return range(self.lower, self.upper) if self.upper - self.lower <= MOST_LISTED else None


@dataclass(frozen=True, slots=True)
class RandInt(_Whole):
    """A whole number in [lower, upper): ``RandInt(1, 9)`` is one of 1 to 8.

    The upper end is exclusive, as in NumPy, Ray Tune and Snowflake. ValueError when the range is empty.
    """

    #: `{type: randint, lower: 1, upper: 9}`: whole numbers; the upper end is exclusive.
    type: Literal["randint"] = field(default="randint", kw_only=True)

    def at(self, u: float) -> Json:
        return min(self.upper - 1, self.lower + int(u * (self.upper - self.lower)))


@dataclass(frozen=True, slots=True)
class LogRandInt(_Whole):
    """A whole number in [lower, upper), uniform in the logarithm: ``LogRandInt(1, 1025)``.

    floor(exp(uniform(log(lower), log(upper)))).
    """

    #: `{type: lograndint, lower: 1, upper: 1025}`: whole numbers, uniform in the logarithm; the upper end is
    #: exclusive.
    type: Literal["lograndint"] = field(default="lograndint", kw_only=True)

    def __post_init__(self) -> None:
        _Whole.__post_init__(self)
        check_logarithmic(self.lower, instead="randint")

    def at(self, u: float) -> Json:
        low, high = math.log(self.lower), math.log(self.upper)
        return min(self.upper - 1, max(self.lower, int(math.exp(low * (1 - u) + high * u))))
