"""A CreateTrainingJob request that the fake takes, to be varied by tests."""

from __future__ import annotations

from typing import Any, TypeAlias

BUCKET = "bucket"
ROLE = "arn:aws:iam::123456789012:role/SageMakerExecution"
LOG_GROUP = "/aws/sagemaker/TrainingJobs"

#: Clients, which boto3 makes without types, and the values of requests.
Client: TypeAlias = Any
Value: TypeAlias = Any


def training_request(name: str, **changes: Value) -> dict[str, Any]:
    """The least that makes an instance job; ``changes`` replace whole fields, and None removes one."""
    request: dict[str, Any] = {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
        "ResourceConfig": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    }
    return {key: value for key, value in (request | changes).items() if value is not None}


def spot(max_wait: int = 7200, **changes: Value) -> dict[str, Any]:
    """The changes that make it a spot job."""
    stopping = {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": max_wait}
    return {"EnableManagedSpotTraining": True, "StoppingCondition": stopping} | changes


def resources(**changes: Value) -> dict[str, Any]:
    """The change that replaces fields of ResourceConfig."""
    given = {"InstanceType": "ml.g5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30} | changes
    return {"ResourceConfig": {key: value for key, value in given.items() if value is not None}}
