"""The fake Automatic Model Tuning, through a real boto3 client in virtual time."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import pytest
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import ClientError, HTTPClientError  # type: ignore[import-untyped]

from trialjob.testing.fake_aws import Epoch, VirtualClock
from trialjob.testing.fake_aws.in_process import boto3_session
from trialjob.testing.fake_aws.service import FakeService

REQUEST: dict[str, Any] = {
    "HyperParameterTuningJobName": "digits",
    "HyperParameterTuningJobConfig": {
        "Strategy": "Random",
        "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "acc"},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 5, "MaxParallelTrainingJobs": 2},
        "ParameterRanges": {
            "ContinuousParameterRanges": [
                {"Name": "lr", "MinValue": "0.001", "MaxValue": "1.0", "ScalingType": "Logarithmic"}
            ],
            "IntegerParameterRanges": [{"Name": "layers", "MinValue": "1", "MaxValue": "4"}],
            "CategoricalParameterRanges": [{"Name": "opt", "Values": ['"sgd"', '"adam"']}],
        },
    },
    "TrainingJobDefinition": {
        "StaticHyperParameters": {"epochs": "3"},
        "AlgorithmSpecification": {
            "TrainingImage": "tuned:1",
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "acc", "Regex": "acc=([0-9.]+)"}],
        },
        "RoleArn": "arn:aws:iam::123456789012:role/SageMaker",
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/output"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    },
    "Tags": [{"Key": "trialjob:experiment", "Value": "digits"}],
}
CONFIG = "HyperParameterTuningJobConfig"


def curve(values: Mapping[str, str], epoch: int) -> Epoch | None:
    """Three epochs of a minute; the more layers, the better."""
    return None if epoch > 3 else Epoch(seconds=60, lines=[f"acc={int(values['layers']) * epoch / 100}"])


def changed(path: str, value: object) -> dict[str, Any]:
    """The request with one field replaced, or taken away by None."""
    request = deepcopy(REQUEST)
    *above, last = path.split(".")
    place: Any = request
    for name in above:
        place = place.setdefault(name, {})
    if value is None:
        place.pop(last)
    else:
        place[last] = value
    return request


class World:
    """A fake with its clock and a client."""

    def __init__(
        self, curve: Callable[[Mapping[str, str], int], Epoch | None] = curve, *, retries: int = 2
    ) -> None:
        self.clock = VirtualClock()
        self.service = FakeService(self.clock)
        self.service.world.write("bucket", "here", b"")
        self.service.script(curve)
        self.client = boto3_session(self.service).client(
            "sagemaker", config=Config(retries={"total_max_attempts": retries + 1})
        )

    def create(self, request: Mapping[str, Any] = REQUEST) -> None:
        self.client.create_hyper_parameter_tuning_job(**request)

    def describe(self) -> Any:  # noqa: ANN401 - boto3 has no types
        return self.client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="digits")

    def children(self, **more: object) -> Any:  # noqa: ANN401 - as above
        answer = self.client.list_training_jobs_for_hyper_parameter_tuning_job(
            **{"HyperParameterTuningJobName": "digits", "SortBy": "CreationTime", "MaxResults": 100, **more}
        )
        return answer["TrainingJobSummaries"]

    def end(self) -> str:
        """Let time pass until it has ended."""
        for _ in range(10_000):
            if (status := self.describe()["HyperParameterTuningJobStatus"]) not in {"InProgress", "Stopping"}:
                return str(status)
            self.clock.sleep(60)
        raise AssertionError("it never ends")


def code(call: Callable[[], object]) -> str:
    """How a call ends: "ok", the code of a refusal, or "lost"."""
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    except HTTPClientError:
        return "lost"
    return "ok"


def test_so_many_children_run_at_one_time_and_all_in_the_end() -> None:
    world = World()
    world.create()
    most = 0
    while world.describe()["HyperParameterTuningJobStatus"] == "InProgress":
        most = max(most, sum(row["TrainingJobStatus"] == "InProgress" for row in world.children()))
        world.clock.sleep(30)
    told = world.describe()
    assert (most, told["HyperParameterTuningJobStatus"]) == (2, "Completed")
    assert told["TrainingJobStatusCounters"]["Completed"] == 5
    assert told["ObjectiveStatusCounters"] == {"Succeeded": 5, "Pending": 0, "Failed": 0}
    rows = world.children()
    assert [re.sub("-[0-9a-f]{8}$", "", row["TrainingJobName"]) for row in rows] == [
        f"digits-{number:03d}" for number in range(1, 6)
    ]
    best = max(row["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for row in rows)
    assert told["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == best
    for row in rows:
        tuned = row["TunedHyperParameters"]
        assert 0.001 <= float(tuned["lr"]) <= 1.0
        assert int(tuned["layers"]) in range(1, 5)
        assert tuned["opt"] in {'"sgd"', '"adam"'}


def test_a_child_is_a_training_job_with_the_values_the_objective_and_the_tags() -> None:
    world = World()
    world.create()
    (row, _) = world.children()
    job = world.client.describe_training_job(TrainingJobName=row["TrainingJobName"])
    assert job["HyperParameters"] == {
        "epochs": "3",
        "_tuning_objective_metric": "acc",
        **row["TunedHyperParameters"],
    }
    assert job["TuningJobArn"] == world.describe()["HyperParameterTuningJobArn"]
    for arn in (job["TrainingJobArn"], job["TuningJobArn"]):
        tags = world.client.list_tags(ResourceArn=arn)["Tags"]
        assert tags == [{"Key": "trialjob:experiment", "Value": "digits"}]
    found = world.client.search(
        Resource="TrainingJob",
        SearchExpression={"Filters": [{"Name": "TuningJobArn", "Value": job["TuningJobArn"]}]},
    )
    assert len(found["Results"]) == 2


def test_the_same_seed_proposes_the_same_and_a_grid_goes_through_all() -> None:
    tuned = []
    for seed in (7, 7, 8):
        world = World()
        world.create(changed(f"{CONFIG}.RandomSeed", seed))
        world.end()
        tuned.append([row["TunedHyperParameters"] for row in world.children()])
    assert tuned[0] == tuned[1] != tuned[2]
    grid = changed(f"{CONFIG}.Strategy", "Grid")
    grid[CONFIG]["ResourceLimits"].pop("MaxNumberOfTrainingJobs")
    grid[CONFIG]["ParameterRanges"] = {
        "CategoricalParameterRanges": [
            {"Name": "layers", "Values": ["1", "2", "3"]},
            {"Name": "opt", "Values": ["a", "b"]},
        ]
    }
    world = World()
    world.create(grid)
    assert world.end() == "Completed"
    combinations = {tuple(row["TunedHyperParameters"].values()) for row in world.children()}
    assert len(world.children()) == len(combinations) == 6


def test_pages_hold_every_child_once_in_every_order() -> None:
    world = World()
    world.create(changed(f"{CONFIG}.ResourceLimits.MaxNumberOfTrainingJobs", 23))
    world.end()
    pages = world.client.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job")
    for by in ("Name", "CreationTime", "Status", "FinalObjectiveMetricValue"):
        for order in ("Ascending", "Descending"):
            rows = [
                row["TrainingJobName"]
                for page in pages.paginate(HyperParameterTuningJobName="digits", SortBy=by, SortOrder=order)
                for row in page["TrainingJobSummaries"]
            ]
            assert len(rows) == len(set(rows)) == 23, (by, order)


@pytest.mark.parametrize(
    ("criteria", "most"),
    [
        ({"TargetObjectiveMetricValue": 0.01}, 3),
        ({"BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3}}, 12),
    ],
)
def test_it_completes_early_by_a_target_and_for_want_of_improvement(
    criteria: dict[str, Any], most: int
) -> None:
    world = World()
    request = changed(f"{CONFIG}.TuningJobCompletionCriteria", criteria)
    request[CONFIG]["ResourceLimits"]["MaxNumberOfTrainingJobs"] = 40
    world.create(request)
    assert world.end() == "Completed"
    assert len(world.children()) <= most


def test_its_runtime_is_bounded_and_a_stop_ends_the_children() -> None:
    world = World()
    world.create(changed(f"{CONFIG}.ResourceLimits.MaxRuntimeInSeconds", 200))
    world.end()
    assert len(world.children()) == 2
    world = World()
    world.create()
    world.clock.sleep(200)
    stop = lambda: world.client.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="digits")  # noqa: E731
    assert code(stop) == "ok"
    assert world.describe()["HyperParameterTuningJobStatus"] == "Stopping"
    assert world.end() == "Stopped"
    assert {row["TrainingJobStatus"] for row in world.children()} == {"Stopped"}
    assert code(stop) == "ValidationException"


@pytest.mark.parametrize("how", ["Auto", "Hyperband"])
def test_hopeless_children_are_stopped_early(how: str) -> None:
    request = changed(f"{CONFIG}.ResourceLimits.MaxNumberOfTrainingJobs", 30)
    if how == "Auto":
        request[CONFIG]["TrainingJobEarlyStoppingType"] = "Auto"
    else:
        request[CONFIG]["Strategy"] = "Hyperband"
    world = World()
    world.create(request)
    assert world.end() == "Completed"
    counters = world.describe()["TrainingJobStatusCounters"]
    assert 0 < counters["Stopped"] < 30
    assert counters["Stopped"] + counters["Completed"] == 30
    tuning = world.service.tuning.jobs["digits"]
    assert all(child.stopped_early for child in tuning.children if child.job.status == "Stopped")


def test_failures_are_counted_by_kind_and_a_tuning_job_without_a_value_fails() -> None:
    world = World(lambda _, __: Epoch(seconds=5, exit_code=1, failure="no such file"))
    world.create()
    assert world.end() == "Failed"
    assert world.describe()["TrainingJobStatusCounters"]["NonRetryableError"] == 5
    assert "FailureReason" in world.children()[0]
    world = World()
    world.service.faults.capacity_error = 1.0
    world.create()
    world.end()
    assert world.describe()["TrainingJobStatusCounters"]["RetryableError"] == 5


def test_a_launch_without_room_is_made_later() -> None:
    world = World()
    world.service.quotas.set("ml.m5.large", training=1)
    world.create()
    assert world.end() == "Completed"
    assert len(world.children()) == 5


def test_the_next_type_is_taken_where_the_first_cannot_be_had() -> None:
    types = [
        {"InstanceType": kind, "InstanceCount": 1, "VolumeSizeInGB": 30}
        for kind in ("ml.p5.48xlarge", "ml.m5.large")
    ]
    request = changed("TrainingJobDefinition.ResourceConfig", None)
    request["TrainingJobDefinition"]["HyperParameterTuningResourceConfig"] = {
        "AllocationStrategy": "Prioritized",
        "InstanceConfigs": types,
    }
    world = World()
    world.service.faults.no_capacity = {"ml.p5.48xlarge"}
    world.create(request)
    name = world.children()[0]["TrainingJobName"]
    job = world.client.describe_training_job(TrainingJobName=name)
    assert job["ResourceConfig"]["InstanceType"] == "ml.m5.large"


def test_calls_meet_the_faults() -> None:
    world = World(retries=0)
    world.service.faults.lost_after = 1.0
    assert code(world.create) == "lost"
    world.service.faults.lost_after = 0.0
    assert code(world.create) == "ResourceInUse"
    world.service.faults.throttle = 1.0
    looks = [code(world.children) for _ in range(4)]
    assert looks == ["ok"] * 2 + ["ThrottlingException"] * 2


RANGE = f"{CONFIG}.ParameterRanges"
REALS = f"{RANGE}.ContinuousParameterRanges"
STATIC = "TrainingJobDefinition.StaticHyperParameters"


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (f"{CONFIG}.ResourceLimits.MaxNumberOfTrainingJobs", 751, "10000|750"),
        (f"{CONFIG}.ResourceLimits.MaxNumberOfTrainingJobs", None, "required"),
        (f"{CONFIG}.ResourceLimits.MaxNumberOfTrainingJobs", 1, "MaxParallelTrainingJobs"),
        (f"{CONFIG}.ResourceLimits.MaxRuntimeInSeconds", 2_592_001, "MaxRuntimeInSeconds"),
        (f"{CONFIG}.StrategyConfig", {"HyperbandStrategyConfig": {"MaxResource": 9}}, "Hyperband only"),
        (f"{CONFIG}.Strategy", "Grid", "categorical"),
        (f"{CONFIG}.HyperParameterTuningJobObjective.MetricName", "loss", "MetricDefinitions"),
        (f"{CONFIG}.HyperParameterTuningJobObjective", None, "required"),
        (REALS, [{"Name": "lr", "MinValue": "1", "MaxValue": "0"}], "less than"),
        (REALS, [{"Name": "layers", "MinValue": "0", "MaxValue": "1"}], "twice"),
        (f"{RANGE}.CategoricalParameterRanges", [{"Name": "a", "Values": ["1", "1"]}], "once"),
        (STATIC, {"lr": "1"}, "twice"),
        (STATIC, {"_tuning_objective_metric": "1"}, "set by the service"),
        ("TrainingJobDefinition.ResourceConfig", None, "Exactly one"),
        ("TrainingJobDefinition.EnableManagedSpotTraining", True, "MaxWaitTimeInSeconds"),
    ],
)  # fmt: skip
def test_what_the_service_refuses(path: str, value: object, says: str) -> None:
    world = World()
    request = changed(path, value)
    if "751" in str(value):
        request[CONFIG]["Strategy"] = "Bayesian"
    with pytest.raises(ClientError, match=says) as refused:
        world.create(request)
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert not world.service.tuning.jobs


def test_more_at_one_time_than_the_quota_and_unknown_names_are_refused() -> None:
    world = World()
    request = changed(f"{CONFIG}.ResourceLimits.MaxParallelTrainingJobs", 11)
    request[CONFIG]["ResourceLimits"]["MaxNumberOfTrainingJobs"] = 20
    assert code(lambda: world.create(request)) == "ResourceLimitExceeded"
    assert code(world.describe) == "ResourceNotFound"
    assert code(world.children) == "ResourceNotFound"


def test_a_warm_start_begins_with_what_has_ended_and_has_as_many_hyperparameters() -> None:
    world = World()
    world.client.create_hyper_parameter_tuning_job(**REQUEST)
    parents = [{"HyperParameterTuningJobName": "digits"}]
    warm = {"ParentHyperParameterTuningJobs": parents, "WarmStartType": "TransferLearning"}
    request = {**REQUEST, "HyperParameterTuningJobName": "warm", "WarmStartConfig": warm}
    with pytest.raises(ClientError, match="is in status InProgress"):
        world.client.create_hyper_parameter_tuning_job(**request)
    world.clock.sleep(86_400.0)
    fewer = deepcopy(request)
    fewer["TrainingJobDefinition"]["StaticHyperParameters"] = {}
    with pytest.raises(ClientError, match="number of hyperparameters differs"):
        world.client.create_hyper_parameter_tuning_job(**fewer)
    world.client.create_hyper_parameter_tuning_job(**request)
    told = world.client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="warm")
    assert told["WarmStartConfig"] == warm
