"""Spec file → typed spec. Knows what a user may write; knows nothing of how an experiment runs."""

from trialjob.config.differences import Difference, differences
from trialjob.config.doubts import warnings
from trialjob.config.parse import load, parse
from trialjob.config.sagemaker import SageMakerBackendSpec
from trialjob.config.samplers import (
    AutoSpec,
    BayesianSpec,
    GridSpec,
    LearningSpec,
    RandomSpec,
    SamplerSpec,
    SobolSpec,
)
from trialjob.config.spec import (
    ContainerSpec,
    ExperimentSpec,
    FrameworkSpec,
    FunctionSpec,
    HuggingFaceSpec,
    LimitsSpec,
    LocalBackendSpec,
    MetricSpec,
    ObjectiveSpec,
    ScriptSpec,
    SourceSpec,
)
from trialjob.config.stopping import AshaSpec, NoStoppingSpec

__all__ = [
    "AshaSpec",
    "AutoSpec",
    "BayesianSpec",
    "ContainerSpec",
    "Difference",
    "ExperimentSpec",
    "FrameworkSpec",
    "FunctionSpec",
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
    "SourceSpec",
    "differences",
    "load",
    "parse",
    "warnings",
]
