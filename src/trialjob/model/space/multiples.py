"""The multiples of a quantum, as exact as they can be written.

Rule: a multiple is the float nearest to the decimal that a person would write: 3 x 0.1 is 0.3, not
0.30000000000000004. The multiples of a whole quantum are whole numbers, 64 and not 64.0, as scripts expect.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, overload

from trialjob.in_job import scales
from trialjob.model.json import Json
from trialjob.model.space.domain import MOST_LISTED, as_number

#: Smaller floats have too few digits to be multiplied.
_LEAST: Final = 1e-300


@dataclass(frozen=True, slots=True)
class Multiples:
    """The multiples of one quantum."""

    q: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.q) or self.q < _LEAST:
            raise ValueError(f"q {self.q!r} must be above 0; it is the distance between two values")

    def number(self, value: float) -> int:
        """The number of the multiple nearest to ``value``: round(value / q), half to even."""
        return scales.number_of_multiple(value, self.q)

    def nth(self, number: int) -> int | float:
        """The multiple of that number."""
        return scales.multiple(number, self.q)

    def nearest(self, value: float) -> int | float:
        """round(value / q) * q."""
        return self.nth(self.number(value))

    def includes(self, value: Json) -> bool:
        """True when ``value`` is one of the multiples."""
        number = as_number(value)
        if number is None:
            return False
        return abs(number / self.q) >= scales.EXACT or float(self.nearest(number)) == number

    def spelled(self, value: Json) -> Json:
        """``value``; of a multiple as ``nth`` writes it: 1 is the 1.0 of the multiples of 0.5."""
        number = as_number(value)
        if number is None or abs(number / self.q) >= scales.EXACT:
            return value
        known = self.nearest(number)
        return known if known == number else value

    def between(self, first: int, last: int) -> Sequence[Json] | None:
        """The multiples with these numbers and those between, unless they are too many."""
        return _Listed(self, range(first, last + 1)) if last - first < MOST_LISTED else None


class _Listed(Sequence[Json]):
    """Some multiples in order, each made when it is asked for."""

    def __init__(self, multiples: Multiples, numbers: range) -> None:
        self._multiples = multiples
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, place: int) -> Json: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Json]: ...
    def __getitem__(self, place: int | slice) -> Json | Sequence[Json]:
        if isinstance(place, slice):
            return _Listed(self._multiples, self._numbers[place])
        return self._multiples.nth(self._numbers[place])
