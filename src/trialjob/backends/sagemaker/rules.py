"""Whether the service will take a request, found out without asking it.

It adds to ``shapes`` the rules that the service's model does not hold, and says everything in the words of
the spec. Rule: a request with no problem is accepted, as far as its form goes; roles, quotas, buckets and
images are the account's business and are looked at elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from trialjob.backends.sagemaker import schema_validation
from trialjob.backends.sagemaker.fields import Flaw, Path, problem_of, value_at
from trialjob.backends.sagemaker.request import CODE_CHANNEL, TAG_PREFIX, VALUE_MAX
from trialjob.backends.sagemaker.schema_validation import shown
from trialjob.errors import Problem
from trialjob.in_job.entrypoint import VALUES_CHANNEL
from trialjob.model.s3 import address_problem

#: The guide's limit on a warm pool's idle time; the model allows more than the service does.
KEEP_ALIVE_MAX: Final = 3600
RUNTIME_MAX: Final = 28 * 86_400
VOLUME_MAX: Final = 16_384
#: Instances whose disks are part of the machine, so that no volume is there to be encrypted.
_LOCAL_DISK: Final = re.compile(
    r"ml\.(g4dn|g[5-9]\w*|gr\w+|p3dn|p4de?|p[5-9][\w-]*|trn\w+|[cmr]\d+[a-z]*d[a-z]*)\.\S+"
)
_ECR: Final = re.compile(r"\d{12}\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/\S+")


def problems(
    request: Mapping[str, Any], *, raw: Mapping[str, Any] | None = None, region: str = ""
) -> list[Problem]:
    """What is wrong with a CreateTrainingJob request.

    ``raw`` is the part of it that the user wrote raw; ``region`` is where the call goes.
    """
    flaws = list(schema_validation.flaws(request))
    if not any(flaw.structural for flaw in flaws):
        # First, because what is said of the same thing on both sides, the rules say in plainer words.
        flaws = [*(flaw for rule in _RULES for flaw in rule(request)), *_image(request, region), *flaws]
    found = [problem_of(flaw, request, raw or {}) for flaw in flaws]
    return one_each(found)


def one_each(found: list[Problem]) -> list[Problem]:
    """The first problem of each field; the others mostly follow from it."""
    first: dict[str, Problem] = {}
    for problem in found:
        first.setdefault(problem.field, problem)
    return list(first.values())


def _parts(request: Mapping[str, Any]) -> Iterator[Flaw]:
    """What the model leaves open for jobs without instances, and what we need to find a job again."""
    for path in (
        ("AlgorithmSpecification",),
        ("ResourceConfig", "VolumeSizeInGB"),
        ("StoppingCondition", "MaxRuntimeInSeconds"),
    ):
        if value_at(request, path) is None:
            yield Flaw(path=path, message="is missing", remedy="do not take it away in backend.request")
    algorithm = request.get("AlgorithmSpecification", {})
    named = {"TrainingImage", "AlgorithmName"} & algorithm.keys()
    if algorithm.get("TrainingImage") == "":
        remedy = "name the image that the training runs in"
        yield Flaw(path=("AlgorithmSpecification", "TrainingImage"), message="is empty", remedy=remedy)
    if len(named) != 1:
        message = f"{' and '.join(sorted(named)) or 'nothing'} says what to run"
        remedy = "name an image or an algorithm, and take the other away"
        yield Flaw(path=("AlgorithmSpecification", "AlgorithmName"), message=message, remedy=remedy)
    keys = [tag["Key"] for tag in request.get("Tags", [])]
    if f"{TAG_PREFIX}digest" not in keys:
        remedy = "do not take Tags away in backend.request"
        yield Flaw(path=("Tags",), message="lacks the tags by which jobs are found again", remedy=remedy)


def _resources(request: Mapping[str, Any]) -> Iterator[Flaw]:
    path: Path = ("ResourceConfig",)
    resources = request.get("ResourceConfig", {})
    groups = [name for name in ("InstanceGroups", "InstancePreferences") if name in resources]
    single = [name for name in ("InstanceType", "InstanceCount") if name in resources]
    for name in groups:
        if single or len(groups) > 1:
            remedy = "write InstanceType: null and InstanceCount: null beside it in backend.request"
            yield Flaw(
                path=(*path, name), message=f"cannot go together with {single or groups}", remedy=remedy
            )
    for name in {"InstanceType", "InstanceCount"} - {*single} if not groups else ():
        yield Flaw(path=(*path, name), message="is missing", remedy="write it")
    if "InstanceCount" in resources and resources["InstanceCount"] < 1:
        yield Flaw(
            path=(*path, "InstanceCount"),
            message=f"{resources['InstanceCount']} is too small",
            remedy="write at least 1",
        )
    size = resources.get("VolumeSizeInGB", 1)
    if not 1 <= size <= VOLUME_MAX:
        message = f"{size} is no size of a volume in gigabytes"
        remedy = f"write a number from 1 to {VOLUME_MAX}"
        yield Flaw(path=(*path, "VolumeSizeInGB"), message=message, remedy=remedy)
    local = [kind for kind in instance_types(resources) if _LOCAL_DISK.fullmatch(kind)]
    if "VolumeKmsKeyId" in resources and local:
        message = f"{shown(resources['VolumeKmsKeyId'])} cannot encrypt the local disk of {local[0]}"
        remedy = "remove it: these disks are encrypted by their hardware"
        yield Flaw(path=(*path, "VolumeKmsKeyId"), message=message, remedy=remedy)


def instance_types(resources: Mapping[str, Any]) -> list[str]:
    """Every type of a ``ResourceConfig``."""
    rows = [resources, *resources.get("InstanceGroups", []), *resources.get("InstancePreferences", [])]
    return [row["InstanceType"] for row in rows if "InstanceType" in row]


def _pools(request: Mapping[str, Any]) -> Iterator[Flaw]:
    resources = request.get("ResourceConfig", {})
    seconds, path = (
        resources.get("KeepAlivePeriodInSeconds", 0),
        ("ResourceConfig", "KeepAlivePeriodInSeconds"),
    )
    if seconds > KEEP_ALIVE_MAX:
        message = f"{seconds} s is longer than a warm pool may wait"
        yield Flaw(path=path, message=message, remedy=f"write at most {KEEP_ALIVE_MAX // 60}m")
    if seconds and request.get("EnableManagedSpotTraining"):
        yield Flaw(
            path=path,
            message=f"{seconds} s: spot instances cannot be kept warm",
            remedy="remove backend.keep_alive or backend.spot",
        )
    if seconds and "InstanceGroups" in resources:
        message = f"{seconds} s: instance groups cannot be kept warm"
        yield Flaw(path=path, message=message, remedy="remove it, or the groups")
    if request.get("EnableManagedSpotTraining") and "InstancePreferences" in resources:
        yield Flaw(
            path=("EnableManagedSpotTraining",),
            message="cannot go together with InstancePreferences",
            remedy="use backend.fallback_instance_types",
        )


def _times(request: Mapping[str, Any]) -> Iterator[Flaw]:
    stopping = request.get("StoppingCondition", {})
    runtime, wait = stopping.get("MaxRuntimeInSeconds", 0), stopping.get("MaxWaitTimeInSeconds")
    wait_path = ("StoppingCondition", "MaxWaitTimeInSeconds")
    if runtime > RUNTIME_MAX:
        message = f"{runtime} s is longer than a job may run"
        yield Flaw(
            path=("StoppingCondition", "MaxRuntimeInSeconds"), message=message, remedy="write at most 28d"
        )
    if not request.get("EnableManagedSpotTraining"):
        if wait is not None:
            message = f"{wait} s: only spot jobs wait for capacity"
            yield Flaw(path=wait_path, message=message, remedy="remove it, or use backend.spot")
    elif wait is None:
        yield Flaw(
            path=wait_path, message="is missing", remedy="write how long a spot job may take, such as 2h"
        )
    elif wait < runtime:
        message = f"{wait} s is less than the {runtime} s that the job may run (limits.trial_timeout)"
        remedy = "waiting and running count together: raise it, or lower limits.trial_timeout"
        yield Flaw(path=wait_path, message=message, remedy=remedy)


def _values(request: Mapping[str, Any]) -> Iterator[Flaw]:
    for name, value in request.get("HyperParameters", {}).items():
        if len(value) > VALUE_MAX:
            yield Flaw(
                path=("HyperParameters", name),
                message=f"{shown(value)} has {len(value)} characters; the service takes {VALUE_MAX}",
                remedy="put long values into a file in source_dir or an input channel",
            )


def _names(request: Mapping[str, Any]) -> Iterator[Flaw]:
    for part, key in (("InputDataConfig", "ChannelName"), ("Tags", "Key")):
        names = [row[key] for row in request.get(part, [])]
        for place, name in enumerate(names):
            if name in names[:place]:
                taken = name in (CODE_CHANNEL, VALUES_CHANNEL) or name.startswith(TAG_PREFIX)
                message = f"{shown(name)} is {'a name of trialjob itself' if taken else 'there twice'}"
                yield Flaw(path=(part, place), message=message, remedy="choose another name")
            elif part == "Tags" and name.lower().startswith("aws:"):
                message = f"{shown(name)} begins as AWS's own tags do"
                yield Flaw(path=(part, place), message=message, remedy="choose another name")


def _addresses(request: Mapping[str, Any]) -> Iterator[Flaw]:
    paths: list[Path] = [("OutputDataConfig", "S3OutputPath"), ("CheckpointConfig", "S3Uri")]
    places = range(len(request.get("InputDataConfig", [])))
    paths += [("InputDataConfig", place, "DataSource", "S3DataSource", "S3Uri") for place in places]
    for path in paths:
        uri = value_at(request, path)
        if uri is not None and (wrong := address_problem(uri)):
            message = f"{shown(uri)} is no address in S3"
            yield Flaw(path=path, message=message, remedy=f"write s3://bucket/prefix; {wrong}")


def _image(request: Mapping[str, Any], region: str) -> Iterator[Flaw]:
    path: Path = ("AlgorithmSpecification", "TrainingImage")
    image = value_at(request, path)
    found = _ECR.fullmatch(image or "")
    if region and found and found[1] != region:
        message = f"{shown(image)} is in {found[1]}, and the job would run in {region}"
        yield Flaw(path=path, message=message, remedy=f"name the image of {region}")


def _half_vpc(request: Mapping[str, Any]) -> Iterator[Flaw]:
    """A network that is named by half; one that is empty altogether is left to the model."""
    given = request.get("VpcConfig")
    for name, other in (("Subnets", "SecurityGroupIds"), ("SecurityGroupIds", "Subnets")):
        if isinstance(given, Mapping) and given.get(other) and not given.get(name):
            remedy = "write both backend.subnets and backend.security_group_ids, or neither"
            message = "is empty; subnets and security groups go together"
            yield Flaw(path=("VpcConfig", name), message=message, remedy=remedy)


_RULES: Final = (_parts, _resources, _pools, _times, _values, _names, _addresses, _half_vpc)
