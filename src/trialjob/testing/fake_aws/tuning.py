"""Automatic Model Tuning: the calls, and how a tuning job moves on as its training jobs do.

What no page says is decided here for the worse, as far as a client goes: the children of a tuning job that
is stopped take their time, and one that has reached its target or its longest run time stops them, too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

from trialjob.testing.fake_aws import errors, listing
from trialjob.testing.fake_aws.create_rules import check_role
from trialjob.testing.fake_aws.job import Job
from trialjob.testing.fake_aws.training import ACCOUNT, USER, Training, tags_of
from trialjob.testing.fake_aws.tuning_job import Child, TuningJob
from trialjob.testing.fake_aws.tuning_rules import check_tuning, definition_of, grid_size
from trialjob.testing.fake_aws.tuning_search import proposals

#: The quota of a new account; it can be raised to 100.
PARALLEL: Final = 10
#: A launch for which there is no room is tried again so many seconds later.
_AGAIN: Final = 30.0
#: Fields that a definition and a training job's request have alike.
_ALIKE: Final = (
    "RoleArn", "InputDataConfig", "VpcConfig", "OutputDataConfig", "StoppingCondition", "CheckpointConfig",
    "EnableNetworkIsolation", "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining",
    "RetryStrategy", "Environment",
)  # fmt: skip
_CHILD_KEYS: Final = {
    "Name": "TrainingJobName",
    "CreationTime": "CreationTime",
    "Status": "TrainingJobStatus",
    "FinalObjectiveMetricValue": "FinalHyperParameterTuningJobObjectiveMetric",
}


def _hyperparameters(request: Mapping[str, Any]) -> int:
    """How many there are, searched and static."""
    ranges = request["HyperParameterTuningJobConfig"].get("ParameterRanges", {})
    return sum(map(len, ranges.values())) + len(definition_of(request).get("StaticHyperParameters", {}))


class Tuning:
    """The tuning jobs of one account in one region."""

    def __init__(self, training: Training) -> None:
        self.jobs: dict[str, TuningJob] = {}
        #: The quota of training jobs at one time, for each tuning job.
        self.parallel = PARALLEL
        self._training = training
        self._lifecycle = training.lifecycle
        self._of: dict[str, tuple[TuningJob, Child]] = {}
        training.lifecycle.ended.append(self._ended)
        training.lifecycle.printed.append(self._printed)
        training.tagged["hyper-parameter-tuning-job"] = self._tags

    @property
    def _now(self) -> float:
        return self._lifecycle.agenda.now

    # --- calls ---

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """CreateHyperParameterTuningJob."""
        name = request["HyperParameterTuningJobName"]
        check_tuning(request, parallel=self.parallel)
        definition = definition_of(request)
        check_role(
            definition, world=self._lifecycle.world, user=USER, not_passable=self._training.not_passable
        )
        if name in self.jobs:
            raise errors.ServiceError(
                "ResourceInUse",
                "Hyperparameter tuning job names must be unique within an AWS account and region, and a "
                f"tuning job with this name already exists ({self.jobs[name].arn})",
            )
        tuning = TuningJob(
            request=request,
            arn=f"arn:aws:sagemaker:{self._lifecycle.region}:{ACCOUNT}:hyper-parameter-tuning-job/{name}",
            created=self._now,
            modified=self._now,
            tags=tags_of(request.get("Tags", [])),
            proposals=proposals(name, request["HyperParameterTuningJobConfig"]),
        )
        self._check_parents(tuning)
        self._training.check(self._request(tuning, f"{name}-001-00000000", {}))
        self.jobs[name] = tuning
        runtime = tuning.config["ResourceLimits"].get("MaxRuntimeInSeconds")
        if runtime is not None:
            self._lifecycle.agenda.later(runtime, lambda: self._end(tuning, "MaxRuntimeInSeconds reached"))
        self._launch(tuning)
        return {"HyperParameterTuningJobArn": tuning.arn}

    def _check_parents(self, tuning: TuningJob) -> None:
        """Of the parents of a warm start: they are there, have ended, and have as many hyperparameters."""
        rows = tuning.request.get("WarmStartConfig", {}).get("ParentHyperParameterTuningJobs", [])
        for row in rows:
            parent = self.job(row["HyperParameterTuningJobName"])
            if not parent.terminal:
                raise errors.validation(f"Parent tuning job {parent.name} is in status {parent.status}.")
            if _hyperparameters(parent.request) != _hyperparameters(tuning.request):
                raise errors.validation(
                    f"The number of hyperparameters differs from that of parent {parent.name}."
                )

    def job(self, name: str) -> TuningJob:
        if name not in self.jobs:
            raise errors.ServiceError(
                "ResourceNotFound", f"Amazon SageMaker can't find a tuning job with the name {name}"
            )
        return self.jobs[name]

    def describe(self, params: dict[str, Any]) -> dict[str, Any]:
        """DescribeHyperParameterTuningJob."""
        return self.job(params["HyperParameterTuningJobName"]).describe(self._now)

    def stop(self, params: dict[str, Any]) -> dict[str, Any]:
        """StopHyperParameterTuningJob: its children are stopped, and then it has."""
        tuning = self.job(params["HyperParameterTuningJobName"])
        if tuning.terminal:
            raise errors.validation(
                "The request was rejected because the hyperparameter tuning job is in status "
                f"{tuning.status}."
            )
        self._move(tuning, "Stopping")
        self._end(tuning, "stopped")
        return {}

    def children(self, params: dict[str, Any]) -> dict[str, Any]:
        """ListTrainingJobsForHyperParameterTuningJob; by the final value only those that have one."""
        tuning = self.job(params["HyperParameterTuningJobName"])
        lag = self._lifecycle.faults.list_delay
        rows = [row for child in tuning.children if (row := tuning.summary(child, self._now, lag))]
        rows = [row for row in rows if params.get("StatusEquals") in {None, row["TrainingJobStatus"]}]
        by = _CHILD_KEYS[params.get("SortBy", "Name")]
        if by.startswith("Final"):
            rows = [{**row, "": row[by]["Value"]} for row in rows if by in row]
            by = ""
        page, token = listing.page(rows, params, by)
        found = [{name: value for name, value in row.items() if name} for row in page]
        return {"TrainingJobSummaries": found} | ({"NextToken": token} if token else {})

    def list(self, params: dict[str, Any]) -> dict[str, Any]:
        """ListHyperParameterTuningJobs."""
        rows = [
            {
                "TrainingJobName": each.name,
                "HyperParameterTuningJobName": each.name,
                "HyperParameterTuningJobArn": each.arn,
                "HyperParameterTuningJobStatus": each.status,
                "Strategy": each.config["Strategy"],
                "CreationTime": each.created,
                "LastModifiedTime": each.modified,
                "TrainingJobStatusCounters": each.describe(self._now)["TrainingJobStatusCounters"],
                "ObjectiveStatusCounters": each.describe(self._now)["ObjectiveStatusCounters"],
                "ResourceLimits": each.config["ResourceLimits"],
            }
            for each in self.jobs.values()
            if params.get("NameContains", "") in each.name
            and params.get("LastModifiedTimeAfter", float("-inf")) <= each.modified
            and params.get("StatusEquals") in {None, each.status}
        ]
        by = {"Name": "TrainingJobName", "Status": "HyperParameterTuningJobStatus"}
        page, token = listing.page(rows, params, by.get(params.get("SortBy", "Name"), "CreationTime"))
        found = [{key: value for key, value in row.items() if key != "TrainingJobName"} for row in page]
        return {"HyperParameterTuningJobSummaries": found} | ({"NextToken": token} if token else {})

    def _tags(self, name: str) -> dict[str, str]:
        return self.job(name).tags

    # --- what follows ---

    def _launch(self, tuning: TuningJob) -> None:
        """Start children up to the parallelism and the number."""
        limits, config = tuning.config["ResourceLimits"], tuning.config
        most = grid_size(config) if config["Strategy"] == "Grid" else limits["MaxNumberOfTrainingJobs"]
        while not tuning.ending and len(tuning.children) < most:
            runs = sum(1 for child in tuning.children if not child.job.terminal)
            if runs >= limits["MaxParallelTrainingJobs"]:
                return
            if not self._launch_one(tuning):
                self._lifecycle.agenda.later(_AGAIN, lambda: self._launch(tuning))
                return
        self._finish(tuning)

    def _launch_one(self, tuning: TuningJob) -> bool:
        """Start one more child; False when there is no room for it now."""
        number = len(tuning.children) + 1
        mark = hashlib.sha256(f"{tuning.name}/{number}".encode()).hexdigest()[:8]
        name = f"{tuning.name}-{number:03d}-{mark}"
        tuned = next(tuning.proposals)
        request = self._request(tuning, name, tuned)
        try:
            job = self._training.launch(request, tags=tuning.tags, tuning=tuning.arn)
        except errors.ServiceError as error:
            if error.code != "ResourceLimitExceeded":
                raise
            return False
        child = Child(job=job, tuned=tuned)
        tuning.children.append(child)
        tuning.modified = self._now
        self._of[name] = (tuning, child)
        return True

    def _request(self, tuning: TuningJob, name: str, tuned: Mapping[str, str]) -> dict[str, Any]:
        """What a child is asked for with."""
        definition, config = definition_of(tuning.request), tuning.config
        values = {**definition.get("StaticHyperParameters", {}), **tuned}
        values["_tuning_objective_metric"] = config["HyperParameterTuningJobObjective"]["MetricName"]
        several = definition.get("HyperParameterTuningResourceConfig", {})
        configs = several.get("InstanceConfigs") or [several]
        lacking = self._lifecycle.faults.no_capacity
        first = next((each for each in configs if each.get("InstanceType") not in lacking), configs[0])
        kms = {"VolumeKmsKeyId": several["VolumeKmsKeyId"]} if "VolumeKmsKeyId" in several else {}
        return {
            "TrainingJobName": name,
            "HyperParameters": values,
            "AlgorithmSpecification": dict(definition["AlgorithmSpecification"]),
            "ResourceConfig": dict(definition.get("ResourceConfig") or {**first, **kms}),
            **{field: definition[field] for field in _ALIKE if field in definition},
        }

    def _ended(self, job: Job) -> None:
        """A training job has ended; it may be a child."""
        if job.name not in self._of:
            return
        tuning, child = self._of[job.name]
        tuning.modified = self._now
        criteria = tuning.config.get("TuningJobCompletionCriteria", {})
        target, patience = (
            criteria.get("TargetObjectiveMetricValue"),
            criteria.get("BestObjectiveNotImproving"),
        )
        if target is not None and child.final is not None and tuning.key(child.final) >= tuning.key(target):
            self._end(tuning, "TargetObjectiveMetricValue reached")
        elif patience and tuning.not_improving() >= patience["MaxNumberOfTrainingJobsNotImproving"]:
            self._end(tuning, "BestObjectiveNotImproving")
        self._launch(tuning)

    def _end(self, tuning: TuningJob, why: str) -> None:
        """Launch nothing more, and have the children end."""
        if tuning.terminal or tuning.ending:
            return
        tuning.ending = why
        for child in tuning.children:
            if not child.job.terminal:
                self._lifecycle.stop(child.job)
        self._finish(tuning)

    def _finish(self, tuning: TuningJob) -> None:
        if tuning.terminal or any(not child.job.terminal for child in tuning.children):
            return
        tuning.ended = self._now
        if tuning.status == "Stopping":
            self._move(tuning, "Stopped")
        elif tuning.children and not any(child.final is not None for child in tuning.children):
            tuning.failure = "No training job succeeded with a value of the objective metric."
            self._move(tuning, "Failed")
        else:
            self._move(tuning, "Completed")

    def _move(self, tuning: TuningJob, status: str) -> None:
        tuning.status, tuning.modified = status, self._now

    # --- early stopping ---

    def _printed(self, job: Job, line: str) -> None:
        """A line of a training job; it may be a child's, with a value of the objective."""
        if job.name not in self._of:
            return
        tuning, child = self._of[job.name]
        objective = tuning.config["HyperParameterTuningJobObjective"]["MetricName"]
        for rule in job.request["AlgorithmSpecification"].get("MetricDefinitions", []):
            found = re.search(rule["Regex"], line) if rule["Name"] == objective else None
            if found and found.groups():
                try:
                    child.values.append(float(found[1]))
                except ValueError:
                    continue
                self._judge(tuning, child)

    def _judge(self, tuning: TuningJob, child: Child) -> None:
        if child.job.terminal or child.stopped_early or tuning.ending:
            return
        if self._is_worse(tuning, child):
            child.stopped_early = True
            self._lifecycle.stop(child.job)

    def _is_worse(self, tuning: TuningJob, child: Child) -> bool:
        step, own = len(child.values), tuning.key(child.values[-1])
        others = [each for each in tuning.children if each is not child and len(each.values) >= step]
        if tuning.config["Strategy"] == "Hyperband":
            hyperband = tuning.config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
            rung = hyperband.get("MinResource", 1)
            while rung < step:
                rung *= 3
            there = sorted((tuning.key(each.values[step - 1]) for each in others), reverse=True)
            return rung == step < hyperband.get("MaxResource", step + 1) and (
                sum(value > own for value in there) >= max(1, (len(there) + 1) // 3)
            )
        if tuning.config.get("TrainingJobEarlyStoppingType", "Off") != "Auto":
            return False
        earlier = sorted(tuning.key(each.averages(step)) for each in others if each.job.terminal)
        return bool(earlier) and own < earlier[len(earlier) // 2]
