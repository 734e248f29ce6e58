"""The exact CreateTrainingJob calls of seven specs. A change here is a change of what users pay for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from trialjob.backends.sagemaker.machines import Spot
from trialjob.backends.sagemaker.request import build, code_uri
from trialjob.backends.sagemaker.rules import problems
from trialjob.backends.sagemaker.settings import Channel, SageMakerSettings
from trialjob.model.ids import ExperimentName, TrialId, job_name
from trialjob.model.job import JobRequest
from trialjob.model.metric import MetricDefinition

HERE = Path(__file__).parent / "sagemaker-requests"
NAME = ExperimentName("digits")
PLAIN = SageMakerSettings(
    s3_uri="s3://bucket/tuning/",
    image_uri="763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8.0-gpu-py312",
    role="arn:aws:iam::123456789012:role/SageMakerExecution",
    instance_type="ml.g4dn.xlarge",
    metric_definitions=(MetricDefinition(name="loss", regex=r"loss=([-+0-9.e]+)"),),
    objective="val_accuracy",
)
JOB = JobRequest(
    job=job_name(NAME, TrialId(7), 1),
    experiment=NAME,
    trial=TrialId(7),
    attempt=1,
    hyperparameters={
        "lr": 1e-4,
        "hidden": 64,
        "note": "naïve\n",
        "layers": [1, 2],
        "fast": True,
        "seed": None,
    },
    entry_point="train.py",
    bundle="0123456789abcdef",
    max_runtime=599.2,
    environment={"TOKENIZERS_PARALLELISM": "false"},
    inputs={"train": "s3://bucket/data/train", "held.out": "s3://bucket/data/test"},
    digest="fedcba9876543210",
)
SPOT = Spot(max_wait=7200, on_demand_after=2)
TYPES = ("ml.g5.xlarge", "ml.g6.xlarge")
CASES: dict[str, tuple[SageMakerSettings, JobRequest]] = {
    "plain": (PLAIN, JOB),
    "warm-pool": (replace(PLAIN, keep_alive=240.0), JOB),
    "spot": (
        replace(PLAIN, spot=SPOT, channels={"train": Channel(content_type="text/csv", mode="FastFile")}),
        JOB,
    ),
    "vpc-kms": (
        replace(
            PLAIN,
            instance_type="ml.m5.2xlarge",
            instance_count=2,
            distribution="torchrun",
            volume_size=100,
            volume_kms_key="arn:aws:kms:us-east-1:123456789012:key/1111",
            output_kms_key="alias/outputs",
            subnets=("subnet-1a", "subnet-1b"),
            security_group_ids=("sg-1",),
            network_isolation=True,
            encrypt_inter_container_traffic=True,
            tags={"team": "vision"},
        ),
        JOB,
    ),
    "file-systems": (
        replace(
            PLAIN,
            subnets=("subnet-1a",),
            security_group_ids=("sg-1",),
            channels={"cache": Channel(access="rw")},
        ),
        replace(
            JOB,
            inputs={
                "train": "fsx://fs-0123456789abcdef0/fsx/images #1/train",
                "cache": "efs://fs-01234567",
                "test": "s3://bucket/data/test",
            },
        ),
    ),
    "raw-merge": (
        replace(
            PLAIN,
            request={
                "RetryStrategy": {"MaximumRetryAttempts": 2},
                "OutputDataConfig": {"CompressionType": "NONE"},
                "AlgorithmSpecification": {"ContainerEntrypoint": ["/usr/bin/env", "python3.12", "/run.py"]},
                "Tags": [{"Key": "cost-centre", "Value": "42"}],
                "CheckpointConfig": None,
            },
        ),
        JOB,
    ),
    "any-machine": (
        replace(PLAIN, fallback_instance_types=TYPES, instance_count=2),
        replace(JOB, any_machine=True),
    ),
    "fallback-attempt": (
        replace(PLAIN, spot=SPOT, fallback_instance_types=TYPES),
        replace(JOB, job=job_name(NAME, TrialId(7), 4), attempt=4, capacity_failures=3),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_request_is_this_and_no_other(case: str) -> None:
    settings, job = CASES[case]
    made = build(settings, job, code_uri=code_uri(settings, "c0de"), owner="anna@laptop (home)")
    assert made == json.loads((HERE / f"{case}.json").read_text())


@pytest.mark.parametrize("case", CASES)
def test_each_of_them_is_without_a_problem(case: str) -> None:
    request = json.loads((HERE / f"{case}.json").read_text())
    assert problems(request, raw=CASES[case][0].request, region="us-east-1") == []
