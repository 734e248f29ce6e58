"""Spec file → typed spec. Knows what a user may write; knows nothing of how an experiment runs."""

from trialjob.config.differences import Difference, differences
from trialjob.config.doubts import warnings
from trialjob.config.parse import load, parse
from trialjob.config.sagemaker import SageMakerBackendSpec
from trialjob.config.spec import (
    AshaSpec,
    ExperimentSpec,
    GridSpec,
    LimitsSpec,
    LocalBackendSpec,
    MetricSpec,
    NoStoppingSpec,
    ObjectiveSpec,
    RandomSpec,
    ScriptSpec,
)

__all__ = [
    "AshaSpec",
    "Difference",
    "ExperimentSpec",
    "GridSpec",
    "LimitsSpec",
    "LocalBackendSpec",
    "MetricSpec",
    "NoStoppingSpec",
    "ObjectiveSpec",
    "RandomSpec",
    "SageMakerBackendSpec",
    "ScriptSpec",
    "differences",
    "load",
    "parse",
    "warnings",
]
