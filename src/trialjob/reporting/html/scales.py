"""Ranges of axes and samples of long lists: what keeps a figure readable and quick."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TypeVar

from trialjob.reporting.html.columns import finite

T = TypeVar("T")

#: The range of an axis is cut when the outermost tenth of the values would take so many times the rest.
_OUTLYING = 10.0
_FEWEST = 10


def evenly(items: Sequence[T], most: int) -> list[T]:
    """At most ``most`` of ``items`` at even distances, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    step = (len(items) - 1) / max(1, most - 1)
    return [items[round(place * step)] for place in range(most)]


def axis_range(values: Iterable[float | None]) -> list[float] | None:
    """The part of an axis that is shown at first: None for all of it.

    One diverged loss of 1e6 would otherwise flatten everything else. A double click shows the whole.
    """
    known = sorted(value for value in values if finite(value) is not None and value is not None)
    if len(known) < _FEWEST:
        return None
    low, high = known[len(known) // 20], known[-1 - len(known) // 20]
    spread = high - low
    if spread <= 0 or not math.isfinite(known[-1] - known[0]):
        return None if spread <= 0 else [low, high]
    if known[-1] - known[0] <= _OUTLYING * spread:
        return None
    return [max(known[0], low - spread / 4), min(known[-1], high + spread / 4)]
