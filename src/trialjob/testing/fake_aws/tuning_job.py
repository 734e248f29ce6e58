"""One tuning job: what was asked, its children, and where they stand.

Rule: it records and describes; ``tuning`` decides.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from trialjob.testing.fake_aws.job import Job

TERMINAL = frozenset({"Completed", "Failed", "Stopped"})


@dataclass(slots=True, kw_only=True)
class Child:
    """A training job of a tuning job."""

    job: Job
    tuned: dict[str, str]
    #: The objective's values, in the order they were printed.
    values: list[float] = field(default_factory=list)
    #: The tuning job stopped it for its values.
    stopped_early: bool = False

    @property
    def final(self) -> float | None:
        """What counts: the latest value."""
        return self.values[-1] if self.values else None

    def averages(self, upto: int) -> float:
        """The running average of its first values."""
        return math.fsum(self.values[:upto]) / upto


@dataclass(slots=True, kw_only=True)
class TuningJob:
    request: dict[str, Any]
    arn: str
    created: float
    tags: dict[str, str]
    status: str = "InProgress"
    modified: float = 0.0
    ended: float | None = None
    failure: str = ""
    #: Why it launches no more, for tests that read the fake.
    ending: str = ""
    proposals: Iterator[dict[str, str]]
    children: list[Child] = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(self.request["HyperParameterTuningJobName"])

    @property
    def config(self) -> dict[str, Any]:
        found: dict[str, Any] = self.request["HyperParameterTuningJobConfig"]
        return found

    @property
    def terminal(self) -> bool:
        return self.status in TERMINAL

    @property
    def maximises(self) -> bool:
        return bool(self.config["HyperParameterTuningJobObjective"]["Type"] == "Maximize")

    def key(self, value: float) -> float:
        """Larger is better."""
        return value if self.maximises else -value

    @property
    def best(self) -> Child | None:
        """The child whose final value is best, of those that have ended with one."""
        ended = [child for child in self.children if child.job.terminal and child.final is not None]
        return max(ended, key=lambda child: self.key(child.final or 0.0), default=None)

    def not_improving(self) -> int:
        """How many children in a row have ended without a best value better by at least one per cent."""
        best, count = -math.inf, 0
        ended = [child for child in self.children if child.job.status == "Completed"]
        for child in sorted(ended, key=lambda child: child.job.modified):
            if child.final is None:
                continue
            key = self.key(child.final)
            if best == -math.inf or key > best + 0.01 * abs(best):
                best, count = key, 0
            else:
                count += 1
        return count

    def summary(self, child: Child, now: float, lag: float) -> dict[str, Any] | None:
        """A row of ListTrainingJobsForHyperParameterTuningJob, as it was ``lag`` seconds ago."""
        job = child.job
        seen = job.as_of(now - lag)
        if seen is None:
            return None
        over = seen.status in TERMINAL
        row = {
            "TrainingJobName": job.name,
            "TrainingJobArn": job.arn,
            "TuningJobName": self.name,
            "CreationTime": job.created,
            "TrainingStartTime": job.started,
            "TrainingEndTime": job.ended if over else None,
            "TrainingJobStatus": seen.status,
            "TunedHyperParameters": child.tuned,
            "FailureReason": job.failure[:1024] if over and job.failure else None,
            "FinalHyperParameterTuningJobObjectiveMetric": self._objective(child) if over else None,
            "ObjectiveStatus": self._objective_status(child) if over else "Pending",
        }
        return {key: value for key, value in row.items() if value is not None}

    def _objective(self, child: Child) -> dict[str, Any] | None:
        objective = self.config["HyperParameterTuningJobObjective"]
        return None if child.final is None else {**objective, "Value": child.final}

    @staticmethod
    def _objective_status(child: Child) -> str:
        return "Failed" if child.final is None else "Succeeded"

    def describe(self, now: float) -> dict[str, Any]:
        """The answer of DescribeHyperParameterTuningJob."""
        jobs = Counter(_counter(child.job) for child in self.children)
        goals = Counter(
            self._objective_status(child) if child.job.terminal else "Pending" for child in self.children
        )
        best = self.best
        optional = {
            "HyperParameterTuningEndTime": self.ended,
            "FailureReason": self.failure or None,
            "BestTrainingJob": best and self.summary(best, now, 0.0),
            "WarmStartConfig": self.request.get("WarmStartConfig"),
        }
        return {
            "HyperParameterTuningJobName": self.name,
            "HyperParameterTuningJobArn": self.arn,
            "HyperParameterTuningJobConfig": self.config,
            "TrainingJobDefinition": self.request["TrainingJobDefinition"],
            "HyperParameterTuningJobStatus": self.status,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
            "TrainingJobStatusCounters": {
                name: jobs[name]
                for name in ("Completed", "InProgress", "RetryableError", "NonRetryableError", "Stopped")
            },
            "ObjectiveStatusCounters": {name: goals[name] for name in ("Succeeded", "Pending", "Failed")},
            "TuningJobCompletionDetails": {"NumberOfTrainingJobsObjectiveNotImproving": self.not_improving()},
            "ConsumedResources": {"RuntimeInSeconds": round((self.ended or now) - self.created)},
            **{key: value for key, value in optional.items() if value is not None},
        }


def _counter(job: Job) -> str:
    if job.status != "Failed":
        return "InProgress" if job.status == "Stopping" else job.status
    ours = (job.failure or "").startswith(("InternalServerError", "CapacityError"))
    return "RetryableError" if ours else "NonRetryableError"
