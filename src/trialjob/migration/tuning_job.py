"""Hyperparameter tuning jobs of Amazon SageMaker, as asked for or as described.

The file: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateHyperParameterTuningJob.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trialjob.migration.domains import Domain, choice, integers, reals
from trialjob.migration.translation import Section, Translation, Wrong, number, trials

_CONFIG: Final = "HyperParameterTuningJobConfig"
_DEFINITION: Final = "TrainingJobDefinition"
_SAMPLERS: Final = {"Bayesian": "bayesian", "Random": "random", "Grid": "grid", "Hyperband": "random"}
#: What Describe adds of the job's life, which is no part of what was asked for.
_SEEN: Final = (
    "HyperParameterTuningJobArn", "HyperParameterTuningJobStatus", "CreationTime", "LastModifiedTime",
    "HyperParameterTuningEndTime", "TrainingJobStatusCounters", "ObjectiveStatusCounters",
    "BestTrainingJob", "OverallBestTrainingJob", "FailureReason", "TuningJobCompletionDetails",
    "ConsumedResources", "ResponseMetadata",
)  # fmt: skip
#: What a fixed hyperparameter is called by whose value SageMaker knows a MaxResource that is not said.
_EPOCHS: Final = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")
_SCALES: Final = {"Logarithmic": "loguniform", "ReverseLogarithmic": "reverseloguniform"}
#: Parts of a definition that a training job's request has in the same words.
_ALIKE: Final = (
    "RoleArn", "InputDataConfig", "VpcConfig", "OutputDataConfig", "ResourceConfig", "StoppingCondition",
    "EnableNetworkIsolation", "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining",
    "CheckpointConfig", "RetryStrategy", "Environment",
)  # fmt: skip


def is_tuning_job(document: Mapping[str, Any]) -> bool:
    return _CONFIG in document or {"Strategy", "ParameterRanges"} <= document.keys()


def translate(document: Mapping[str, Any]) -> Translation:
    """A spec from the request, the description, or the configuration alone."""
    into = Translation(product="SageMaker")
    job = Section(document if _CONFIG in document else {_CONFIG: document}, "", into)
    config = job.section(_CONFIG)
    definition = _definition(job)
    objective, metrics = _objective(config.section("HyperParameterTuningJobObjective"), definition)
    request = _request(definition)
    strategy = config.text("Strategy", "Bayesian")
    if strategy not in _SAMPLERS:
        raise Wrong(config.path("Strategy"), strategy, "Bayesian, Random, Grid or Hyperband")
    into.spec = {
        "name": job.text("HyperParameterTuningJobName", "sweep"),
        "estimator": {"kind": "request", "request": request},
        "space": _space(config.section("ParameterRanges")),
        "objective": objective,
        **({"metrics": metrics} if metrics else {}),
        "sampler": _sampler(strategy, config),
        "stopping": _stopping(strategy, config, request["HyperParameters"]),
        "limits": _limits(config),
        "backend": {"kind": "sagemaker"},
    }
    job.leave("WarmStartConfig", "name experiments of this store, or a .csv, in `sampler.warm_start`")
    job.leave("Autotune", "write the ranges")
    job.take("Tags")
    config.done()
    job.done(*_SEEN)
    return into


def _definition(job: Section) -> Section:
    several = job.sections(f"{_DEFINITION}s")
    if not several:
        return job.section(_DEFINITION)
    for each in several[1:]:
        job.into.leave(each.where, "a spec has one program: another spec for each definition")
    return several[0]


def _request(definition: Section) -> dict[str, Any]:
    """The request of a training job of it."""
    request = {name: definition.take(name) for name in _ALIKE if name in definition}
    algorithm = dict(definition.take("AlgorithmSpecification", {}))
    algorithm.pop("MetricDefinitions", None)
    request["AlgorithmSpecification"] = algorithm
    values = dict(definition.take("StaticHyperParameters", {}))
    values.pop("_tuning_objective_metric", None)
    request["HyperParameters"] = values
    machines = definition.section("HyperParameterTuningResourceConfig")
    rows = machines.items("InstanceConfigs")
    machines.take("AllocationStrategy")
    if rows or "InstanceType" in machines:
        first, *others = rows or [{}]
        request["ResourceConfig"] = {
            "InstanceType": machines.take("InstanceType", first.get("InstanceType")),
            "InstanceCount": machines.take("InstanceCount", first.get("InstanceCount", 1)),
            "VolumeSizeInGB": machines.take("VolumeSizeInGB", first.get("VolumeSizeInGB", 30)),
        }
        if others:
            kinds = ", ".join(str(row.get("InstanceType")) for row in others)
            machines.into.leave(
                machines.path("InstanceConfigs"), f"write `backend.fallback_instance_types`: {kinds}"
            )
    machines.done()
    definition.take("DefinitionName")
    definition.done()
    return request


# What is searched


def _space(ranges: Section) -> dict[str, Domain]:
    space: dict[str, Domain] = {}
    for row in ranges.sections("ContinuousParameterRanges"):
        lower, upper = row.required("MinValue"), row.required("MaxValue")
        scale = row.text("ScalingType", "Auto")
        space[row.text("Name")] = reals(lower, upper, row.where, kind=_SCALES.get(scale, "uniform"))
        _done(row, scale, "loguniform")
    for row in ranges.sections("IntegerParameterRanges"):
        scale = row.text("ScalingType", "Auto")
        space[row.text("Name")] = integers(
            row.required("MinValue"), row.required("MaxValue"), row.where, log=scale == "Logarithmic"
        )
        _done(row, scale, "lograndint")
    for row in ranges.sections("CategoricalParameterRanges"):
        space[row.text("Name")] = choice([_plain(each) for each in row.items("Values")])
        row.done()
    ranges.leave("AutoParameters", "write a domain for each of them")
    ranges.done()
    return space


def _done(row: Section, scale: str, other: str) -> None:
    if scale == "Auto":
        row.into.tell(row.where, f"SageMaker chooses the scale; here it is linear: write {other} for another")
    row.done()


def _plain(value: object) -> object:
    """A category; the SDK writes texts as JSON, in quotes."""
    text = str(value)
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


# What is wanted


def _objective(objective: Section, definition: Section) -> tuple[dict[str, Any], list[dict[str, str]]]:
    own = definition.section("TuningObjective")
    said = own if "MetricName" in own else objective
    name, mode = said.text("MetricName"), said.mode("Type")
    said.done()
    algorithm = Section(
        definition.take("AlgorithmSpecification"), definition.path("AlgorithmSpecification"), definition.into
    )
    rows = [
        {"name": row.text("Name"), "regex": row.text("Regex")}
        for row in algorithm.sections("MetricDefinitions")
    ]
    rows.sort(key=lambda row: row["name"] == name)
    objective.into.tell(
        objective.path("MetricName"),
        "SageMaker's tuner goes by the last value of a job, and so does `score: last`",
    )
    return {"metric": name, "mode": mode, "score": "last"}, rows


def _sampler(strategy: str, config: Section) -> dict[str, Any]:
    seed = config.number("RandomSeed")
    return {
        "kind": _SAMPLERS[strategy],
        **({"seed": int(seed)} if seed is not None and strategy != "Grid" else {}),
    }


def _stopping(strategy: str, config: Section, fixed: Mapping[str, Any]) -> dict[str, Any]:
    early = config.text("TrainingJobEarlyStoppingType", "Off")
    bounds = config.section("StrategyConfig").section("HyperbandStrategyConfig")
    if strategy == "Hyperband":
        least, most = bounds.number("MinResource"), bounds.number("MaxResource")
        if most is None:
            epochs = next((fixed[name] for name in _EPOCHS if name in fixed), None)
            most = None if epochs is None else number(epochs, "StaticHyperParameters")
        if most is None:
            config.into.tell(config.path("StrategyConfig"), "says no MaxResource; `max_resource` is 27 here")
        return {"kind": "hyperband", "min_resource": int(least or 1), "max_resource": int(most or 27)}
    return {"kind": "median", "variant": "amt"} if early == "Auto" else {"kind": "none"}


def _limits(config: Section) -> dict[str, Any]:
    resources, ends = config.section("ResourceLimits"), config.section("TuningJobCompletionCriteria")
    limits: dict[str, Any] = {
        "max_trials": trials(resources, "MaxNumberOfTrainingJobs"),
        "max_concurrent_trials": int(resources.number("MaxParallelTrainingJobs") or 1),
    }
    seconds = resources.number("MaxRuntimeInSeconds")
    if seconds is not None:
        limits["timeout"] = f"{seconds}s"
    target = ends.take("TargetObjectiveMetricValue")
    if target is not None:
        limits["target"] = number(target, ends.path("TargetObjectiveMetricValue"))
    patience = ends.section("BestObjectiveNotImproving").number("MaxNumberOfTrainingJobsNotImproving")
    if patience is not None:
        ends.into.tell(
            ends.path("BestObjectiveNotImproving"),
            "there a job must be better than the best by 1 % to count as an improvement, here by anything",
        )
        limits["max_trials_without_improvement"] = int(patience)
    ends.leave("ConvergenceDetected", "only with `engine: {kind: hosted, until_convergence: true}`")
    resources.done()
    ends.done()
    return limits
