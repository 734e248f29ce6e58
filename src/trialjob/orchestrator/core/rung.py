"""A resource level at which trials are compared."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass


def as_written(resource: float) -> float:
    """What a person would write for a product or a quotient: 0.9 for 0.8999999999999999."""
    return float(f"{resource:.12g}")


def reaches(resource: float, level: float) -> bool:
    """Whether a report is at a level or further; a hair, as of 2.1 / 3 above 0.7, makes no difference."""
    return as_written(resource) >= as_written(level)


@dataclass(frozen=True, slots=True)
class Rung:
    """The values with which trials entered a rung, as keys where more is better, in ascending order."""

    keys: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.keys)

    def enter(self, key: float) -> Rung:
        """This rung with one more value."""
        keys = list(self.keys)
        insort(keys, key)
        return Rung(tuple(keys))

    def better_than(self, key: float) -> int:
        """How many values are strictly better."""
        return len(self.keys) - bisect_right(self.keys, key)

    def best(self) -> float:
        """The best value that is not infinite; -inf when there is none."""
        end = bisect_left(self.keys, math.inf)
        return self.keys[end - 1] if end else -math.inf

    def median(self) -> float:
        """The middle value, or the mean of the two in the middle; -inf when there is none.

        Where an infinity stands in the middle it is the lesser of the two, as they have no mean.
        """
        if not self.keys:
            return -math.inf
        low, high = self.keys[(len(self.keys) - 1) // 2], self.keys[len(self.keys) // 2]
        # Halved before they are added, as two large numbers may have no sum.
        return low if low == high or math.isinf(low) or math.isinf(high) else low / 2 + high / 2

    def worse_than(self, key: float) -> int:
        """How many values are strictly worse."""
        return bisect_left(self.keys, key)
