"""Each mistake is named where the user made it, with its value and what to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from trialjob.backends.sagemaker.machines import Spot
from trialjob.backends.sagemaker.preview import preview, refuse
from trialjob.backends.sagemaker.request import build
from trialjob.backends.sagemaker.settings import Channel, SageMakerSettings
from trialjob.errors import BackendError, Problem
from trialjob.model.ids import ExperimentName, TrialId, job_name
from trialjob.model.job import JobRequest
from trialjob.model.metric import MetricDefinition

NAME = ExperimentName("digits")
SOUND = SageMakerSettings(
    s3_uri="s3://bucket/tuning",
    image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/train:1",
    role="arn:aws:iam::123456789012:role/R",
    instance_type="ml.m5.xlarge",
)
JOB = JobRequest(
    job=job_name(NAME, TrialId(1), 1),
    experiment=NAME,
    trial=TrialId(1),
    attempt=1,
    hyperparameters={"lr": 0.1},
    entry_point="train.py",
    bundle="b0",
    max_runtime=600,
    digest="d0",
)
NVME = "ml.g5.xlarge"


def found(settings: dict[str, Any], job: dict[str, Any] | None = None) -> list[Problem]:
    return preview(replace(SOUND, **settings), replace(JOB, **(job or {})), region="us-east-1")


def test_a_sound_spec_has_no_problem() -> None:
    assert found({}) == []


#: What is changed, where the problem is to be, and words that the message or the remedy must hold.
MISTAKES: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    ({"role": "SageMakerExecution"}, {}, "backend.role", "'SageMakerExecution'"),
    ({"image_uri": ""}, {}, "estimator.image_uri", "empty"),
    ({"image_uri": "i" * 256}, {}, "estimator.image_uri", "255"),
    (
        {"image_uri": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/x:1"},
        {},
        "estimator.image_uri",
        "us-east-1",
    ),
    ({"instance_type": "ml.m5.xlarg"}, {}, "backend.instance_type", "did you mean ml.m5.xlarge"),
    ({"fallback_instance_types": ("g5.xlarge",)}, {}, "backend.fallback_instance_types", "'g5.xlarge'"),
    ({"instance_count": 0}, {}, "backend.instance_count", "at least 1"),
    ({"volume_size": 0}, {}, "backend.volume_size", "16384"),
    ({"volume_kms_key": "alias/k", "instance_type": NVME}, {}, "backend.volume_kms_key", NVME),
    ({"volume_kms_key": "a key"}, {}, "backend.volume_kms_key", "'a key'"),
    ({"output_kms_key": "a key"}, {}, "backend.output_kms_key", "'a key'"),
    ({"keep_alive": 3601.0}, {}, "backend.keep_alive", "at most 60m"),
    ({"keep_alive": 90_000.0}, {}, "backend.keep_alive", "90000"),
    ({"keep_alive": 240.0, "spot": Spot(max_wait=900)}, {}, "backend.keep_alive", "backend.spot"),
    ({"spot": Spot(max_wait=500)}, {}, "backend.spot.max_wait", "limits.trial_timeout"),
    ({}, {"max_runtime": 29 * 86_400}, "limits.trial_timeout", "28d"),
    ({"subnets": ("subnet-1",)}, {}, "backend.security_group_ids", "backend.subnets"),
    ({"security_group_ids": ("sg-1",)}, {}, "backend.subnets", "go together"),
    ({"tags": {"aws:x": "1"}}, {}, "backend.tags.aws:x", "'aws:x'"),
    ({"tags": {"trialjob:trial": "1"}}, {}, "backend.tags.trialjob:trial", "another name"),
    ({"tags": {f"t{n}": "" for n in range(46)}}, {}, "backend.tags", "51"),
    ({"tags": {"a.b": "<b>"}}, {}, 'backend.tags["a.b"]', "'<b>'"),
    ({"tags": {"a": "<b>"}}, {}, "backend.tags.a", "'<b>'"),
    ({"s3_uri": "bucket/x"}, {}, "backend.s3_uri", "s3://bucket/prefix"),
    ({"s3_uri": "s3://Bucket/x"}, {}, "backend.s3_uri", "'s3://Bucket/x"),
    ({"metric_definitions": (MetricDefinition(name="x", regex="x" * 501),)}, {}, "metrics[0].regex", "500"),
    (
        {"metric_definitions": tuple(MetricDefinition(name=f"m{n}", regex="x") for n in range(41))},
        {},
        "metrics",
        "40",
    ),
    ({}, {"environment": {"A-B": "1"}}, "estimator.environment.A-B", "'A-B'"),
    ({}, {"environment": {"A": "x" * 513}}, "estimator.environment.A", "512"),
    ({}, {"environment": {"A": "half \ud800"}}, "estimator.environment.A", "Unicode"),
    ({}, {"environment": {f"V{n}": "" for n in range(98)}}, "estimator.environment", "101"),
    ({}, {"inputs": {"train": "/data"}}, "estimator.inputs.train", "'/data'"),
    ({}, {"inputs": {"trialjob": "s3://bucket/x"}}, "estimator.inputs.trialjob", "trialjob itself"),
    ({}, {"inputs": {f"c{n}": "s3://bucket/x" for n in range(20)}}, "estimator.inputs", "21"),
    (
        {"channels": {"train": Channel(mode="file")}},
        {"inputs": {"train": "s3://bucket/x"}},
        "estimator.inputs.train.mode",
        "did you mean",
    ),
    ({}, {"entry_point": "x" * 257}, "estimator.entry_point", "256"),
    ({}, {"job": "x" * 64}, "name", "63"),
]


@pytest.mark.parametrize(("settings", "job", "field", "words"), MISTAKES)
def test_a_mistake_is_named_where_it_was_made(
    settings: dict[str, Any], job: dict[str, Any], field: str, words: str
) -> None:
    problems = found(settings, job)
    assert [problem.field for problem in problems if problem.field == field], problems
    assert any(
        words in f"{problem.message} {problem.remedy}" for problem in problems if problem.field == field
    )


RAW: list[tuple[dict[str, Any], str, str]] = [
    ({"TrainingJobName": "x"}, "backend.request.TrainingJobName", "remove it, and set name"),
    ({"HyperParameters": {"x": "1"}}, "backend.request.HyperParameters", "estimator.hyperparameters"),
    (
        {"StoppingCondition": {"MaxRuntimeInSeconds": 86_400}},
        "backend.request.StoppingCondition.MaxRuntimeInSeconds",
        "limits.trial_timeout",
    ),
    ({"StoppingCondition": None}, "backend.request.StoppingCondition", "missing"),
    ({"CheckpointConfig": {"S3Uri": "s3://b/x"}}, "backend.request.CheckpointConfig.S3Uri", "each trial"),
    ({"EnableManagedSpotTraining": True}, "backend.request.EnableManagedSpotTraining", "backend.spot"),
    ({"Tags": None}, "backend.request.Tags", "found again"),
    ({"Tags": [{"Key": "trialjob:digest", "Value": ""}]}, "backend.request.Tags[5]", "another name"),
    (
        {"RetryStrategy": {"MaximumRetryAttempts": 31}},
        "backend.request.RetryStrategy.MaximumRetryAttempts",
        "30",
    ),
    ({"RetryStrategie": {}}, "backend.request.RetryStrategie", "did you mean RetryStrategy?"),
    ({"EnableNetworkIsolation": "yes"}, "backend.request.EnableNetworkIsolation", "true or false"),
    ({"RoleArn": 5}, "backend.request.RoleArn", "text"),
    (
        {"ResourceConfig": {"InstancePreferences": [{"InstanceType": "ml.m5.xlarge"}]}},
        "backend.request.ResourceConfig.InstancePreferences",
        "InstanceType: null",
    ),
]


@pytest.mark.parametrize(("raw", "field", "words"), RAW)
def test_a_mistake_in_the_raw_request_is_named_there(raw: dict[str, Any], field: str, words: str) -> None:
    problems = found({"request": raw})
    assert any(words in f"{each.message} {each.remedy}" for each in problems if each.field == field), problems


def test_all_problems_are_found_at_once() -> None:
    fields = {
        each.field for each in found({"role": "R", "keep_alive": 4000.0, "s3_uri": "x", "volume_size": 0})
    }
    assert fields == {"backend.role", "backend.keep_alive", "backend.s3_uri", "backend.volume_size"}


def test_other_machines_can_be_asked_for_in_the_raw_request() -> None:
    preferences = {"InstanceType": None, "InstanceCount": None, "InstancePreferences": [
        {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1}]}  # fmt: skip
    assert found({"request": {"ResourceConfig": preferences}}) == []


def test_a_secret_in_a_long_value_is_not_spread_in_full() -> None:
    problems = found({}, {"environment": {"A": "s" * 600}})
    assert all(len(each.message) < 200 for each in problems)


def test_a_request_that_would_be_refused_is_an_error_that_names_all() -> None:
    settings = replace(SOUND, role="R", volume_size=0)
    with pytest.raises(BackendError, match=r"(?s)backend\.volume_size.*backend\.role"):
        refuse(build(settings, JOB, code_uri="s3://bucket/c", owner=""), settings)
    refuse(build(SOUND, JOB, code_uri="s3://bucket/c", owner=""), SOUND)
