"""What a tuning job of the fake proposes.

Rule: Random and Grid are what the service's are. Bayesian and Hyperband draw at random here: how the service
searches is not known, and nothing may be concluded from this fake about how well it does.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any, Final

_SCALES: Final[dict[str, tuple[Callable[[float], float], Callable[[float], float]]]] = {
    "Logarithmic": (math.log, math.exp),
    "ReverseLogarithmic": (lambda x: -math.log1p(-x), lambda y: -math.expm1(-y)),
}
_LINEAR: Final = (float, float)


def proposals(name: str, config: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """The configurations of a tuning job, in order; a function of its name and seed."""
    ranges = config.get("ParameterRanges", {})
    if config["Strategy"] == "Grid":
        rows = ranges.get("CategoricalParameterRanges", [])
        for values in product(*(row["Values"] for row in rows)):
            yield dict(zip((row["Name"] for row in rows), values, strict=True))
        return
    dice = random.Random(f"{name}/{config.get('RandomSeed', '')}")  # noqa: S311 - repeatable on purpose
    while True:
        yield _drawn(ranges, dice)


def _drawn(ranges: Mapping[str, Any], dice: random.Random) -> dict[str, str]:
    found = {row["Name"]: dice.choice(row["Values"]) for row in ranges.get("CategoricalParameterRanges", [])}
    for row in ranges.get("IntegerParameterRanges", []):
        low, high = int(row["MinValue"]), int(row["MaxValue"])
        # Each whole number has the half of the way to either neighbour.
        half = 0.5 if low > 0 or _is_linear(row) else 0.0
        found[row["Name"]] = str(min(high, max(low, round(_at(row, low - half, high + half, dice.random())))))
    for row in ranges.get("ContinuousParameterRanges", []):
        value = _at(row, float(row["MinValue"]), float(row["MaxValue"]), dice.random())
        found[row["Name"]] = repr(value)
    return found


def _is_linear(row: Mapping[str, str]) -> bool:
    return row.get("ScalingType", "Auto") not in _SCALES


def _at(row: Mapping[str, str], low: float, high: float, u: float) -> float:
    there, back = _SCALES.get(row.get("ScalingType", "Auto"), _LINEAR)
    value = back(there(low) + u * (there(high) - there(low)))
    return min(high, max(low, value))
