"""An experiment as the dictionary that CreateHyperParameterTuningJob takes.

Rule: pure, and made from the very request that a training job of ours would be: what a definition has no
field for is left out here, and ``refusals`` says so.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from trialjob.backends.filling import values_of
from trialjob.backends.plugin import Handover
from trialjob.backends.sagemaker.hosted.ranges import Ranges, ranges
from trialjob.backends.sagemaker.request import (
    CODE_CHANNEL,
    TAG_PREFIX,
    Request,
    build,
    folder,
    masked,
    merged,
    tag_value,
)
from trialjob.backends.sagemaker.settings import SageMakerSettings
from trialjob.in_job.command_line import FIRST, SDK_V3, text_of
from trialjob.in_job.entrypoint import VALUES_CHANNEL
from trialjob.in_job.report import BEST_PREFIX, RUNNING_BEST
from trialjob.model.ids import tuning_name
from trialjob.model.job import JobRequest
from trialjob.model.metric import Mode, Score
from trialjob.model.secret import Reveal
from trialjob.orchestrator.samplers.grid import GridSearch
from trialjob.orchestrator.stopping.hyperband import Hyperband
from trialjob.orchestrator.stopping.median import MedianStopping

#: The archive with our code and the user's, and the program in it that the image's toolkit starts.
ARCHIVE: Final = "sourcedir.tar.gz"
PROGRAM: Final = "trialjob_hosted.py"
_NUMBER: Final = r"([-+]?(?:[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?))"
#: What a definition takes as a training job has it.
ALIKE: Final = frozenset({
    "RoleArn", "InputDataConfig", "VpcConfig", "OutputDataConfig", "StoppingCondition", "RetryStrategy",
    "EnableNetworkIsolation", "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining",
    "Environment",
})  # fmt: skip
#: What becomes another field of the call.
ELSEWHERE: Final = frozenset({
    "TrainingJobName", "HyperParameters", "AlgorithmSpecification", "ResourceConfig", "CheckpointConfig",
    "Tags",
})  # fmt: skip
_STRATEGIES: Final = {"auto": "Bayesian", "bayesian": "Bayesian", "random": "Random", "grid": "Grid"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """Everything that a tuning job is made of."""

    settings: SageMakerSettings
    handover: Handover
    #: What a training job of trial 1 would be; its values and its code are not looked at.
    job: JobRequest

    @property
    def is_code(self) -> bool:
        """Our own code runs in the job, and not an image's."""
        return self.job.program is None

    @property
    def grid(self) -> bool:
        return isinstance(self.handover.search.sampler, GridSearch)

    @property
    def strategy(self) -> str:
        """The tuner's word for how it searches."""
        search = self.handover.search
        return (
            "Hyperband"
            if isinstance(search.stopping, Hyperband)
            else _STRATEGIES.get(search.sampler.kind, "Bayesian")
        )

    @property
    def ranges(self) -> Ranges:
        """The space for the tuner."""
        if self.is_code or (self.job.program is not None and self.job.program.json_values):
            return ranges(self.handover.search.space, grid=self.grid)
        arguments = self.job.arguments
        dialect = SDK_V3 if arguments is not None and arguments.dialect == SDK_V3 else FIRST
        return ranges(
            self.handover.search.space, text_of=lambda value: text_of(value, dialect), grid=self.grid
        )

    @property
    def constants(self) -> dict[str, Any]:
        """The values that every trial is given."""
        space = self.handover.search.space
        return {
            name: value for name, value in values_of(self.job, "/opt/ml").items() if name not in space.domains
        }

    @property
    def objective(self) -> str:
        """The metric in the tuner's words; it goes by the latest value, so a best one is told apart."""
        objective = self.handover.search.objective
        return f"{objective.metric}.best" if self.tells_best else objective.metric

    @property
    def tells_best(self) -> bool:
        """Our reporter prints the best value so far, for the tuner to read."""
        objective = self.handover.search.objective
        return objective.score is Score.BEST and not self._own_pattern and self.is_code

    @property
    def knows_its_metrics(self) -> bool:
        """The image is one of SageMaker's own algorithms, which takes no definitions of its metrics."""
        raw = self.settings.request.get("AlgorithmSpecification") or {}
        return "MetricDefinitions" in raw and raw["MetricDefinitions"] is None

    @property
    def _own_pattern(self) -> str:
        """The user's pattern for the objective, if there is one."""
        known = {each.name: each.regex for each in self.settings.metric_definitions}
        return known.get(self.handover.search.objective.metric, "")

    def definitions(self) -> list[Request]:
        """The metrics, the objective first."""
        objective = self.handover.search.objective
        if self.tells_best:
            regex = re.escape(BEST_PREFIX).replace(r"\ ", " ") + _NUMBER
        else:
            regex = (
                self._own_pattern or rf"\[trialjob\] .*{re.escape(json.dumps(objective.metric))}:{_NUMBER}"
            )
        others = [each for each in self.settings.metric_definitions if each.name != objective.metric]
        return [{"Name": each.name, "Regex": each.regex} for each in others] + [
            {"Name": self.objective, "Regex": regex}
        ]

    def training_request(self, owner: str = "", reveal: Reveal = masked) -> Request:
        """What a training job would be asked for with, which the definition is made of."""
        return build(self.settings, self.job, code_uri="s3://unused/unused", owner=owner, reveal=reveal)


def tuning_request(
    tuned: Tuned, *, archive: str, owner: str, identity: str, reveal: Reveal = masked
) -> Request:
    """The call that hands an experiment over, with the code that has been uploaded to ``archive``."""
    job, settings = tuned.job, tuned.settings
    ours = {"experiment": str(job.experiment), "digest": identity, "owner": tag_value(owner)}
    tags = [{"Key": TAG_PREFIX + name, "Value": value} for name, value in ours.items()]
    return {
        "HyperParameterTuningJobName": tuning_name(job.experiment),
        "HyperParameterTuningJobConfig": _config(tuned),
        "TrainingJobDefinition": _definition(tuned, archive, owner, reveal),
        "Tags": tags + [{"Key": key, "Value": value} for key, value in sorted(settings.tags.items())],
        **_warm_start(tuned.handover),
    }


def _warm_start(handover: Handover) -> Request:
    if not handover.warm_start:
        return {}
    names = [{"HyperParameterTuningJobName": tuning_name(each)} for each in handover.warm_start]
    kind = "IdenticalDataAndAlgorithm" if handover.identical else "TransferLearning"
    return {"WarmStartConfig": {"ParentHyperParameterTuningJobs": names, "WarmStartType": kind}}


def _config(tuned: Tuned) -> Request:
    search = tuned.handover.search
    limits = search.limits
    most = limits.max_trials
    resources: Request = {"MaxParallelTrainingJobs": min(limits.max_concurrent_trials, most)}
    if not tuned.grid:
        resources["MaxNumberOfTrainingJobs"] = most
    if limits.timeout is not None:
        resources["MaxRuntimeInSeconds"] = math.ceil(limits.timeout)
    config: Request = {
        "Strategy": tuned.strategy,
        "HyperParameterTuningJobObjective": objective_of(tuned),
        "ResourceLimits": resources,
        "ParameterRanges": dict(tuned.ranges.request),
        "TrainingJobEarlyStoppingType": "Auto" if isinstance(search.stopping, MedianStopping) else "Off",
    }
    if isinstance(search.stopping, Hyperband):
        levels = {
            "MinResource": int(search.stopping.min_resource),
            "MaxResource": int(search.stopping.max_resource),
        }
        config["StrategyConfig"] = {"HyperbandStrategyConfig": levels}
    if criteria := _criteria(tuned):
        config["TuningJobCompletionCriteria"] = criteria
    if not tuned.grid:
        config["RandomSeed"] = search.seed
    return config


def objective_of(tuned: Tuned) -> dict[str, str]:
    """What the tuner is to make better, in its own words."""
    least = tuned.handover.search.objective.mode is Mode.MIN
    return {"Type": "Minimize" if least else "Maximize", "MetricName": tuned.objective}


def _criteria(tuned: Tuned) -> Request:
    limits, criteria = tuned.handover.search.limits, Request()
    if limits.target is not None:
        criteria["TargetObjectiveMetricValue"] = float(limits.target)
    if limits.max_trials_without_improvement is not None:
        patience = {"MaxNumberOfTrainingJobsNotImproving": limits.max_trials_without_improvement}
        criteria["BestObjectiveNotImproving"] = patience
    if tuned.handover.until_convergence:
        criteria["ConvergenceDetected"] = {"CompleteOnConvergence": "Enabled"}
    return criteria


def _definition(tuned: Tuned, archive: str, owner: str, reveal: Reveal) -> Request:
    base, settings = tuned.training_request(owner, reveal), tuned.settings
    definition = {name: value for name, value in base.items() if name in ALIKE}
    definition["StaticHyperParameters"] = _static(tuned, archive)
    algorithm = {k: v for k, v in base["AlgorithmSpecification"].items() if not k.startswith("Container")}
    if not tuned.knows_its_metrics:
        algorithm["MetricDefinitions"] = tuned.definitions()
    definition["AlgorithmSpecification"] = algorithm
    definition.update(_machines(settings, base["ResourceConfig"]))
    definition.setdefault("RetryStrategy", {"MaximumRetryAttempts": 3})
    channels = [
        row
        for row in base.get("InputDataConfig", [])
        if row["ChannelName"] not in {CODE_CHANNEL, VALUES_CHANNEL}
    ]
    definition.pop("InputDataConfig", None)
    if channels:
        definition["InputDataConfig"] = channels
    if settings.spot is not None:
        # One prefix for all trials: it ends in a slash, and each trial has a folder of its own in it.
        uri = folder(settings, tuned.job.experiment, "checkpoints") + "/"
        local = base.get("CheckpointConfig", {}).get("LocalPath", "/opt/ml/checkpoints")
        definition["CheckpointConfig"] = {"S3Uri": uri, "LocalPath": local}
    definition["Environment"] = _environment(tuned, base["Environment"])
    return definition


def _environment(tuned: Tuned, base: Mapping[str, str]) -> dict[str, str]:
    """The variables of every trial; which one it is, the job finds in its own name."""
    of_one = {"TRIALJOB_TRIAL", "TRIALJOB_ATTEMPT"}
    variables = {name: value for name, value in base.items() if name not in of_one}
    if tuned.tells_best:
        objective = tuned.handover.search.objective
        variables[RUNNING_BEST] = f"{objective.mode.value}:{objective.metric}"
    return variables


def _static(tuned: Tuned, archive: str) -> dict[str, str]:
    """What is the same in every trial. The image's toolkit reads each value as JSON."""
    if tuned.is_code:
        return {
            "sagemaker_program": json.dumps(PROGRAM),
            "sagemaker_submit_directory": json.dumps(archive),
            "sagemaker_container_log_level": "20",
        }
    names = tuned.handover.search.space.domains
    texts: Mapping[str, str] = tuned.training_request()["HyperParameters"]
    return {name: text for name, text in texts.items() if name not in names}


def _machines(settings: SageMakerSettings, base: Mapping[str, Any]) -> Request:
    if not settings.fallback_instance_types:
        return {"ResourceConfig": dict(base)}
    count, volume = base.get("InstanceCount", 1), base["VolumeSizeInGB"]
    configs = [
        {"InstanceType": kind, "InstanceCount": count, "VolumeSizeInGB": volume}
        for kind in settings.instance_types
    ]
    kms = {"VolumeKmsKeyId": base["VolumeKmsKeyId"]} if "VolumeKmsKeyId" in base else {}
    several: Request = {"AllocationStrategy": "Prioritized", "InstanceConfigs": configs}
    return {"HyperParameterTuningResourceConfig": merged(several, kms)}
