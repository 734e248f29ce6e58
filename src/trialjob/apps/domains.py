"""The domains of a search space in Python: each function builds what a spec file would hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trialjob.apps.documents import Document
from trialjob.model.json import Json


def uniform(lower: float, upper: float) -> Document:
    """A real number in [lower, upper]."""
    return {"type": "uniform", "lower": lower, "upper": upper}


def loguniform(lower: float, upper: float) -> Document:
    """A positive real number whose logarithm is uniform."""
    return {"type": "loguniform", "lower": lower, "upper": upper}


def reverseloguniform(lower: float, upper: float) -> Document:
    """A number in [0, 1) whose distance from 1 has a uniform logarithm."""
    return {"type": "reverseloguniform", "lower": lower, "upper": upper}


def normal(mu: float, sigma: float) -> Document:
    """A real number, normally distributed."""
    return {"type": "normal", "mu": mu, "sigma": sigma}


def lognormal(mu: float, sigma: float) -> Document:
    """exp(normal(mu, sigma))."""
    return {"type": "lognormal", "mu": mu, "sigma": sigma}


def quniform(lower: float, upper: float, q: float) -> Document:
    """round(uniform(lower, upper) / q) * q."""
    return {"type": "quniform", "lower": lower, "upper": upper, "q": q}


def qloguniform(lower: float, upper: float, q: float) -> Document:
    """round(loguniform(lower, upper) / q) * q."""
    return {"type": "qloguniform", "lower": lower, "upper": upper, "q": q}


def qnormal(mu: float, sigma: float, q: float) -> Document:
    """round(normal(mu, sigma) / q) * q."""
    return {"type": "qnormal", "mu": mu, "sigma": sigma, "q": q}


def qlognormal(mu: float, sigma: float, q: float) -> Document:
    """round(lognormal(mu, sigma) / q) * q."""
    return {"type": "qlognormal", "mu": mu, "sigma": sigma, "q": q}


def randint(lower: int, upper: int) -> Document:
    """A whole number in [lower, upper): the upper end is exclusive."""
    return {"type": "randint", "lower": lower, "upper": upper}


def lograndint(lower: int, upper: int) -> Document:
    """A whole number in [lower, upper) whose logarithm is uniform."""
    return {"type": "lograndint", "lower": lower, "upper": upper}


def choice(values: Sequence[Json] | Mapping[str, Mapping[str, Any] | None]) -> Document:
    """One of ``values``; of a mapping, one of its keys, with the hyperparameters that stand there."""
    if isinstance(values, Mapping):
        return {"type": "choice", "values": {name: dict(inner or {}) for name, inner in values.items()}}
    return {"type": "choice", "values": list(values)}


def ordinal(values: Sequence[Json]) -> Document:
    """One of ``values``, whose order means something."""
    return {"type": "ordinal", "values": list(values)}


def grid(values: Sequence[Json]) -> Document:
    """The values that a grid goes through."""
    return {"type": "grid", "values": list(values)}
