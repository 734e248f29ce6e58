"""One attempt of a trial as the dictionary that CreateTrainingJob takes.

Rule: pure. Equal arguments give an equal dictionary, so a launch repeated after a crash is the same launch;
whether the service will take it, ``rules`` says.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from trialjob.backends.filling import environment_of, how_of, program_of, values_of, wants_values_file
from trialjob.backends.sagemaker.settings import Channel, SageMakerSettings
from trialjob.in_job.command_line import FIRST, SDK_V3, VALUES_FILES, text_of, values_text
from trialjob.in_job.entrypoint import DISTRIBUTION, PROCESSES, VALUES_CHANNEL, VALUES_FILE
from trialjob.in_job.report import NEEDED
from trialjob.in_job.tracker_logs import METRICS_FROM
from trialjob.model.file_system import FileSystem, is_file_system
from trialjob.model.job import JobRequest
from trialjob.model.secret import Reveal, Secret, revealed

#: The fields of a CreateTrainingJob call.
Request: TypeAlias = dict[str, Any]

#: The input channel that brings our entrypoint and the user's code.
CODE_CHANNEL: Final = "trialjob"
#: The name of the user's code in that channel.
BUNDLE_FILE: Final = "bundle.tar.gz"
#: The service's limits on hyperparameters: how many, and the characters of a name or a value. The field's
#: documentation says 256 of values where the service's model says 2500.
_VALUES_MAX: Final = 100
VALUE_MAX: Final = 256
#: And on the value of an environment variable.
_VARIABLE_MAX: Final = 512
#: The service's limit on InstancePreferences.
_PREFERENCES_MAX: Final = 5
#: Begins the keys of the tags by which jobs are found again.
TAG_PREFIX: Final = "trialjob:"

#: Where a job's tree is in a container.
_ROOT: Final = "/opt/ml"
_CHANNEL_FOLDER: Final = f"{_ROOT}/input/data/{CODE_CHANNEL}"
#: The service's limits on metric definitions (CreateTrainingJob API reference).
_MAX_DEFINITIONS: Final = 40
_MAX_REGEX: Final = 500
_TAG_VALUE: Final = 256
_NOT_IN_TAGS: Final = re.compile(r"[^\w .:/=+\-@]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The machines that one attempt asks for."""

    instance_type: str
    spot: bool


def placement(settings: SageMakerSettings, capacity_failures: int) -> Placement:
    """What to ask for after a trial has so many times found no capacity.

    The types take turns. With ``on_demand_after`` they take turns on the spot market first and then, from the
    first one again, on demand.
    """
    types, spot = settings.instance_types, settings.spot
    limit = spot.on_demand_after if spot else None
    on_spot = spot is not None and (limit is None or capacity_failures < limit)
    turn = capacity_failures if on_spot or limit is None else capacity_failures - limit
    return Placement(instance_type=types[turn % len(types)], spot=on_spot)


def asks_for_any(settings: SageMakerSettings) -> bool:
    """Whether one call asks for all types, of which the service takes the first that it has.

    ``InstancePreferences`` does not go with spot, and it is not documented whether it does with warm pools;
    there the types take turns from call to call. It also stays out of what the user has written raw.
    """
    types = settings.instance_types
    several = 1 < len(set(types)) == len(types) <= _PREFERENCES_MAX
    return several and not (settings.spot or settings.keep_alive or settings.request.get("ResourceConfig"))


def folder(settings: SageMakerSettings, experiment: str, *parts: str) -> str:
    """An address below the experiment's own folder in S3."""
    return "/".join((settings.s3_uri.rstrip("/"), experiment, *parts))


def code_uri(settings: SageMakerSettings, digest: str) -> str:
    """The prefix that holds what the code channel delivers, whose digest is in its name.

    All experiments below ``s3_uri`` share it; none of them is called ``_code``.
    """
    return folder(settings, "_code", digest)


def values_uri(settings: SageMakerSettings, job: JobRequest) -> str:
    """The prefix of the files that ``value_files`` names."""
    return folder(settings, job.experiment, "values", job.job)


def wide_values(job: JobRequest) -> dict[str, str]:
    """All hyperparameters, when some are too long or they are too many for the request; else nothing.

    They go into an input channel then, where our entrypoint finds them; another program would not.
    """
    texts = _texts(job)
    return texts if job.program is None and len(_narrow(texts)) < len(texts) else {}


def value_files(job: JobRequest) -> dict[str, bytes]:
    """What is brought to a job in an input channel of its own: wide values, or the file that is asked for."""
    if wide := wide_values(job):
        return {VALUES_FILE: json.dumps(wide, sort_keys=True).encode()}
    if not wants_values_file(job):
        return {}
    text = values_text(values_of(job, _ROOT)).encode()
    return dict.fromkeys(sorted(set(VALUES_FILES.values())), text)


def _texts(job: JobRequest) -> dict[str, str]:
    """The values as JSON for our entrypoint and the service's toolkits, as plain text for other programs."""
    values = sorted(values_of(job, _ROOT).items())
    if job.program is None or job.program.json_values:
        return {name: json.dumps(value) for name, value in values}
    dialect = SDK_V3 if how_of(job).dialect == SDK_V3 else FIRST
    return {name: text_of(value, dialect) for name, value in values if value is not None}


def _narrow(texts: dict[str, str]) -> dict[str, str]:
    """As many of them as the request takes, for people who look at the job in the console."""
    short = [(name, text) for name, text in texts.items() if max(len(name), len(text)) <= VALUE_MAX]
    return dict(short[:_VALUES_MAX])


def checkpoint_uri(settings: SageMakerSettings, experiment: str, trial: int) -> str:
    """Where the checkpoints of a trial are: of all its attempts, so that the next goes on from them.

    All have the same length, because S3 knows only prefixes and 0100 is one of 01000.
    """
    return folder(settings, experiment, "checkpoints", f"{trial:06d}")


def masked(secret: Secret) -> str:
    """A secret for people: where it is."""
    return f"({secret})"


def build(
    settings: SageMakerSettings,
    job: JobRequest,
    *,
    code_uri: str,
    owner: str,
    reveal: Reveal = masked,
) -> Request:
    """The call that starts ``job``, with the code that has been uploaded to ``code_uri``.

    Without ``reveal``, which looks secrets up, it says where they are: for people, and not to be sent.
    """
    where, wide = placement(settings, job.capacity_failures), wide_values(job)
    request: Request = {
        "TrainingJobName": job.job,
        "RoleArn": settings.role,
        "AlgorithmSpecification": _algorithm(settings, job),
        "HyperParameters": _narrow(wide) if wide else _texts(job),
        "OutputDataConfig": {"S3OutputPath": folder(settings, job.experiment, "output")},
        "ResourceConfig": _resources(settings, where, job),
        "StoppingCondition": {"MaxRuntimeInSeconds": max(1, math.ceil(job.max_runtime))},
        "CheckpointConfig": {
            "S3Uri": checkpoint_uri(settings, job.experiment, job.trial),
            "LocalPath": "/opt/ml/checkpoints",
        },
        "EnableNetworkIsolation": settings.network_isolation,
        "EnableInterContainerTrafficEncryption": settings.encrypt_inter_container_traffic,
        "Environment": _environment(settings, job, reveal),
        "Tags": _tags(settings, job, owner),
    }
    if channels := [*_own_channels(settings, job, code_uri), *_channels(settings, job)]:
        request["InputDataConfig"] = channels
    if settings.output_kms_key:
        request["OutputDataConfig"]["KmsKeyId"] = settings.output_kms_key
    if settings.subnets or settings.security_group_ids:
        request["VpcConfig"] = {
            "Subnets": list(settings.subnets),
            "SecurityGroupIds": list(settings.security_group_ids),
        }
    if where.spot and settings.spot:
        request["EnableManagedSpotTraining"] = True
        request["StoppingCondition"]["MaxWaitTimeInSeconds"] = math.ceil(settings.spot.max_wait)
    return merged(request, settings.request)


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> Request:
    """``base`` with the fields of ``over``: dictionaries are merged, rows added to lists of rows.

    Anything else is replaced, and None takes a field away.
    """
    result = dict(base)
    for name, value in over.items():
        present = result.get(name)
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping) and isinstance(present, Mapping):
            result[name] = merged(present, value)
        elif _is_rows(value) and isinstance(present, list):
            result[name] = [*present, *value]
        else:
            result[name] = value
    return result


def _is_rows(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(row, Mapping) for row in value)


def _algorithm(settings: SageMakerSettings, job: JobRequest) -> Request:
    algorithm: Request = {
        "TrainingImage": settings.image_uri,
        "TrainingInputMode": "File",
    }
    entrypoint, arguments = program_of(job, job.program, _ROOT) if job.program else _our_entrypoint(job)
    if entrypoint:
        algorithm["ContainerEntrypoint"] = entrypoint
    if arguments:
        algorithm["ContainerArguments"] = arguments
    if definitions := list(_definitions(settings)):
        algorithm["MetricDefinitions"] = definitions
    return algorithm


def _our_entrypoint(job: JobRequest) -> tuple[list[str], list[str]]:
    # Each word by itself, without a shell, so that SIGTERM reaches our entrypoint and not a shell's ears.
    bundle = f"{_CHANNEL_FOLDER}/{BUNDLE_FILE}"
    words = ["--entry-point", job.entry_point, "--bundle", bundle, "--requirements"]
    how = how_of(job)
    if how.dialect != FIRST:
        words += ["--dialect", how.dialect]
    if how.words is not None:
        words += ["--", *how.words]
    return ["python3", f"{_CHANNEL_FOLDER}/entrypoint.py"], words


def _definitions(settings: SageMakerSettings) -> Iterator[Request]:
    """The user's definitions, and one by which the console charts what ``report`` says of the objective."""
    for each in settings.metric_definitions:
        yield {"Name": each.name, "Regex": each.regex}
    known = {each.name for each in settings.metric_definitions}
    if not settings.objective or settings.objective in known or len(known) >= _MAX_DEFINITIONS:
        return
    regex = rf"\[trialjob\] .*{re.escape(json.dumps(settings.objective))}:(-?[0-9][0-9.eE+\-]*)"
    if len(regex) <= _MAX_REGEX:
        yield {"Name": settings.objective, "Regex": regex}


def _own_channels(settings: SageMakerSettings, job: JobRequest, code_uri: str) -> Iterator[Request]:
    if job.program is None:
        yield _channel(CODE_CHANNEL, code_uri) | {"InputMode": "File"}
    if value_files(job):
        yield _channel(VALUES_CHANNEL, values_uri(settings, job)) | {"InputMode": "File"}


def _channels(settings: SageMakerSettings, job: JobRequest) -> Iterator[Request]:
    for name, uri in sorted(job.inputs.items()):
        options = settings.channels.get(name)
        if is_file_system(uri):
            yield {"ChannelName": name, "DataSource": {"FileSystemDataSource": _file_system(uri, options)}}
            continue
        channel = _channel(name, uri)
        if options and options.content_type:
            channel["ContentType"] = options.content_type
        if options and options.mode:
            channel["InputMode"] = options.mode
        yield channel


def _file_system(uri: str, options: Channel | None) -> Request:
    """A folder that the job mounts; one whose address is wrong has been refused with the spec."""
    found = FileSystem.parse(uri)
    return {
        "FileSystemId": found.id,
        "FileSystemType": found.type,
        "FileSystemAccessMode": (options and options.access) or "ro",
        "DirectoryPath": found.directory,
    }


def _channel(name: str, uri: str) -> Request:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def _resources(settings: SageMakerSettings, where: Placement, job: JobRequest) -> Request:
    count = settings.instance_count
    types = settings.instance_types if job.any_machine and asks_for_any(settings) else (where.instance_type,)
    rows = [{"InstanceType": kind, "InstanceCount": count} for kind in types]
    machines: Request = dict(rows[0]) if len(rows) == 1 else {"InstancePreferences": rows}
    resources = machines | {"VolumeSizeInGB": settings.volume_size}
    if settings.volume_kms_key:
        resources["VolumeKmsKeyId"] = settings.volume_kms_key
    if settings.keep_alive and job.keeps_pool:
        resources["KeepAlivePeriodInSeconds"] = math.ceil(settings.keep_alive)
    return resources


def _environment(settings: SageMakerSettings, job: JobRequest, reveal: Reveal) -> dict[str, str]:
    variables = {
        "TRIALJOB_EXPERIMENT": job.experiment,
        "TRIALJOB_TRIAL": str(job.trial),
        "TRIALJOB_ATTEMPT": str(job.attempt),
    }
    if settings.distribution:
        variables[DISTRIBUTION] = settings.distribution
    if settings.distribution and settings.processes:
        variables[PROCESSES] = str(settings.processes)
    if settings.needed and len(needed := json.dumps(settings.needed)) <= _VARIABLE_MAX:
        variables[NEEDED] = needed
    if settings.metrics_from:
        variables[METRICS_FROM] = settings.metrics_from
    return {**revealed(environment_of(job, _ROOT), reveal), **variables}


def tag_value(text: str) -> str:
    """``text`` as a tag takes it: a login or a machine may be called anything, a tag may not."""
    return _NOT_IN_TAGS.sub("_", text)[:_TAG_VALUE]


def _tags(settings: SageMakerSettings, job: JobRequest, owner: str) -> list[dict[str, str]]:
    ours = {
        "experiment": job.experiment,
        "trial": str(job.trial),
        "attempt": str(job.attempt),
        "digest": job.digest,
        "owner": tag_value(owner),
    }
    rows = [{"Key": TAG_PREFIX + name, "Value": value} for name, value in ours.items()]
    return rows + [{"Key": key, "Value": value} for key, value in sorted(settings.tags.items())]
