"""Every operation of the fake AWS, through a real boto3 client and a real socket, in virtual time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from trialjob.testing.fake_aws import Epoch, FakeAws, VirtualClock
from trialjob.testing.fake_aws.requests import (
    BUCKET,
    LOG_GROUP,
    ROLE,
    Client,
    Value,
    resources,
    spot,
    training_request,
)

COLD = 160.0  # to the start of Training: 150 for instances, 10 to download
HOUR = 3600.0


def curve(hyperparameters: Mapping[str, str], epoch: int) -> Epoch | None:
    if epoch > int(hyperparameters.get("epochs", "3")):
        return None
    code = int(hyperparameters["exit"]) if "exit" in hyperparameters else None
    return Epoch(seconds=30, lines=[f"epoch={epoch} val_acc=0.{epoch}"], exit_code=code, failure="bad data")


@pytest.fixture
def fake() -> Iterator[FakeAws]:
    with FakeAws(clock=VirtualClock(), curve=curve) as fake:
        fake.create_bucket(BUCKET)
        assert fake.create_role() == ROLE
        yield fake


@pytest.fixture
def sagemaker(fake: FakeAws) -> Client:
    return fake.client("sagemaker")


@pytest.fixture
def logs(fake: FakeAws) -> Client:
    return fake.client("logs")


def refusal(call: Client, **params: Value) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**params)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def status(sagemaker: Client, name: str) -> tuple[str, str]:
    answer = sagemaker.describe_training_job(TrainingJobName=name)
    return answer["TrainingJobStatus"], answer["SecondaryStatus"]


def test_an_answer_is_dated_by_the_clock_that_dates_what_is_in_it(fake: FakeAws, sagemaker: Client) -> None:
    """A client takes an answer's date for the service's time, by which it waits for what comes late."""
    for _ in range(2):
        told = sagemaker.list_training_jobs()["ResponseMetadata"]["HTTPHeaders"]["date"]
        assert parsedate_to_datetime(told).timestamp() == fake.clock.now()
        fake.clock.sleep(HOUR)


# --- life ---


def test_a_job_goes_through_its_life(fake: FakeAws, sagemaker: Client) -> None:
    rules = [{"Name": "acc", "Regex": "val_acc=([0-9.]+)"}]
    algorithm = {"TrainingImage": "image", "TrainingInputMode": "File", "MetricDefinitions": rules}
    request = training_request("run-1-1", AlgorithmSpecification=algorithm, HyperParameters={"epochs": "2"})
    arn = sagemaker.create_training_job(**request)["TrainingJobArn"]
    assert arn == "arn:aws:sagemaker:us-east-1:123456789012:training-job/run-1-1"
    seen = [status(sagemaker, "run-1-1")]
    for seconds in (150, 10, 60, 5):
        fake.clock.sleep(seconds)
        seen.append(status(sagemaker, "run-1-1"))
    assert [secondary for _, secondary in seen] == [
        "Starting",
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]
    job = sagemaker.describe_training_job(TrainingJobName="run-1-1")
    assert job["BillableTimeInSeconds"] == job["TrainingTimeInSeconds"] == 75
    assert (job["TrainingEndTime"] - job["TrainingStartTime"]).total_seconds() == 75
    assert [t["Status"] for t in job["SecondaryStatusTransitions"]] == [secondary for _, secondary in seen]
    assert [(m["MetricName"], m["Value"]) for m in job["FinalMetricDataList"]] == [("acc", 0.2)]
    assert job["AlgorithmSpecification"] == algorithm
    assert job["HyperParameters"] == {"epochs": "2"}
    assert "WarmPoolStatus" not in job


def test_an_exit_code_fails_the_job_with_the_failure_file(fake: FakeAws, sagemaker: Client) -> None:
    sagemaker.create_training_job(**training_request("a", HyperParameters={"exit": "3"}))
    fake.clock.sleep(HOUR)
    job = sagemaker.describe_training_job(TrainingJobName="a")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: bad data, exit code: 3"


def test_137_without_a_word_is_out_of_memory(fake: FakeAws, sagemaker: Client) -> None:
    fake.service.script(lambda _, __: Epoch(seconds=1, exit_code=137))
    sagemaker.create_training_job(**training_request("a"))
    fake.clock.sleep(HOUR)
    assert "more memory" in sagemaker.describe_training_job(TrainingJobName="a")["FailureReason"]


def test_the_maximum_run_time_ends_a_job(fake: FakeAws, sagemaker: Client) -> None:
    stopping = {"MaxRuntimeInSeconds": 100}
    request = training_request("a", StoppingCondition=stopping, HyperParameters={"epochs": "99"})
    sagemaker.create_training_job(**request)
    fake.clock.sleep(HOUR)
    assert status(sagemaker, "a") == ("Stopped", "MaxRuntimeExceeded")
    assert sagemaker.describe_training_job(TrainingJobName="a")["BillableTimeInSeconds"] == 106


def test_unknown_image_and_missing_input_are_found_late(fake: FakeAws, sagemaker: Client) -> None:
    fake.service.lifecycle.unknown_images.add("no-such-image")
    algorithm = {"TrainingImage": "no-such-image", "TrainingInputMode": "File"}
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/nothing"}}
    channels = [{"ChannelName": "train", "DataSource": source}]
    sagemaker.create_training_job(**training_request("image", AlgorithmSpecification=algorithm))
    sagemaker.create_training_job(**training_request("input", InputDataConfig=channels))
    output = {"S3OutputPath": "s3://elsewhere/out"}
    sagemaker.create_training_job(**training_request("output", OutputDataConfig=output))
    fake.clock.sleep(HOUR)
    for name, words in (
        ("image", "no-such-image"),
        ("input", "s3://bucket/nothing"),
        ("output", "elsewhere"),
    ):
        job = sagemaker.describe_training_job(TrainingJobName=name)
        assert job["TrainingJobStatus"] == "Failed"
        assert job["FailureReason"].startswith("ClientError: ")
        assert words in job["FailureReason"]


# --- stop ---


@pytest.mark.parametrize("after", [0.0, 155.0, 200.0], ids=["starting", "downloading", "training"])
def test_stop_goes_over_stopping_to_stopped(fake: FakeAws, sagemaker: Client, after: float) -> None:
    sagemaker.create_training_job(**training_request("a"))
    fake.clock.sleep(after)
    sagemaker.stop_training_job(TrainingJobName="a")
    sagemaker.stop_training_job(TrainingJobName="a")
    assert status(sagemaker, "a") == ("Stopping", "Stopping")
    fake.clock.sleep(10)
    assert status(sagemaker, "a") == ("Stopped", "Stopped")
    code, message = refusal(sagemaker.stop_training_job, TrainingJobName="a")
    assert code == "ValidationException"
    assert message == "The request was rejected because the training job is in status Stopped."


def test_a_job_that_ignores_sigterm_is_killed_after_the_grace(fake: FakeAws, sagemaker: Client) -> None:
    fake.service.script(curve, stops_in=None)
    sagemaker.create_training_job(**training_request("a", HyperParameters={"epochs": "99"}))
    fake.clock.sleep(COLD + 1)
    sagemaker.stop_training_job(TrainingJobName="a")
    fake.clock.sleep(119)
    assert status(sagemaker, "a")[0] == "Stopping"
    fake.clock.sleep(10)
    assert status(sagemaker, "a")[0] == "Stopped"


def test_unknown_jobs_are_a_validation_exception(sagemaker: Client) -> None:
    expected = ("ValidationException", "Requested resource not found.")
    assert refusal(sagemaker.describe_training_job, TrainingJobName="nobody") == expected
    assert refusal(sagemaker.stop_training_job, TrainingJobName="nobody") == expected


# --- strictness ---


def test_a_name_is_used_once(fake: FakeAws, sagemaker: Client) -> None:
    sagemaker.create_training_job(**training_request("a"))
    fake.clock.sleep(HOUR)
    code, message = refusal(sagemaker.create_training_job, **training_request("a"))
    assert code == "ResourceInUse"
    assert message.startswith("Training job names must be unique within an AWS account and region")
    sagemaker.delete_training_job(TrainingJobName="a")
    sagemaker.create_training_job(**training_request("a"))


CHANNEL = {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/x"}}}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "name pattern": ({"TrainingJobName": "a_b"}, "regular expression pattern"),
    "name end": ({"TrainingJobName": "a-"}, "regular expression pattern"),
    "name length": ({"TrainingJobName": "a" * 64}, "trainingJobName"),
    "instance type": (resources(InstanceType="ml.nope.large"), "enum value set"),
    "role": ({"RoleArn": "arn:aws:iam::12:role/someone"}, "regular expression pattern"),
    "unknown role": ({"RoleArn": "arn:aws:iam::123456789012:role/Nobody"}, "Could not assume role"),
    "value": ({"HyperParameters": {"x": "v" * 257}}, "256"),
    "newline": ({"HyperParameters": {"x": "a\nb"}}, "regular expression pattern"),
    "many hyperparameters": (
        {"HyperParameters": {f"x{n}": "1" for n in range(101)}},
        "less than or equal to 100",
    ),
    "environment": ({"Environment": {"1A": "x"}}, "regular expression pattern"),
    "tags": ({"Tags": [{"Key": "k", "Value": "v"}, {"Key": "k", "Value": "w"}]}, "unique"),
    "tag": ({"Tags": [{"Key": "k", "Value": "{json}"}]}, "regular expression pattern"),
    "channels": ({"InputDataConfig": [{"ChannelName": "c"} | CHANNEL] * 2}, "unique"),
    "keep alive": (resources(KeepAlivePeriodInSeconds=3601), "3600"),
    "keep alive on spot": (resources(KeepAlivePeriodInSeconds=60) | spot(), "spot"),
    "keep alive in the model": (resources(KeepAlivePeriodInSeconds=30_000), "21600"),
    "wait without spot": (
        {"StoppingCondition": {"MaxRuntimeInSeconds": 1, "MaxWaitTimeInSeconds": 2}},
        "Spot",
    ),
    "wait below runtime": (spot(max_wait=10), "MaxWaitTimeInSeconds (10)"),
    "spot without wait": ({"EnableManagedSpotTraining": True}, "MaxWaitTimeInSeconds"),
    "no stopping condition": ({"StoppingCondition": None}, "StoppingCondition"),
    "no resources": ({"ResourceConfig": None}, "ResourceConfig"),
    "no image": ({"AlgorithmSpecification": {"TrainingInputMode": "File"}}, "TrainingImage"),
    "volume key": (resources(VolumeKmsKeyId="key"), "local storage"),
    "runtime": ({"StoppingCondition": {"MaxRuntimeInSeconds": 29 * 86_400}}, "2419200"),
    "output": ({"OutputDataConfig": {"S3OutputPath": "https://bucket/out"}}, "S3 URI"),
    "image of another region": (
        {
            "AlgorithmSpecification": {
                "TrainingImage": "763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-training:2",
                "TrainingInputMode": "File",
            }
        },
        "eu-west-1",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_request_is_refused(fake: FakeAws, sagemaker: Client, case: str) -> None:
    changes, words = BAD[case]
    code, message = refusal(sagemaker.create_training_job, **training_request("fresh", **changes))
    assert code == "ValidationException"
    assert words in message
    assert "fresh" not in fake.service.jobs


def test_a_role_that_may_not_be_passed(fake: FakeAws, sagemaker: Client) -> None:
    fake.service.training.not_passable.add(ROLE)
    code, message = refusal(sagemaker.create_training_job, **training_request("a"))
    assert code == "AccessDeniedException"
    assert "is not authorized to perform: iam:PassRole" in message


def test_a_registry_refuses_what_its_model_does_not_take(fake: FakeAws) -> None:
    ecr = fake.client("ecr")
    ecr.create_repository(repositoryName="mine")
    assert ecr.describe_images(repositoryName="mine")["imageDetails"] == []
    code, message = refusal(ecr.describe_images, repositoryName="Mine!")
    assert code == "InvalidParameterException"
    assert "failed to satisfy constraint" in message
    assert refusal(ecr.describe_images, repositoryName="none")[0] == "RepositoryNotFoundException"
    assert (
        refusal(ecr.describe_images, registryId="1" * 12, repositoryName="xx")[0] == "AccessDeniedException"
    )


def test_denied_actions_name_themselves(fake: FakeAws, sagemaker: Client) -> None:
    fake.faults.denied |= {"sagemaker:ListTrainingJobs", "sagemaker:AddTags"}
    code, message = refusal(sagemaker.list_training_jobs)
    assert code == "AccessDeniedException"
    assert "sagemaker:ListTrainingJobs" in message
    tagged = training_request("a", Tags=[{"Key": "k", "Value": "v"}])
    assert "sagemaker:AddTags" in refusal(sagemaker.create_training_job, **tagged)[1]


def test_quota_is_refused_at_once_and_in_the_known_words(fake: FakeAws, sagemaker: Client) -> None:
    fake.service.quotas.set("ml.g5.xlarge", training=1, spot=0)
    sagemaker.create_training_job(**training_request("a"))
    code, message = refusal(sagemaker.create_training_job, **training_request("b"))
    assert code == "ResourceLimitExceeded"
    assert message.startswith(
        "The account-level service limit 'ml.g5.xlarge for training job usage' is 1 Instances, with current "
        "utilization of 1 Instances and a request delta of 1 Instances."
    )
    assert (
        "'ml.g5.xlarge for spot training job usage' is 0"
        in (refusal(sagemaker.create_training_job, **training_request("c", **spot()))[1])
    )
    sagemaker.stop_training_job(TrainingJobName="a")
    assert refusal(sagemaker.create_training_job, **training_request("b"))[0] == "ResourceLimitExceeded"
    fake.clock.sleep(10)
    sagemaker.create_training_job(**training_request("b"))


def test_another_region_is_another_world_without_quota(fake: FakeAws, sagemaker: Client) -> None:
    sagemaker.create_training_job(**training_request("a"))
    elsewhere = fake.client("sagemaker", region="eu-west-1")
    assert elsewhere.list_training_jobs()["TrainingJobSummaries"] == []
    assert refusal(elsewhere.create_training_job, **training_request("b"))[0] == "ResourceLimitExceeded"


# --- warm pools ---


def keep(**changes: Value) -> dict[str, Any]:
    return resources(KeepAlivePeriodInSeconds=240, **changes)


def test_a_pool_is_reused_by_the_next_job_that_matches(fake: FakeAws, sagemaker: Client) -> None:
    sagemaker.create_training_job(**training_request("a", **keep()))
    assert sagemaker.describe_training_job(TrainingJobName="a")["WarmPoolStatus"] == {"Status": "InUse"}
    fake.clock.sleep(COLD + 95 + 100)
    pool = sagemaker.describe_training_job(TrainingJobName="a")["WarmPoolStatus"]
    assert pool == {"Status": "Available", "ResourceRetainedBillableTimeInSeconds": 100}
    sagemaker.create_training_job(**training_request("other-size", **keep(VolumeSizeInGB=31)))
    sagemaker.create_training_job(**training_request("b", **keep(), Environment={"IS": "not compared"}))
    pool = sagemaker.describe_training_job(TrainingJobName="a")["WarmPoolStatus"]
    assert pool["Status"] == "Reused"
    assert pool["ReusedByJob"] == "b"
    fake.clock.sleep(15)
    assert status(sagemaker, "b")[1] == "Downloading"
    assert status(sagemaker, "other-size")[1] == "Starting"


def test_a_pool_ends_by_itself_or_by_zero(fake: FakeAws, sagemaker: Client) -> None:
    for name in ("a", "b"):
        sagemaker.create_training_job(**training_request(name, **keep()))
    early = {"TrainingJobName": "a", "ResourceConfig": {"KeepAlivePeriodInSeconds": 0}}
    assert refusal(sagemaker.update_training_job, **early)[0] == "ValidationException"
    fake.clock.sleep(COLD + 95 + 10)
    found = sagemaker.list_training_jobs(WarmPoolStatusEquals="Available")["TrainingJobSummaries"]
    assert {row["TrainingJobName"] for row in found} == {"a", "b"}
    sagemaker.update_training_job(**early)
    assert sagemaker.describe_training_job(TrainingJobName="a")["WarmPoolStatus"] == {
        "Status": "Terminated",
        "ResourceRetainedBillableTimeInSeconds": 10,
    }
    assert fake.service.bill().pools_left == 1
    fake.clock.sleep(HOUR)
    pool = sagemaker.describe_training_job(TrainingJobName="b")["WarmPoolStatus"]
    assert pool == {"Status": "Terminated", "ResourceRetainedBillableTimeInSeconds": 240}
    assert fake.service.bill().idle == 250


def test_keep_alive_can_be_prolonged(fake: FakeAws, sagemaker: Client) -> None:
    sagemaker.create_training_job(**training_request("a", **keep()))
    fake.clock.sleep(COLD + 95)
    longer = {"TrainingJobName": "a", "ResourceConfig": {"KeepAlivePeriodInSeconds": 600}}
    sagemaker.update_training_job(**longer)
    fake.clock.sleep(500)
    assert sagemaker.describe_training_job(TrainingJobName="a")["WarmPoolStatus"]["Status"] == "Available"
    fake.clock.sleep(101)
    assert sagemaker.describe_training_job(TrainingJobName="a")["WarmPoolStatus"]["Status"] == "Terminated"


def test_without_pool_quota_the_service_is_silent(fake: FakeAws, sagemaker: Client) -> None:
    fake.service.quotas.set("ml.g5.xlarge", warm_pool=0)
    sagemaker.create_training_job(**training_request("a", **keep()))
    fake.clock.sleep(HOUR)
    assert "WarmPoolStatus" not in sagemaker.describe_training_job(TrainingJobName="a")
    fake.service.training.refuses_without_pool_quota = True
    code, message = refusal(sagemaker.create_training_job, **training_request("b", **keep()))
    assert code == "ResourceLimitExceeded"
    assert "training warm pool usage" in message


def test_a_waiting_pool_counts_within_the_training_quota(fake: FakeAws, sagemaker: Client) -> None:
    fake.service.quotas.set("ml.g5.xlarge", training=1)
    sagemaker.create_training_job(**training_request("a", **keep()))
    fake.clock.sleep(COLD + 95)
    other = training_request("b", **keep(VolumeSizeInGB=31))
    assert refusal(sagemaker.create_training_job, **other)[0] == "ResourceLimitExceeded"
    sagemaker.create_training_job(**training_request("c", **keep()))


# --- spot ---


def test_an_interrupted_spot_job_keeps_its_name(fake: FakeAws, sagemaker: Client, logs: Client) -> None:
    checkpoints = {"CheckpointConfig": {"S3Uri": "s3://bucket/checkpoints"}}
    sagemaker.create_training_job(**training_request("a", **spot(), **checkpoints))
    fake.clock.sleep(COLD + 70)
    fake.service.interrupt("a")
    assert status(sagemaker, "a") == ("InProgress", "Interrupted")
    fake.clock.sleep(60)
    assert status(sagemaker, "a") == ("InProgress", "Starting")
    fake.clock.sleep(HOUR)
    job = sagemaker.describe_training_job(TrainingJobName="a")
    assert job["TrainingJobStatus"] == "Completed"
    assert job["TrainingTimeInSeconds"] == 10 + 70 + 10 + 30 + 5
    assert job["BillableTimeInSeconds"] == round(0.3 * 125)
    events = logs.filter_log_events(logGroupName=LOG_GROUP, logStreamNamePrefix="a/")["events"]
    assert [event["message"].split()[0] for event in events] == ["epoch=1", "epoch=2", "epoch=3"]
    assert len({event["logStreamName"] for event in events}) == 2


def test_without_checkpoints_epochs_are_told_again(fake: FakeAws, sagemaker: Client, logs: Client) -> None:
    sagemaker.create_training_job(**training_request("a", **spot()))
    fake.clock.sleep(COLD + 70)
    fake.service.interrupt("a")
    fake.clock.sleep(HOUR)
    assert status(sagemaker, "a")[0] == "Completed"
    assert len(logs.filter_log_events(logGroupName=LOG_GROUP)["events"]) == 5


def test_a_spot_job_that_never_starts_waits_its_time_out(fake: FakeAws, sagemaker: Client) -> None:
    fake.faults.no_capacity.add("ml.g5.xlarge")
    sagemaker.create_training_job(**training_request("a", **spot()))
    fake.clock.sleep(7000)
    assert status(sagemaker, "a") == ("InProgress", "Pending")
    fake.clock.sleep(300)
    assert status(sagemaker, "a") == ("Stopped", "MaxWaitTimeExceeded")
    assert "BillableTimeInSeconds" not in sagemaker.describe_training_job(TrainingJobName="a")


# --- capacity ---


def test_without_capacity_a_job_fails_after_a_while(fake: FakeAws, sagemaker: Client) -> None:
    fake.faults.no_capacity.add("ml.g5.xlarge")
    sagemaker.create_training_job(**training_request("a"))
    fake.clock.sleep(100)
    assert status(sagemaker, "a") == ("InProgress", "Pending")
    fake.clock.sleep(900)
    job = sagemaker.describe_training_job(TrainingJobName="a")
    assert job["FailureReason"].startswith(
        "CapacityError: Unable to provision requested ML compute capacity."
    )
    assert "TrainingStartTime" not in job


def test_the_first_preferred_type_with_capacity_is_taken(fake: FakeAws, sagemaker: Client) -> None:
    fake.faults.no_capacity.add("ml.g5.xlarge")
    preferences = [{"InstanceType": name, "InstanceCount": 1} for name in ("ml.g5.xlarge", "ml.g4dn.xlarge")]
    chosen = {"ResourceConfig": {"InstancePreferences": preferences, "VolumeSizeInGB": 30}}
    sagemaker.create_training_job(**training_request("a", **chosen))
    fake.clock.sleep(HOUR)
    job = sagemaker.describe_training_job(TrainingJobName="a")
    assert job["TrainingJobStatus"] == "Completed"
    assert job["ResourceConfig"]["SelectedInstanceType"] == "ml.g4dn.xlarge"


def test_internal_errors_are_retried_only_when_the_request_says_so(fake: FakeAws, sagemaker: Client) -> None:
    fake.faults.internal_server_error = 1.0
    sagemaker.create_training_job(**training_request("a"))
    sagemaker.create_training_job(**training_request("b", RetryStrategy={"MaximumRetryAttempts": 2}))
    fake.clock.sleep(150)
    assert "InternalServerError" in sagemaker.describe_training_job(TrainingJobName="a")["FailureReason"]
    assert status(sagemaker, "b") == ("InProgress", "Restarting")
    fake.faults.internal_server_error = 0.0
    fake.clock.sleep(HOUR)
    fake.clock.sleep(HOUR)
    assert status(sagemaker, "b")[0] == "Completed"


# --- list, search, tags ---


def test_list_pages_sorts_and_filters(fake: FakeAws, sagemaker: Client) -> None:
    for number in range(12):
        sagemaker.create_training_job(**training_request(f"run-{number:02d}"))
        fake.clock.sleep(1)
    sagemaker.create_training_job(**training_request("other"))
    sagemaker.stop_training_job(TrainingJobName="run-11")
    first = sagemaker.list_training_jobs(NameContains="run-", SortBy="Name", SortOrder="Ascending")
    assert [row["TrainingJobName"] for row in first["TrainingJobSummaries"]] == [
        f"run-{n:02d}" for n in range(10)
    ]
    rest = sagemaker.list_training_jobs(
        NameContains="run-", SortBy="Name", SortOrder="Ascending", NextToken=first["NextToken"]
    )
    assert [row["TrainingJobName"] for row in rest["TrainingJobSummaries"]] == ["run-10", "run-11"]
    assert "NextToken" not in rest
    newest = sagemaker.list_training_jobs(SortBy="CreationTime", SortOrder="Descending", MaxResults=1)
    assert newest["TrainingJobSummaries"][0]["TrainingJobName"] == "other"
    assert newest["TrainingJobSummaries"][0]["SecondaryStatus"] == "Starting"
    late = sagemaker.list_training_jobs(CreationTimeAfter=fake.clock.now() - 1.5)["TrainingJobSummaries"]
    assert {row["TrainingJobName"] for row in late} == {"run-11", "other"}


def test_status_is_filtered_after_the_page_is_cut(sagemaker: Client) -> None:
    for number in range(4):
        sagemaker.create_training_job(**training_request(f"run-{number}"))
    sagemaker.stop_training_job(TrainingJobName="run-3")
    found = sagemaker.list_training_jobs(StatusEquals="Stopping", SortBy="Name", MaxResults=2)
    assert found["TrainingJobSummaries"] == []
    found = sagemaker.list_training_jobs(
        StatusEquals="Stopping", SortBy="Name", MaxResults=2, NextToken=found["NextToken"]
    )
    assert [row["TrainingJobName"] for row in found["TrainingJobSummaries"]] == ["run-3"]


def test_list_refuses_what_the_service_refuses(sagemaker: Client) -> None:
    assert refusal(sagemaker.list_training_jobs, MaxResults=101)[0] == "ValidationException"
    assert refusal(sagemaker.list_training_jobs, NameContains="a_b")[0] == "ValidationException"
    assert refusal(sagemaker.list_training_jobs, NextToken="bogus")[0] == "ValidationException"


def test_changed_since(fake: FakeAws, sagemaker: Client) -> None:
    sagemaker.create_training_job(**training_request("old"))
    fake.clock.sleep(HOUR)
    mark = fake.clock.now()
    sagemaker.create_training_job(**training_request("new"))
    rows = sagemaker.list_training_jobs(LastModifiedTimeAfter=mark)["TrainingJobSummaries"]
    assert [row["TrainingJobName"] for row in rows] == ["new"]


def test_search_by_tags(sagemaker: Client) -> None:
    for number in range(3):
        tags = [{"Key": "trial", "Value": str(number)}, {"Key": "experiment", "Value": "run"}]
        sagemaker.create_training_job(**training_request(f"run-{number}", Tags=tags))
    rules = [
        {"Name": "Tags.experiment", "Operator": "Equals", "Value": "run"},
        {"Name": "Tags.trial", "Operator": "In", "Value": "0,2"},
        {"Name": "TrainingJobStatus", "Operator": "NotEquals", "Value": "Completed"},
    ]
    found = sagemaker.search(Resource="TrainingJob", SearchExpression={"Filters": rules})["Results"]
    assert {row["TrainingJob"]["TrainingJobName"] for row in found} == {"run-0", "run-2"}
    assert {"Key": "trial", "Value": "0"} in (
        found[0]["TrainingJob"]["Tags"] + found[1]["TrainingJob"]["Tags"]
    )


def test_tags_are_added_over_old_ones(sagemaker: Client) -> None:
    request = training_request("a", Tags=[{"Key": "k", "Value": "v"}])
    arn = sagemaker.create_training_job(**request)["TrainingJobArn"]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "k", "Value": "w"}, {"Key": "l", "Value": ""}])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [
        {"Key": "k", "Value": "w"},
        {"Key": "l", "Value": ""},
    ]


def test_delete_is_for_ended_jobs_without_a_pool(fake: FakeAws, sagemaker: Client) -> None:
    sagemaker.create_training_job(**training_request("a", **keep()))
    assert refusal(sagemaker.delete_training_job, TrainingJobName="a")[0] == "ValidationException"
    fake.clock.sleep(COLD + 95)
    assert refusal(sagemaker.delete_training_job, TrainingJobName="a")[0] == "ResourceInUse"
    fake.clock.sleep(HOUR)
    sagemaker.delete_training_job(TrainingJobName="a")
    assert refusal(sagemaker.describe_training_job, TrainingJobName="a")[0] == "ValidationException"


# --- logs ---


def test_logs_by_prefix_pattern_time_and_page(fake: FakeAws, sagemaker: Client, logs: Client) -> None:
    missing = refusal(logs.filter_log_events, logGroupName=LOG_GROUP)
    assert missing == ("ResourceNotFoundException", "The specified log group does not exist.")
    sagemaker.create_training_job(**training_request("run-1-1"))
    sagemaker.create_training_job(**training_request("run-10-1"))
    fake.clock.sleep(HOUR)
    asked: dict[str, Any] = {"logGroupName": LOG_GROUP, "logStreamNamePrefix": "run-1-"}
    page = logs.filter_log_events(**asked, limit=2)
    assert [event["message"] for event in page["events"]] == ["epoch=1 val_acc=0.1", "epoch=2 val_acc=0.2"]
    page = logs.filter_log_events(**asked, limit=2, nextToken=page["nextToken"])
    assert [event["message"] for event in page["events"]] == ["epoch=3 val_acc=0.3"]
    assert "nextToken" not in page
    late = logs.filter_log_events(**asked, startTime=page["events"][0]["timestamp"])["events"]
    assert [event["eventId"] for event in late] == [page["events"][0]["eventId"]]
    found = logs.filter_log_events(logGroupName=LOG_GROUP, filterPattern='"epoch=2 val"')["events"]
    assert len(found) == 2
    assert refusal(logs.filter_log_events, logGroupName=LOG_GROUP, filterPattern="epoch=2")[0] == (
        "InvalidParameterException"
    )
    both = {"logStreamNames": ["x"], "logStreamNamePrefix": "x"}
    assert refusal(logs.filter_log_events, logGroupName=LOG_GROUP, **both)[0] == "InvalidParameterException"
    assert (
        refusal(logs.filter_log_events, logGroupName=LOG_GROUP, limit=10_001)[0]
        == "InvalidParameterException"
    )


def test_one_stream_forwards_and_backwards(fake: FakeAws, sagemaker: Client, logs: Client) -> None:
    sagemaker.create_training_job(**training_request("a"))
    fake.clock.sleep(HOUR)
    streams = logs.describe_log_streams(logGroupName=LOG_GROUP, logStreamNamePrefix="a/")["logStreams"]
    name = streams[0]["logStreamName"]
    assert name.startswith("a/algo-1-")
    asked = {"logGroupName": LOG_GROUP, "logStreamName": name, "limit": 2}
    assert len(logs.get_log_events(**asked)["events"]) == 2
    page = logs.get_log_events(**asked, startFromHead=True)
    assert page["events"][0]["message"] == "epoch=1 val_acc=0.1"
    page = logs.get_log_events(**asked, nextToken=page["nextForwardToken"])
    assert len(page["events"]) == 1
    end = logs.get_log_events(**asked, nextToken=page["nextForwardToken"])
    assert end["events"] == []
    assert end["nextForwardToken"] == page["nextForwardToken"]


# --- hostile input ---

TARGETS = (
    "SageMaker.CreateTrainingJob",
    "SageMaker.ListTrainingJobs",
    "SageMaker.Search",
    "SageMaker.Nope",
    "Logs_20140328.FilterLogEvents",
    "Logs_20140328.GetLogEvents",
    "Logs_20140328.DescribeLogStreams",
    "ServiceQuotasV20190624.ListServiceQuotas",
    "AWSPriceListService.GetProducts",
)
JUNK = (
    b"[1]",
    b"null",
    b"\xff",
    b'"x"',
    b"1e999",
    b'{"TrainingJobName": null}',
    b'{"MaxResults": "1"}',
    b'{"MaxResults": NaN}',
    b'{"CreationTimeAfter": "yesterday"}',
    b'{"Unknown": 1}',
    *(
        b'{"logGroupName": "/aws/sagemaker/TrainingJobs", "logStreamName": "s", "nextToken": "%s"}' % token
        for token in (b"?", b"W10=", b"bnVsbA==", b"WzUsIHRydWVd", b"f/x")
    ),
    *(
        b'{"Resource": "TrainingJob", "ServiceCode": "sagemaker", "NextToken": "%s"}' % token
        for token in (b"?", b"W10=", b"bnVsbA==", b"WzEsIDJd")
    ),
    *(b'{"NextToken": "%s"}' % token for token in (b"?", b"W10=", b"bnVsbA==", b"WzEsIDJd")),
)


@pytest.mark.parametrize("target", TARGETS)
def test_junk_is_refused_and_never_an_internal_error(fake: FakeAws, sagemaker: Client, target: str) -> None:
    sagemaker.create_training_job(**training_request("a"))
    fake.clock.sleep(HOUR)
    assert fake.service.lines()
    for junk in JUNK:
        headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
        request = urllib.request.Request(fake.url, data=junk, headers=headers)  # noqa: S310 - our own server
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=240)  # noqa: S310 - as above
        caught.value.close()
        assert caught.value.code == 400, junk


# --- quotas, prices, moto's own ---


def test_quotas_can_be_read(fake: FakeAws) -> None:
    fake.service.quotas.set("ml.p4d.24xlarge", training=8, warm_pool=0)
    quotas = fake.client("service-quotas")
    pages = quotas.get_paginator("list_service_quotas").paginate(
        ServiceCode="sagemaker", PaginationConfig={"PageSize": 5}
    )
    values = {row["QuotaName"]: row["Value"] for page in pages for row in page["Quotas"]}
    assert values["ml.p4d.24xlarge for training job usage"] == 8
    assert values["ml.p4d.24xlarge for training warm pool usage"] == 0
    assert values["ml.g5.xlarge for spot training job usage"] == 100
    assert refusal(quotas.list_service_quotas, ServiceCode="nothing")[0] == "NoSuchResourceException"


def test_prices_can_be_read(fake: FakeAws) -> None:
    rules = [{"Type": "TERM_MATCH", "Field": "usagetype", "Value": "USE1-Train:ml.g5.2xlarge"}]
    found = fake.client("pricing").get_products(ServiceCode="AmazonSageMaker", Filters=rules)["PriceList"]
    assert len(found) == 1
    assert '"USD": "1.515"' in json.dumps(json.loads(found[0])["terms"])


def test_moto_answers_for_the_others(fake: FakeAws) -> None:
    s3 = fake.client("s3")
    s3.put_object(Bucket=BUCKET, Key="lease", Body=b"1", IfNoneMatch="*")
    assert (
        refusal(s3.put_object, Bucket=BUCKET, Key="lease", Body=b"2", IfNoneMatch="*")[0]
        == "PreconditionFailed"
    )
    assert fake.world.read(BUCKET, "lease") == b"1"
    assert fake.client("sts").get_caller_identity()["Account"] == "123456789012"
    assert fake.client("dynamodb").list_tables()["TableNames"] == []
    assert {"s3:PutObject", "sts:GetCallerIdentity", "dynamodb:ListTables"} <= fake.ledger.actions()


def test_permissions_can_be_asked_for(fake: FakeAws) -> None:
    fake.faults.denied.add("sagemaker:Search")
    fake.service.training.not_passable.add(ROLE)
    asked = {"PolicySourceArn": "arn:aws:iam::123456789012:user/me", "ResourceArns": [ROLE]}
    actions = ["sagemaker:Search", "sagemaker:AddTags", "iam:PassRole"]
    answer = fake.client("iam").simulate_principal_policy(ActionNames=actions, **asked)["EvaluationResults"]
    decisions = {row["EvalActionName"]: row["EvalDecision"] for row in answer}
    assert decisions == dict(zip(actions, ["implicitDeny", "allowed", "implicitDeny"], strict=True))


def test_a_role_that_sagemaker_may_not_take_on(fake: FakeAws, sagemaker: Client) -> None:
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    role = fake.client("iam").create_role(RoleName="Closed", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    assert (
        "Could not assume" in refusal(sagemaker.create_training_job, **training_request("a", RoleArn=role))[1]
    )


def test_any_aws_program_gets_there_by_the_environment(fake: FakeAws, tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(b"x" * 9_000_000)
    program = (
        "import boto3, sys;"
        f"s3 = boto3.client('s3'); s3.upload_file(sys.argv[1], '{BUCKET}', 'big');"
        f"print(s3.head_object(Bucket='{BUCKET}', Key='big')['ContentLength']);"
        f"s3.put_object(Bucket='{BUCKET}', Key='small', Body=b'1');"
        "print(boto3.client('sagemaker').list_training_jobs()['TrainingJobSummaries'])"
    )
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **fake.env}
    done = subprocess.run(
        [sys.executable, "-c", program, str(big)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "9000000\n[]\n", done.stderr
    assert fake.world.read(BUCKET, "small") == b"1"
    assert {call.operation for call in fake.ledger.calls} == {"PutObject", "GetObject", "ListTrainingJobs"}
    assert fake.ledger.count("PutObject") == 5  # a multipart upload in four calls, and a plain one


def test_another_accounts_bucket_is_closed(fake: FakeAws) -> None:
    fake.world.foreign_buckets.add(BUCKET)
    assert refusal(fake.client("s3").head_bucket, Bucket=BUCKET)[0] == "403"
    assert refusal(fake.client("s3").list_objects_v2, Bucket=BUCKET)[0] == "AccessDenied"
