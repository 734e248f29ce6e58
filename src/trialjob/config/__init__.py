"""Spec file → typed spec. Knows what a user may write; knows nothing of how an experiment runs."""

from trialjob.config.differences import Difference, differences
from trialjob.config.estimators import (
    ContainerSpec,
    FrameworkSpec,
    FunctionSpec,
    HuggingFaceSpec,
    ScriptSpec,
    SourceSpec,
)
from trialjob.config.lints import old_places, warnings
from trialjob.config.parse import choose, in_todays_words, load, parse, read
from trialjob.config.spec import (
    ExperimentSpec,
    LimitsSpec,
    MetricSpec,
    ObjectiveSpec,
)

__all__ = [
    "ContainerSpec",
    "Difference",
    "ExperimentSpec",
    "FrameworkSpec",
    "FunctionSpec",
    "HuggingFaceSpec",
    "LimitsSpec",
    "MetricSpec",
    "ObjectiveSpec",
    "ScriptSpec",
    "SourceSpec",
    "choose",
    "differences",
    "in_todays_words",
    "load",
    "old_places",
    "parse",
    "read",
    "warnings",
]
