"""Spec file → typed spec. Knows what a user may write; knows nothing of how an experiment runs."""

from trialjob.config.differences import Difference, differences
from trialjob.config.doubts import warnings
from trialjob.config.parse import load, parse
from trialjob.config.sagemaker import SageMakerBackendSpec
from trialjob.config.samplers import (
    BayesianSpec,
    GridSpec,
    LearningSpec,
    RandomSpec,
    SamplerSpec,
    SobolSpec,
)
from trialjob.config.spec import (
    CodeSpec,
    ContainerSpec,
    ExperimentSpec,
    FrameworkSpec,
    HuggingFaceSpec,
    LimitsSpec,
    LocalBackendSpec,
    MetricSpec,
    ObjectiveSpec,
    ScriptSpec,
)
from trialjob.config.stopping import AshaSpec, NoStoppingSpec

__all__ = [
    "AshaSpec",
    "BayesianSpec",
    "CodeSpec",
    "ContainerSpec",
    "Difference",
    "ExperimentSpec",
    "FrameworkSpec",
    "GridSpec",
    "HuggingFaceSpec",
    "LearningSpec",
    "LimitsSpec",
    "LocalBackendSpec",
    "MetricSpec",
    "NoStoppingSpec",
    "ObjectiveSpec",
    "RandomSpec",
    "SageMakerBackendSpec",
    "SamplerSpec",
    "ScriptSpec",
    "SobolSpec",
    "differences",
    "load",
    "parse",
    "warnings",
]
