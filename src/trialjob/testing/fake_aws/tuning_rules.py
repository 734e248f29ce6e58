"""The rules of CreateHyperParameterTuningJob that are not written in the model of the service.

From "Resource Limits for Automatic Model Tuning", "Define Hyperparameter Ranges", "Hyperparameter Tuning
Strategies" and the API reference of the developer guide. Training jobs have rules of their own, which each
child meets in ``create_rules``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from trialjob.testing.fake_aws.errors import ServiceError, validation

SEARCHED_MAX: Final = 30
CATEGORIES_MAX: Final = 30
METRICS_MAX: Final = 20
PARALLEL_MAX: Final = 100
JOBS_MAX: Final = {"Random": 10_000}
_JOBS_MAX: Final = 750
_RUNTIME: Final = (120, 30 * 86_400)
_PATIENCE_MIN: Final = 3
_VALUE_MAX: Final = 256
_LOGARITHMS: Final = ("Logarithmic", "ReverseLogarithmic")
#: Static hyperparameters from which Hyperband takes its largest resource when the request says none.
_EPOCHS: Final = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")
_RESERVED: Final = "_tuning_objective_metric"


def definition_of(request: Mapping[str, Any]) -> dict[str, Any]:
    """The one definition of a tuning job; this fake takes no list of them."""
    definition: dict[str, Any] | None = request.get("TrainingJobDefinition")
    if definition is None or "TrainingJobDefinitions" in request:
        raise validation("This fake takes one TrainingJobDefinition, and no TrainingJobDefinitions")
    return definition


def check_tuning(request: Mapping[str, Any], *, parallel: int) -> None:
    """Raise for the first rule that is broken; ``parallel`` is the quota of jobs at one time."""
    config, definition = request["HyperParameterTuningJobConfig"], definition_of(request)
    for complaint in (
        *_limits(config),
        *_strategy(config, definition),
        *_ranges(config, definition),
        *_metrics(config, definition),
        *_machines(definition),
    ):
        raise validation(complaint)
    asked = config["ResourceLimits"]["MaxParallelTrainingJobs"]
    if asked > parallel:
        raise ServiceError(
            "ResourceLimitExceeded",
            "The account-level service limit 'Maximum number of parallel training jobs per hyperparameter "
            f"tuning job' is {parallel} Jobs, with current utilization of 0 Jobs and a request delta of "
            f"{asked} Jobs. Please contact AWS support to request an increase for this limit.",
        )


def grid_size(config: Mapping[str, Any]) -> int:
    """How many combinations the categories of a tuning job have."""
    ranges = config.get("ParameterRanges", {}).get("CategoricalParameterRanges", [])
    return math.prod(len(each["Values"]) for each in ranges)


def _limits(config: Mapping[str, Any]) -> Iterator[str]:
    limits, strategy = config["ResourceLimits"], config["Strategy"]
    jobs, most = limits.get("MaxNumberOfTrainingJobs"), JOBS_MAX.get(strategy, _JOBS_MAX)
    if jobs is None and strategy != "Grid":
        yield "MaxNumberOfTrainingJobs is required"
    if jobs is not None and jobs > most:
        yield f"MaxNumberOfTrainingJobs must be at most {most} for {strategy}, but is {jobs}"
    if limits["MaxParallelTrainingJobs"] > (jobs or limits["MaxParallelTrainingJobs"]):
        yield "MaxParallelTrainingJobs must not be greater than MaxNumberOfTrainingJobs"
    runtime = limits.get("MaxRuntimeInSeconds", _RUNTIME[0])
    if not _RUNTIME[0] <= runtime <= _RUNTIME[1]:
        yield f"MaxRuntimeInSeconds must be between {_RUNTIME[0]} and {_RUNTIME[1]}, but is {runtime}"
    patience = config.get("TuningJobCompletionCriteria", {}).get("BestObjectiveNotImproving", {})
    if patience.get("MaxNumberOfTrainingJobsNotImproving", _PATIENCE_MIN) < _PATIENCE_MIN:
        yield f"MaxNumberOfTrainingJobsNotImproving must be at least {_PATIENCE_MIN}"


def _strategy(config: Mapping[str, Any], definition: Mapping[str, Any]) -> Iterator[str]:
    strategy, ranges = config["Strategy"], config.get("ParameterRanges", {})
    if strategy == "Hyperband":
        yield from _hyperband(config, definition)
    elif "StrategyConfig" in config:
        yield f"StrategyConfig is supported for Hyperband only, not for {strategy}"
    if strategy != "Grid":
        return
    if any(rows for name, rows in ranges.items() if name != "CategoricalParameterRanges"):
        yield "Grid search supports categorical parameters only"
    jobs = config["ResourceLimits"].get("MaxNumberOfTrainingJobs")
    if jobs is not None and jobs != grid_size(config):
        yield f"MaxNumberOfTrainingJobs ({jobs}) must be the number of combinations ({grid_size(config)})"


def _hyperband(config: Mapping[str, Any], definition: Mapping[str, Any]) -> Iterator[str]:
    if config.get("TrainingJobEarlyStoppingType", "Off") != "Off":
        yield "TrainingJobEarlyStoppingType must be Off for Hyperband, which stops jobs by itself"
    hyperband = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
    static = definition.get("StaticHyperParameters", {})
    if "MaxResource" not in hyperband and not any(name in static for name in _EPOCHS):
        yield "Hyperband needs MaxResource, or a static hyperparameter for the number of epochs"
    if hyperband.get("MinResource", 1) > hyperband.get("MaxResource", math.inf):
        yield "MinResource must not be greater than MaxResource"


def _ranges(config: Mapping[str, Any], definition: Mapping[str, Any]) -> Iterator[str]:
    ranges = config.get("ParameterRanges", {})
    if ranges.get("AutoParameters"):
        yield "This fake knows no AutoParameters"
    names = [row["Name"] for rows in ranges.values() for row in rows]
    if not 1 <= len(names) <= SEARCHED_MAX:
        yield f"Between 1 and {SEARCHED_MAX} hyperparameters can be searched, not {len(names)}"
    static = definition.get("StaticHyperParameters", {})
    if _RESERVED in {*static, *names}:
        yield f"{_RESERVED} is set by the service"
    if len(set(names)) != len(names) or set(names) & static.keys():
        yield "A hyperparameter is named twice in ParameterRanges and StaticHyperParameters"
    for name, text in static.items():
        if len(text) > _VALUE_MAX:
            yield f"The value of hyperparameter '{name}' has more than {_VALUE_MAX} characters"
    for row in ranges.get("CategoricalParameterRanges", []):
        if len(row["Values"]) > CATEGORIES_MAX or len(set(row["Values"])) != len(row["Values"]):
            yield f"{row['Name']} must have at most {CATEGORIES_MAX} values, each once"
    for kind, number in (("Integer", int), ("Continuous", float)):
        for row in ranges.get(f"{kind}ParameterRanges", []):
            yield from _numbers(row, number, kind)


def _numbers(row: Mapping[str, str], number: type[int | float], kind: str) -> Iterator[str]:
    try:
        low, high = number(row["MinValue"]), number(row["MaxValue"])
    except ValueError:
        yield f"The bounds of {row['Name']} are no numbers of its type"
        return
    if low > high or (kind == "Continuous" and low == high):
        yield f"MinValue of {row['Name']} must be less than its MaxValue"
    scaling = row.get("ScalingType", "Auto")
    if scaling == _LOGARITHMS[0] and low <= 0:
        yield f"Logarithmic scaling of {row['Name']} needs values greater than 0"
    if scaling == _LOGARITHMS[1] and (kind == "Integer" or not (low >= 0 and high < 1)):
        yield f"ReverseLogarithmic scaling of {row['Name']} needs continuous values of at least 0 below 1"


def _metrics(config: Mapping[str, Any], definition: Mapping[str, Any]) -> Iterator[str]:
    objective = config.get("HyperParameterTuningJobObjective")
    if objective is None:
        yield "HyperParameterTuningJobObjective is required"
        return
    metrics = definition["AlgorithmSpecification"].get("MetricDefinitions", [])
    if len(metrics) > METRICS_MAX:
        yield f"At most {METRICS_MAX} metrics can be defined, not {len(metrics)}"
    if objective["MetricName"] not in {each["Name"] for each in metrics}:
        yield f"The objective metric {objective['MetricName']} is none of the MetricDefinitions"


def _machines(definition: Mapping[str, Any]) -> Iterator[str]:
    several = definition.get("HyperParameterTuningResourceConfig")
    if (several is None) == ("ResourceConfig" not in definition):
        yield "Exactly one of ResourceConfig and HyperParameterTuningResourceConfig must be specified"
    if several is None:
        return
    has_configs = "InstanceConfigs" in several
    if has_configs and {"InstanceType", "InstanceCount", "VolumeSizeInGB"} & several.keys():
        yield "InstanceConfigs cannot be combined with InstanceType, InstanceCount and VolumeSizeInGB"
    if not has_configs and not {"InstanceType", "InstanceCount", "VolumeSizeInGB"} <= several.keys():
        yield "InstanceType, InstanceCount and VolumeSizeInGB are required without InstanceConfigs"
