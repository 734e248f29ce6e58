"""Curves as a line of block characters, for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

_BLOCKS = "▁▂▃▄▅▆▇█"


def spark(values: Sequence[float], width: int) -> str:
    """``▁▃▆█``: the lowest value is the lowest block; longer lists are thinned. Empty below two values."""
    finite = [value for value in values if math.isfinite(value)]
    if len(finite) < 2:  # noqa: PLR2004 - one point is no curve
        return ""
    if len(finite) > width:
        finite = [finite[place * (len(finite) - 1) // (width - 1)] for place in range(width)]
    low, high = min(finite), max(finite)
    # Halved, as the distance between two large numbers may be no number.
    half = (high / 2 - low / 2) or 1.0
    top = len(_BLOCKS) - 1
    return "".join(_BLOCKS[min(top, int((value / 2 - low / 2) / half * top + 0.5))] for value in finite)
