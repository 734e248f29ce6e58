"""Real numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from trialjob.in_job import scales
from trialjob.model.json import Json
from trialjob.model.space.domain import (
    Endless,
    as_number,
    check_logarithmic,
    check_normal,
    check_range,
    is_between,
)


@dataclass(frozen=True, slots=True)
class Between(Endless):
    """Whatever is drawn from a range."""

    #: The smallest value.
    lower: float
    #: The largest value.
    upper: float

    def __post_init__(self) -> None:
        check_range(self.lower, self.upper)

    def contains(self, value: Json) -> bool:
        return is_between(value, self.lower, self.upper)


@dataclass(frozen=True, slots=True)
class Uniform(Between):
    """A real number, every value in [lower, upper] equally likely: ``Uniform(0.0, 0.5)``.

    ValueError when ``lower`` is not below ``upper``.
    """

    #: `{type: uniform, lower: 0, upper: 1}`: real numbers, each equally likely.
    type: Literal["uniform"] = field(default="uniform", kw_only=True)

    def at(self, u: float) -> Json:
        return scales.uniform(u, self.lower, self.upper)


@dataclass(frozen=True, slots=True)
class LogUniform(Between):
    """A positive real number whose logarithm is uniform: ``LogUniform(1e-4, 1.0)``.

    ``lower`` and ``upper`` are the bounds of the number itself; ``loguniform(a, b)`` of Azure ML and Hyperopt
    is ours with ``lower = exp(a)`` and ``upper = exp(b)``.
    """

    #: `{type: loguniform, lower: 1e-4, upper: 1}`: positive numbers, uniform in the logarithm.
    type: Literal["loguniform"] = field(default="loguniform", kw_only=True)

    def __post_init__(self) -> None:
        check_range(self.lower, self.upper)
        check_logarithmic(self.lower, instead="uniform")

    def at(self, u: float) -> Json:
        return scales.loguniform(u, self.lower, self.upper)


@dataclass(frozen=True, slots=True)
class ReverseLogUniform(Between):
    """A number in [0, 1) whose distance from 1 has a uniform logarithm: ``ReverseLogUniform(0.5, 0.999)``.

    For a momentum or a decay. SageMaker's reverse logarithmic scaling,
    https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-define-ranges.html.
    """

    #: `{type: reverseloguniform, lower: 0.9, upper: 0.999}`: numbers in [0, 1) whose distance from 1 is
    #: uniform in the logarithm, such as a momentum.
    type: Literal["reverseloguniform"] = field(default="reverseloguniform", kw_only=True)

    def __post_init__(self) -> None:
        check_range(self.lower, self.upper)
        if self.lower < 0 or self.upper >= 1:
            raise ValueError(
                f"lower {self.lower!r} and upper {self.upper!r} must be at least 0 and below 1 on a reverse "
                "log scale; use 'uniform' instead"
            )

    def at(self, u: float) -> Json:
        return scales.reverseloguniform(u, self.lower, self.upper)


@dataclass(frozen=True, slots=True)
class Gaussian(Endless):
    """Whatever is drawn from a normal distribution."""

    #: The mean.
    mu: float
    #: The standard deviation.
    sigma: float

    def __post_init__(self) -> None:
        check_normal(self.mu, self.sigma)


@dataclass(frozen=True, slots=True)
class Normal(Gaussian):
    """A real number, normally distributed about ``mu`` with standard deviation ``sigma``."""

    #: `{type: normal, mu: 0, sigma: 1}`: real numbers, normally distributed.
    type: Literal["normal"] = field(default="normal", kw_only=True)

    def at(self, u: float) -> Json:
        return scales.normal(u, self.mu, self.sigma)

    def contains(self, value: Json) -> bool:
        return as_number(value) is not None


@dataclass(frozen=True, slots=True)
class LogNormal(Gaussian):
    """exp(normal(mu, sigma)), as in Azure ML and Hyperopt: the parameters are those of the logarithm."""

    #: The mean of the logarithm.
    mu: float
    #: The standard deviation of the logarithm.
    sigma: float
    #: `{type: lognormal, mu: -3, sigma: 1}`: exp(normal(`mu`, `sigma`)).
    type: Literal["lognormal"] = field(default="lognormal", kw_only=True)

    def at(self, u: float) -> Json:
        return scales.lognormal(u, self.mu, self.sigma)

    def contains(self, value: Json) -> bool:
        number = as_number(value)
        return number is not None and number > 0
