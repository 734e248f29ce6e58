"""Numbers drawn from a distribution and rounded to multiples of ``q``: round(x / q) * q, always.

The definitions are those of Hyperopt and of Azure ML: half-way cases go to the even multiple, and a bound
that is no multiple of ``q`` is rounded as well, so a result may lie up to q / 2 outside [lower, upper].

https://hyperopt.github.io/hyperopt/getting-started/search_spaces/
https://learn.microsoft.com/python/api/azureml-train-core/azureml.train.hyperdrive.parameter_expressions
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from trialjob.in_job import scales
from trialjob.model.json import Json
from trialjob.model.space.domain import as_number, check_logarithmic, check_range, is_between
from trialjob.model.space.multiples import Multiples
from trialjob.model.space.reals import Between, Gaussian


@dataclass(frozen=True, slots=True)
class _Between(Between):
    #: Values are multiples of it.
    q: float

    def __post_init__(self) -> None:
        Between.__post_init__(self)
        Multiples(self.q)

    def contains(self, value: Json) -> bool:
        multiples = Multiples(self.q)
        bounds = float(multiples.nearest(self.lower)), float(multiples.nearest(self.upper))
        return multiples.includes(value) and is_between(value, *bounds)

    def listed(self) -> Sequence[Json] | None:
        multiples = Multiples(self.q)
        return multiples.between(multiples.number(self.lower), multiples.number(self.upper))


@dataclass(frozen=True, slots=True)
class QUniform(_Between):
    """round(uniform(lower, upper) / q) * q."""

    #: `{type: quniform, lower: 0, upper: 1, q: 0.1}`: round(x / `q`) * `q` of a uniform x: multiples of `q`
    #: as one writes them, 0.3 and not 0.30000000000000004; whole numbers when `q` is one.
    type: Literal["quniform"] = field(default="quniform", kw_only=True)

    def at(self, u: float) -> Json:
        return Multiples(self.q).nearest(scales.uniform(u, self.lower, self.upper))


@dataclass(frozen=True, slots=True)
class QLogUniform(_Between):
    """round(exp(uniform(log(lower), log(upper))) / q) * q; the bounds are those of the number itself."""

    #: `{type: qloguniform, lower: 8, upper: 512, q: 8}`: the same of a loguniform x.
    type: Literal["qloguniform"] = field(default="qloguniform", kw_only=True)

    def __post_init__(self) -> None:
        check_range(self.lower, self.upper)
        check_logarithmic(self.lower, instead="quniform")
        Multiples(self.q)

    def at(self, u: float) -> Json:
        return Multiples(self.q).nearest(scales.loguniform(u, self.lower, self.upper))


@dataclass(frozen=True, slots=True)
class QNormal(Gaussian):
    """round(normal(mu, sigma) / q) * q."""

    #: Values are multiples of it.
    q: float
    #: `{type: qnormal, mu: 0, sigma: 1, q: 0.1}`: the same of a normal x.
    type: Literal["qnormal"] = field(default="qnormal", kw_only=True)

    def __post_init__(self) -> None:
        Gaussian.__post_init__(self)
        Multiples(self.q)

    def at(self, u: float) -> Json:
        return Multiples(self.q).nearest(scales.normal(u, self.mu, self.sigma))

    def contains(self, value: Json) -> bool:
        return Multiples(self.q).includes(value)


@dataclass(frozen=True, slots=True)
class QLogNormal(Gaussian):
    """round(exp(normal(mu, sigma)) / q) * q, which may be 0."""

    #: The mean of the logarithm.
    mu: float
    #: The standard deviation of the logarithm.
    sigma: float
    #: Values are multiples of it.
    q: float
    #: `{type: qlognormal, mu: 3, sigma: 1, q: 1}`: the same of a lognormal x.
    type: Literal["qlognormal"] = field(default="qlognormal", kw_only=True)

    def __post_init__(self) -> None:
        Gaussian.__post_init__(self)
        Multiples(self.q)

    def at(self, u: float) -> Json:
        return Multiples(self.q).nearest(scales.lognormal(u, self.mu, self.sigma))

    def contains(self, value: Json) -> bool:
        number = as_number(value)
        return number is not None and number >= 0 and Multiples(self.q).includes(value)
