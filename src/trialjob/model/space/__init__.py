"""The search space: one domain for each hyperparameter, and how they nest."""

from trialjob.model.space.domain import Config, Domain
from trialjob.model.space.listed import Branches, Choice, Grid, Ordinal
from trialjob.model.space.quantized import QLogNormal, QLogUniform, QNormal, QUniform
from trialjob.model.space.reals import LogNormal, LogUniform, Normal, ReverseLogUniform, Uniform
from trialjob.model.space.tree import Space
from trialjob.model.space.whole import LogRandInt, RandInt

__all__ = [
    "Branches",
    "Choice",
    "Config",
    "Domain",
    "Grid",
    "LogNormal",
    "LogRandInt",
    "LogUniform",
    "Normal",
    "Ordinal",
    "QLogNormal",
    "QLogUniform",
    "QNormal",
    "QUniform",
    "RandInt",
    "ReverseLogUniform",
    "Space",
    "Uniform",
]
