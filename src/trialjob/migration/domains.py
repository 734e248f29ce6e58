"""Domains in the words of a spec, from bounds as other products have them: both ends belong to the range."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any, Final

from trialjob.migration.translation import Wrong

Domain = dict[str, Any]
#: A range in steps is written out value by value, up to so many; and where they are no multiples.
_STEPS: Final = 200
_MOST_STEPS: Final = 10_000
_LARGEST: Final = 2**53


def choice(values: list[Any]) -> Domain:
    return {"type": "choice", "values": values}


def reals(lower: float, upper: float, where: str, *, kind: str = "uniform") -> Domain:
    """Real numbers; a range of one value is that value."""
    _ordered(lower, upper, where)
    return choice([lower]) if lower == upper else {"type": kind, "lower": lower, "upper": upper}


def integers(lower: float, upper: float, where: str, *, log: bool = False) -> Domain:
    """Whole numbers up to and with ``upper``."""
    _ordered(lower, upper, where)
    low, high = _whole(lower, where), _whole(upper, where)
    if low == high:
        return choice([low])
    return {"type": "lograndint" if log else "randint", "lower": low, "upper": high + 1}


def stepped(lower: float, upper: float, step: float, where: str) -> Domain:
    """The values ``lower``, ``lower + step``, … up to ``upper``, each equally likely."""
    _ordered(lower, upper, where)
    if step <= 0:
        raise Wrong(where, step, "a step above 0")
    first, last, by = (Decimal(str(each)) for each in (lower, upper, step))
    if by == 1 and _is_whole(lower) and _is_whole(upper):
        return integers(lower, upper, where)
    count = int((last - first) / by) + 1
    if count > _STEPS and not first % by:
        # A last one that is no multiple would be rounded, perhaps to above the range.
        return {"type": "quniform", "lower": lower, "upper": float(first + by * (count - 1)), "q": step}
    if count > _MOST_STEPS:
        raise Wrong(where, [lower, upper, step], f"at most {_MOST_STEPS:,} steps, or a multiple of them")
    values = [first + by * at for at in range(count)]
    whole = all(_is_whole(float(each)) for each in (lower, upper, step)) and isinstance(lower, int)
    return {"type": "ordinal", "values": [int(each) if whole else float(each) for each in values]}


def exponents(lower: float, upper: float, where: str, *, kind: str) -> Domain:
    """The range from ``e ** lower`` to ``e ** upper``."""
    try:
        return reals(_short(math.e**lower), _short(math.e**upper), where, kind=kind)
    except OverflowError:
        raise Wrong(where, [lower, upper], "exponents of numbers") from None


def _short(value: float) -> float:
    """Twelve digits are as exact as any search, and can be read."""
    return float(f"{value:.12g}")


def _ordered(lower: float, upper: float, where: str) -> None:
    if not lower <= upper:
        raise Wrong(where, [lower, upper], "a range with its lower end first")


def _is_whole(value: float) -> bool:
    return math.isfinite(value) and value == int(value) and abs(value) <= _LARGEST


def _whole(value: float, where: str) -> int:
    if not _is_whole(value):
        raise Wrong(where, value, "a whole number")
    return int(value)
