"""Our domains as Optuna's distributions, and a configuration as Optuna's parameters.

Rule 1: every value that a trial has lies in its distribution. Where Optuna has no such distribution (a normal
one, multiples on a log scale) it is the nearest interval that holds them all.
Rule 2: a choice between values that Optuna or Python would take for each other is one between their JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from trialjob.model.json import Json, canonical_json
from trialjob.model.space import (
    Config,
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


def parameters(
    config: Config, domains: Mapping[str, Domain]
) -> tuple[dict[str, object], dict[str, BaseDistribution]]:
    """Values and distributions of the hyperparameters of ``config`` that are in the space."""
    values: dict[str, object] = {}
    distributions: dict[str, BaseDistribution] = {}
    for name, given in config.items():
        if name in domains:
            distributions[name] = distribution(domains[name], given)
            values[name] = _value(domains[name], distributions[name], given)
    return values, distributions


def distribution(domain: Domain, holding: Json) -> BaseDistribution:
    """The distribution of a domain, wide enough to hold a value of it."""
    match domain:
        case Uniform() | ReverseLogUniform():
            return FloatDistribution(domain.lower, domain.upper)
        case LogUniform():
            return FloatDistribution(domain.lower, domain.upper, log=True)
        case RandInt():
            return IntDistribution(domain.lower, domain.upper - 1)
        case LogRandInt():
            return IntDistribution(domain.lower, domain.upper - 1, log=True)
        case QUniform():
            return _stepped(domain.at(0.0), domain.at(_HIGH), domain.q, holding)
        case Normal() | QNormal():
            return _around(domain, holding, log=False)
        case LogNormal() | QLogNormal() | QLogUniform():
            return _around(domain, holding, log=True)
        case _:
            return CategoricalDistribution(_choices(domain.listed() or (holding,)))


def _around(domain: Domain, holding: Json, *, log: bool) -> FloatDistribution:
    """An interval with all but the most unlikely values, and this one."""
    ends = [float(str(value)) for value in (domain.at(_LOW), domain.at(_HIGH), holding)]
    low, high = min(ends), max(ends)
    return FloatDistribution(low, high, log=log and low > 0)


def _stepped(low: Json, high: Json, step: float, holding: Json) -> BaseDistribution:
    ends = [low, high, holding]
    if all(isinstance(value, int) for value in ends) and float(step).is_integer():
        whole = [int(str(value)) for value in ends]
        return IntDistribution(min(whole), max(whole), step=int(step))
    real = [float(str(value)) for value in ends]
    return FloatDistribution(min(real), max(real), step=step)


def _choices(values: Sequence[Json]) -> list[bool | int | float | str | None]:
    plain = [value for value in values if isinstance(value, bool | int | float | str | None)]
    # 1, 1.0 and True are one value to Python, and three to a training script.
    if len(plain) == len(values) and len(set(plain)) == len(plain):
        return plain
    return [canonical_json(value) for value in values]


def _value(domain: Domain, into: BaseDistribution, given: Json) -> object:
    if not isinstance(into, CategoricalDistribution):
        return float(str(given)) if isinstance(into, FloatDistribution) else given
    listed = domain.listed() or (given,)
    place = [canonical_json(value) for value in listed].index(canonical_json(given))
    return into.choices[place]
