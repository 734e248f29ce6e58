"""One training job: what was asked, where it stands, what it has been through.

Rule: it records and describes; it decides nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

#: Fields of the request that DescribeTrainingJob repeats as they were.
ECHOED = (
    "TrainingJobName",
    "HyperParameters",
    "AlgorithmSpecification",
    "RoleArn",
    "InputDataConfig",
    "OutputDataConfig",
    "ResourceConfig",
    "VpcConfig",
    "StoppingCondition",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "CheckpointConfig",
    "ExperimentConfig",
    "Environment",
    "RetryStrategy",
    "DebugHookConfig",
    "ProfilerConfig",
    "RemoteDebugConfig",
    "InfraCheckConfig",
)

#: What a description has and Search has not; and what is there only once a job has ended.
_NOT_SEARCHED = frozenset({"RemoteDebugConfig", "InfraCheckConfig"})
_OF_THE_END = frozenset({
    "FailureReason", "TrainingEndTime", "TrainingTimeInSeconds", "BillableTimeInSeconds",
    "FinalMetricDataList", "ModelArtifacts",
})  # fmt: skip
TERMINAL = frozenset({"Completed", "Failed", "Stopped"})
MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Pending": "Training job waiting for capacity",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Interrupted": "Spot instance was interrupted, waiting for capacity",
    "Restarting": "Restarting the training job after an internal error",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "MaxWaitTimeExceeded": "Training job wait time exceeded MaxWaitTimeInSeconds provided",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What the job looked like from ``at`` on."""

    at: float
    status: str
    secondary: str


@dataclass(slots=True, kw_only=True)
class Pool:
    """The cluster that a job left behind, kept warm."""

    since: float
    keep_alive: float
    #: When it was reused or terminated.
    ended: float | None = None
    reused_by: str | None = None

    def seconds(self, now: float) -> float:
        return (now if self.ended is None else self.ended) - self.since


@dataclass(slots=True, kw_only=True)
class Job:
    request: dict[str, Any]
    arn: str
    created: float
    tags: dict[str, str]
    #: The ARN of the tuning job that started it; "" when none did.
    tuning: str = ""
    history: list[Moment] = field(default_factory=list)
    failure: str | None = None
    #: When the first instances were there, and when the last work on them ended.
    started: float | None = None
    ended: float | None = None
    #: Seconds on instances, over all launches, up to the present launch.
    trained: float = 0.0
    billable: float | None = None
    metrics: dict[str, tuple[float, float]] = field(default_factory=dict)
    #: How often instances were launched for it, and whose warm pool the first launch took.
    launches: int = 0
    warm_from: str | None = None
    #: Which of the request's instance types it runs on.
    choice: int = 0
    #: Counts moves; an action planned before a move knows by it that it came too late.
    moves: int = 0
    modified: float = 0.0
    pool: Pool | None = None
    #: The service takes note of the job's wish to keep its cluster.
    keeps_pool: bool = False

    @property
    def name(self) -> str:
        return str(self.request["TrainingJobName"])

    @property
    def status(self) -> str:
        return self.history[-1].status

    @property
    def secondary(self) -> str:
        return self.history[-1].secondary

    @property
    def terminal(self) -> bool:
        return self.status in TERMINAL

    @property
    def spot(self) -> bool:
        return bool(self.request.get("EnableManagedSpotTraining"))

    @property
    def instance_type(self) -> str:
        return str(self._wanted[self.choice]["InstanceType"])

    @property
    def instances(self) -> int:
        return int(self._wanted[self.choice].get("InstanceCount", 1))

    @property
    def _wanted(self) -> list[dict[str, Any]]:
        resources: dict[str, Any] = self.request["ResourceConfig"]
        return resources.get("InstancePreferences") or [resources]

    def choose(self, lacking: set[str]) -> None:
        """Settle on the first instance type that can be had, of those that the request lists."""
        had = (number for number, one in enumerate(self._wanted) if one["InstanceType"] not in lacking)
        self.choice = next(had, 0)

    @property
    def keep_alive(self) -> int:
        return int(self.request["ResourceConfig"].get("KeepAlivePeriodInSeconds", 0))

    def move(self, status: str, secondary: str, at: float) -> None:
        self.moves += 1
        self.modified = at
        self.history.append(Moment(at=at, status=status, secondary=secondary))

    def as_of(self, at: float) -> Moment | None:
        """What it looked like at a moment; None before it existed."""
        return next((moment for moment in reversed(self.history) if moment.at <= at), None)

    def read(self, line: str, at: float) -> None:
        """Take the metrics out of a line, by the definitions that came with the request."""
        for rule in self.request["AlgorithmSpecification"].get("MetricDefinitions", []):
            found = re.search(rule["Regex"], line)
            if found and found.groups():
                try:
                    self.metrics[rule["Name"]] = (float(found[1]), at)
                except ValueError:
                    continue

    def warm_pool_status(self, now: float) -> dict[str, Any] | None:
        """What is said of its cluster; also of a moment that is past."""
        pool = self.pool
        if pool is None or pool.since > now:
            ends = pool is None and self.terminal
            return {"Status": "InUse"} if self.keeps_pool and not ends else None
        over = pool.ended is not None and pool.ended <= now
        seconds = round(pool.seconds(now) if over else now - pool.since)
        status = {"Status": "Available", "ResourceRetainedBillableTimeInSeconds": seconds}
        if over and pool.reused_by:
            return status | {"Status": "Reused", "ReusedByJob": pool.reused_by}
        return status | {"Status": "Terminated"} if over else status

    def summary(self, now: float, lag: float = 0.0) -> dict[str, Any] | None:
        """A row of ListTrainingJobs, as it was ``lag`` seconds ago."""
        seen = self.as_of(now - lag)
        if seen is None:
            return None
        row = {
            "TrainingJobName": self.name,
            "TrainingJobArn": self.arn,
            "CreationTime": self.created,
            "LastModifiedTime": seen.at,
            "TrainingJobStatus": seen.status,
            "SecondaryStatus": seen.secondary,
            "TrainingEndTime": self.ended if seen.status in TERMINAL else None,
            "WarmPoolStatus": self.warm_pool_status(now - lag),
        }
        return {key: value for key, value in row.items() if value is not None}

    def describe(self, now: float) -> dict[str, Any]:
        """The answer of DescribeTrainingJob."""
        answer = {key: self.request[key] for key in ECHOED if key in self.request}
        answer |= {
            "TrainingJobArn": self.arn,
            "TrainingJobStatus": self.status,
            "SecondaryStatus": self.secondary,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
            "SecondaryStatusTransitions": self._transitions(),
        }
        if "InstancePreferences" in self.request["ResourceConfig"]:
            selected = {"SelectedInstanceType": self.instance_type, "SelectedInstanceCount": self.instances}
            answer["ResourceConfig"] = self.request["ResourceConfig"] | selected
        output = self.request["OutputDataConfig"]["S3OutputPath"].rstrip("/")
        optional = {
            "TuningJobArn": self.tuning or None,
            "FailureReason": self.failure[:1024] if self.failure else None,
            "TrainingStartTime": self.started,
            "TrainingEndTime": self.ended,
            "TrainingTimeInSeconds": round(self.trained) if self.ended is not None else None,
            "BillableTimeInSeconds": None if self.billable is None else round(self.billable),
            "WarmPoolStatus": self.warm_pool_status(now),
            "FinalMetricDataList": [
                {"MetricName": name, "Value": value, "Timestamp": at}
                for name, (value, at) in self.metrics.items()
            ]
            or None,
            "ModelArtifacts": {"S3ModelArtifacts": f"{output}/{self.name}/output/model.tar.gz"}
            if self.status in {"Completed", "Stopped"}
            else None,
        }
        return answer | {key: value for key, value in optional.items() if value is not None}

    def searched(self, at: float) -> dict[str, Any] | None:
        """What Search shows of it that is as late as ``at``."""
        seen = self.as_of(at)
        if seen is None:
            return None
        row = {key: value for key, value in self.describe(at).items() if key not in _NOT_SEARCHED}
        if seen.status not in TERMINAL:
            row = {key: value for key, value in row.items() if key not in _OF_THE_END}
        transitions = [each for each in row["SecondaryStatusTransitions"] if each["StartTime"] <= at]
        last = {key: value for key, value in transitions[-1].items() if key != "EndTime" or value <= at}
        return row | {
            "TrainingJobStatus": seen.status,
            "SecondaryStatus": seen.secondary,
            "LastModifiedTime": seen.at,
            "SecondaryStatusTransitions": [*transitions[:-1], last],
        }

    def _transitions(self) -> list[dict[str, Any]]:
        rows = []
        for moment, following in zip(self.history, [*self.history[1:], None], strict=True):
            end = following.at if following else moment.at if moment.status in TERMINAL else None
            row = {
                "Status": moment.secondary,
                "StartTime": moment.at,
                "StatusMessage": MESSAGES[moment.secondary],
            }
            rows.append(row if end is None else row | {"EndTime": end})
        return rows
