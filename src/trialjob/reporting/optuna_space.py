"""Our domains as Optuna's distributions, and a configuration as Optuna's parameters.

Rule 1: every value that a trial has lies in its distribution, which is what its domain spans.
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
from trialjob.model.space import Config, Domain
from trialjob.reporting.domain_spans import Options, span_of


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
    span = span_of(domain, holding)
    if isinstance(span, Options):
        return CategoricalDistribution(_choices(domain.listed() or (holding,)))
    if span.whole:
        return IntDistribution(int(span.low), int(span.high), log=span.log, step=int(span.step))
    return FloatDistribution(span.low, span.high, log=span.log, step=span.step or None)


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
