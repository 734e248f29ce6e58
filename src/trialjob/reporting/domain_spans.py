"""What a domain spans, as statistics see it: an interval, or options to choose from.

Rule: every value that a trial has lies in its span. Where a domain has no bounds (a normal one), or is finer
than multiples of a step (on a log scale), it is the nearest interval that holds them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from trialjob.model.json import Json, canonical_json
from trialjob.model.space import (
    Domain,
    LogNormal,
    LogRandInt,
    LogUniform,
    Normal,
    QLogNormal,
    QLogUniform,
    QNormal,
    QUniform,
    RandInt,
    ReverseLogUniform,
    Uniform,
)

#: Quantiles between which practically all of an unbounded distribution lies.
_LOW, _HIGH = 1e-12, 1 - 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Both ends are in it."""

    low: float
    high: float
    log: bool = False
    #: 0 where there is none.
    step: float = 0
    #: Of whole numbers, with a step of at least 1.
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The values, each as JSON: 1, 1.0 and True are one value to Python, and three to a script."""

    texts: tuple[str, ...]


Span = Interval | Options


def span_of(domain: Domain, holding: Json) -> Span:
    """What a domain spans, wide enough to hold a value of it."""
    match domain:
        case Uniform() | ReverseLogUniform():
            return Interval(low=domain.lower, high=domain.upper)
        case LogUniform():
            return Interval(low=domain.lower, high=domain.upper, log=True)
        case RandInt():
            return Interval(low=domain.lower, high=domain.upper - 1, step=1, whole=True)
        case LogRandInt():
            return Interval(low=domain.lower, high=domain.upper - 1, step=1, whole=True, log=True)
        case QUniform():
            return _stepped(domain.at(0.0), domain.at(_HIGH), domain.q, holding)
        case Normal() | QNormal():
            return _around(domain, holding, log=False)
        case LogNormal() | QLogNormal() | QLogUniform():
            return _around(domain, holding, log=True)
        case _:
            return Options(texts=tuple(map(canonical_json, domain.listed() or (holding,))))


def _around(domain: Domain, holding: Json, *, log: bool) -> Interval:
    """An interval with all but the most unlikely values, and this one."""
    ends = [float(str(value)) for value in (domain.at(_LOW), domain.at(_HIGH), holding)]
    low, high = min(ends), max(ends)
    return Interval(low=low, high=high, log=log and low > 0)


def _stepped(low: Json, high: Json, step: float, holding: Json) -> Interval:
    """An interval that ends at a multiple of its step."""
    ends = [low, high, holding]
    whole = all(isinstance(value, int) for value in ends) and float(step).is_integer()
    kind = int if whole else float
    exact = [Decimal(str(value)) for value in ends]
    least, size = min(exact), Decimal(str(step))
    most = least + (max(exact) - least) // size * size
    return Interval(low=kind(least), high=kind(most), step=kind(step), whole=whole)
