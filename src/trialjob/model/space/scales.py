"""Quantiles of the distributions that real numbers are drawn from."""

from __future__ import annotations

import math
import sys
from statistics import NormalDist
from typing import Final

_STANDARD: Final = NormalDist()
#: As far from 0 as the largest float below 1 is from 1: the ends of the normal distribution are finite.
_LEAST: Final = 2.0**-53
_LARGEST: Final = sys.float_info.max
_SMALLEST: Final = math.ulp(0.0)


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
