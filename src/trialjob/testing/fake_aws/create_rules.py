"""The rules of CreateTrainingJob that are not written in the model of the service."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from trialjob.model.s3 import S3Address, address_problem
from trialjob.testing.fake_aws.errors import access_denied, validation
from trialjob.testing.fake_aws.world import World

KEEP_ALIVE_MAX = 3600
VALUE_MAX = 256
RUNTIME_MAX = 28 * 86_400
_ECR = re.compile(r"\d{12}\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?/.+")
#: Families whose disks are NVMe on the machine itself, to which a volume key does not apply.
_LOCAL_NVME = re.compile(r"ml\.(p4d|p4de|p5|p5e|p5en|p6|g4dn|g5|g6|g6e|trn1|trn1n|trn2|c5d|m5d|r5d)\b.*\..*")


def check_create(request: dict[str, Any], region: str) -> None:
    """Raise ValidationException for the first rule that is broken."""
    for complaint in (
        *_resources(request),
        *_times(request),
        *_texts(request),
        *_image(request, region),
    ):
        raise validation(complaint)


def _resources(request: dict[str, Any]) -> Iterator[str]:
    resources = request.get("ResourceConfig")
    if resources is None:
        yield "ResourceConfig is required for training jobs that run on instances"
        return
    preferences = "InstancePreferences" in resources
    if preferences and ("InstanceType" in resources or request.get("EnableManagedSpotTraining")):
        yield "InstancePreferences cannot be combined with InstanceType or with managed spot training"
    elsewhere = preferences or "InstanceGroups" in resources
    if not elsewhere and not {"InstanceType", "InstanceCount"} <= resources.keys():
        yield "InstanceType and InstanceCount must be specified in ResourceConfig"
    if "VolumeSizeInGB" not in resources:
        yield "VolumeSizeInGB must be specified in ResourceConfig"
    if "VolumeKmsKeyId" in resources and _LOCAL_NVME.fullmatch(resources.get("InstanceType", "")):
        yield f"VolumeKmsKeyId is not supported for {resources['InstanceType']}, which has local storage"
    keep_alive = resources.get("KeepAlivePeriodInSeconds", 0)
    if keep_alive > KEEP_ALIVE_MAX:
        yield f"KeepAlivePeriodInSeconds must be at most {KEEP_ALIVE_MAX}, but is {keep_alive}"
    if keep_alive and request.get("EnableManagedSpotTraining"):
        yield "KeepAlivePeriodInSeconds is not supported with managed spot training"
    if keep_alive and "InstanceGroups" in resources:
        yield "KeepAlivePeriodInSeconds is not supported with heterogeneous clusters"


def _times(request: dict[str, Any]) -> Iterator[str]:
    stopping = request.get("StoppingCondition")
    if stopping is None:
        yield "StoppingCondition is required"
        return
    runtime, wait = stopping.get("MaxRuntimeInSeconds", 86_400), stopping.get("MaxWaitTimeInSeconds")
    if runtime > RUNTIME_MAX:
        yield f"MaxRuntimeInSeconds must be at most {RUNTIME_MAX}, but is {runtime}"
    if request.get("EnableManagedSpotTraining"):
        if wait is None:
            yield "MaxWaitTimeInSeconds must be specified when EnableManagedSpotTraining is true"
        elif wait < runtime:
            yield f"MaxWaitTimeInSeconds ({wait}) must not be less than MaxRuntimeInSeconds ({runtime})"
    elif wait is not None:
        yield "MaxWaitTimeInSeconds can only be specified when EnableManagedSpotTraining is true"


def _texts(request: dict[str, Any]) -> Iterator[str]:
    for key, value in request.get("HyperParameters", {}).items():
        if len(value) > VALUE_MAX:
            yield f"The value of hyperparameter '{key}' has {len(value)} characters; the limit is {VALUE_MAX}"
    channels = request.get("InputDataConfig", [])
    names = [channel["ChannelName"] for channel in channels]
    if len(names) != len(set(names)):
        yield "ChannelName values must be unique"
    keys = [tag["Key"] for tag in request.get("Tags", [])]
    if len(keys) != len(set(keys)):
        yield "Tag keys must be unique"
    if any(key.lower().startswith("aws:") for key in keys):
        yield "Tag keys must not begin with aws:"
    for uri in (
        request["OutputDataConfig"]["S3OutputPath"],
        request.get("CheckpointConfig", {}).get("S3Uri"),
        *(channel["DataSource"].get("S3DataSource", {}).get("S3Uri") for channel in channels),
    ):
        if uri is not None and address_problem(uri):
            yield f"The S3 URI '{uri}' is not valid"
    mounts = any("FileSystemDataSource" in channel["DataSource"] for channel in channels)
    if mounts and not request.get("VpcConfig"):
        yield "VpcConfig must be specified when FileSystemDataSource is used"


def _image(request: dict[str, Any], region: str) -> Iterator[str]:
    algorithm = request.get("AlgorithmSpecification", {})
    image = algorithm.get("TrainingImage")
    if (image is None) == ("AlgorithmName" not in algorithm):
        yield "Exactly one of TrainingImage and AlgorithmName must be specified"
    found = _ECR.fullmatch(image or "")
    if found and found[1] != region:
        yield f"The training image '{image}' is in region {found[1]}, but the training job is in {region}"


def check_role(request: dict[str, Any], *, world: World, user: str, not_passable: set[str]) -> None:
    """Raise what the service says of a role that it cannot take on."""
    role = request["RoleArn"]
    if role in not_passable:
        raise access_denied(user, "iam:PassRole", role)
    if not world.has_role(role):
        raise validation(
            f"Could not assume role {role}. Please ensure that the role exists and allows principal "
            "'sagemaker.amazonaws.com' to assume the role."
        )


def missing_input(request: dict[str, Any], *, world: World, region: str, images: set[str]) -> str | None:
    """Why the job will fail once it has its instances, or None. These are found late, as the service does."""
    image = request["AlgorithmSpecification"].get("TrainingImage")
    if image in images:
        return (
            f"ClientError: Cannot find the requested image {image}. Please ensure that the image exists and "
            f"that the role {request['RoleArn']} has permission to pull it"
        )
    for channel in request.get("InputDataConfig", []):
        source = channel["DataSource"].get("S3DataSource")
        if source is None:
            continue
        place = S3Address.parse(source["S3Uri"])
        if world.bucket_region(place.bucket) != region or not world.keys(place.bucket, place.key):
            return (
                f'ClientError: Data download failed:No S3 objects found under S3 URL "{source["S3Uri"]}" '
                "given in input data source. Please ensure that the bucket exists in the selected region "
                f"({region}), that "
                f'objects exist under that S3 prefix, and that the role "{request["RoleArn"]}" has '
                f'"s3:ListBucket" permissions on bucket "{place.bucket}".'
            )
    return None


def unwritable_output(request: dict[str, Any], world: World, region: str) -> str | None:
    """Why nothing can be uploaded at the end, or None."""
    bucket = S3Address.parse(request["OutputDataConfig"]["S3OutputPath"]).bucket
    if world.bucket_region(bucket) == region:
        return None
    return (
        f"ClientError: Artifact upload failed: The bucket {bucket} does not exist in region {region}, "
        f"or the role {request['RoleArn']} may not write to it"
    )
