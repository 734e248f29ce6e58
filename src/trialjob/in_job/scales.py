"""Quantiles of the distributions that real numbers are drawn from, and the multiples of a quantum.

The search space has its values from here, and so has a job whose service searches quantiles.
Rule: standard library only, Python 3.8, and pure.
"""

from __future__ import annotations

import math
import sys
from decimal import Context, Decimal
from statistics import NormalDist
from typing import Final, Union

_STANDARD: Final = NormalDist()
#: As far from 0 as the largest float below 1 is from 1: the ends of the normal distribution are finite.
_LEAST: Final = 2.0**-53
_LARGEST: Final = sys.float_info.max
_SMALLEST: Final = 5e-324
#: More digits than two floats have between them.
_CONTEXT: Final = Context(prec=60)
#: From here on every float is a whole number, and a product may not be exact.
EXACT: Final = 2**53


def uniform(u: float, lower: float, upper: float) -> float:
    return min(upper, max(lower, lower * (1 - u) + upper * u))


def loguniform(u: float, lower: float, upper: float) -> float:
    low, high = math.log(lower), math.log(upper)
    return min(upper, max(lower, math.exp(low * (1 - u) + high * u)))


def reverseloguniform(u: float, lower: float, upper: float) -> float:
    low, high = math.log1p(-lower), math.log1p(-upper)
    return min(upper, max(lower, -math.expm1(low * (1 - u) + high * u)))


def normal(u: float, mu: float, sigma: float) -> float:
    """``mu`` plus at most 8.3 ``sigma`` either way, which is what a float in [0, 1) can tell apart."""
    value = mu + sigma * _STANDARD.inv_cdf(min(1 - _LEAST, max(_LEAST, u)))
    return min(_LARGEST, max(-_LARGEST, value))


def lognormal(u: float, mu: float, sigma: float) -> float:
    exponent = normal(u, mu, sigma)
    try:
        return max(_SMALLEST, math.exp(exponent))
    except OverflowError:
        return _LARGEST


def number_of_multiple(value: float, q: float) -> int:
    """The number of the multiple of ``q`` nearest to ``value``: round(value / q), half to even."""
    ratio = value / q
    return round(ratio if math.isfinite(ratio) else math.copysign(_LARGEST, ratio))


def multiple(number: int, q: float) -> Union[int, float]:  # noqa: UP007 - Python 3.8
    """The multiple of ``q`` of that number: the float nearest to the decimal that a person would write."""
    value = float(_CONTEXT.multiply(Decimal(repr(q)), Decimal(number)))
    if not math.isfinite(value):
        return math.copysign(_LARGEST, value)
    return int(value) if float(q).is_integer() and abs(value) < EXACT else value
