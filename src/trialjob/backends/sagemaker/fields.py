"""Where in the spec the user wrote what stands at a place of a CreateTrainingJob request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from trialjob.backends.sagemaker.request import CODE_CHANNEL
from trialjob.errors import Problem
from trialjob.model.paths import path_text

#: Names of fields, keys of maps and places in lists, from the outside in.
Path: TypeAlias = tuple[str | int, ...]

_FIELDS: Final[dict[Path, str]] = {
    ("TrainingJobName",): "name",
    ("RoleArn",): "backend.role",
    ("HyperParameters",): "hyperparameters",
    ("Environment",): "estimator.environment",
    ("InputDataConfig",): "estimator.inputs",
    ("Tags",): "backend.tags",
    ("AlgorithmSpecification", "TrainingImage"): "estimator.image_uri",
    ("AlgorithmSpecification", "ContainerArguments"): "estimator.entry_point",
    ("AlgorithmSpecification", "ContainerEntrypoint"): "estimator.entrypoint",
    ("AlgorithmSpecification", "MetricDefinitions"): "metrics",
    ("OutputDataConfig", "S3OutputPath"): "backend.s3_uri",
    ("OutputDataConfig", "KmsKeyId"): "backend.output_kms_key",
    ("CheckpointConfig", "S3Uri"): "backend.s3_uri",
    ("ResourceConfig", "InstanceType"): "backend.instance_type",
    ("ResourceConfig", "InstancePreferences"): "backend.fallback_instance_types",
    ("ResourceConfig", "InstanceCount"): "backend.instance_count",
    ("ResourceConfig", "VolumeSizeInGB"): "backend.volume_size",
    ("ResourceConfig", "VolumeKmsKeyId"): "backend.volume_kms_key",
    ("ResourceConfig", "KeepAlivePeriodInSeconds"): "backend.keep_alive",
    ("VpcConfig", "Subnets"): "backend.subnets",
    ("VpcConfig", "SecurityGroupIds"): "backend.security_group_ids",
    ("StoppingCondition", "MaxRuntimeInSeconds"): "limits.trial_timeout",
    ("StoppingCondition", "MaxWaitTimeInSeconds"): "backend.spot.max_wait",
    ("EnableManagedSpotTraining",): "backend.spot",
    ("EnableNetworkIsolation",): "backend.network_isolation",
    ("EnableInterContainerTrafficEncryption",): "backend.encrypt_inter_container_traffic",
}
#: What the service calls by its place in a list, a spec calls by its name, which this member holds.
_NAMED_BY: Final = {"InputDataConfig": "ChannelName", "Tags": "Key"}
_WORDS: Final = {"ContentType": "content_type", "InputMode": "mode"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """One thing wrong with a request."""

    path: Path
    message: str
    remedy: str
    #: The request does not even have the types that the rules take for granted.
    structural: bool = False


def problem_of(flaw: Flaw, request: Mapping[str, Any], raw: Mapping[str, Any]) -> Problem:
    """The flaw, at the place where the user wrote it; ``raw`` is what they wrote as ``request``."""
    field = _raw_field(flaw.path, request, raw) or spec_field(flaw.path, request)
    return Problem(field=field, message=flaw.message, remedy=flaw.remedy)


def spec_field(path: Path, request: Mapping[str, Any]) -> str:
    """The field of the spec that ends up at ``path``."""
    if path[:2] == ("InputDataConfig", 0) and "DataSource" in path and _is_ours(request):
        return "backend.s3_uri"
    if path[:2] == ("AlgorithmSpecification", "ContainerArguments"):
        own = _own_words(request) if _is_ours(request) else 0
        if not path[2:] or int(path[2]) >= own:
            return _text("estimator.arguments", tuple(int(place) - own for place in path[2:]))
    for length in range(len(path), 0, -1):
        field = _FIELDS.get(path[:length])
        if field is not None:
            return _text(field, _rest(path[:length], path[length:], request))
    return raw_field(path)


def _is_ours(request: Mapping[str, Any]) -> bool:
    """Whether the first channel is the one that brings the code, and its entrypoint what runs."""
    return bool(value_at(request, ("InputDataConfig", 0, "ChannelName")) == CODE_CHANNEL)


def _own_words(request: Mapping[str, Any]) -> int:
    """How many words our entrypoint is given before those of the script."""
    words = value_at(request, ("AlgorithmSpecification", "ContainerArguments")) or []
    return words.index("--") + 1 if "--" in words else len(words)


def raw_field(path: Path) -> str:
    """The place of ``path`` in what the user wrote as ``request``."""
    return _text("backend.request", path)


def _text(field: str, rest: Path) -> str:
    """``field`` and what is in it, as people write paths."""
    return path_text((*field.split("."), *rest))


def _rest(head: Path, rest: Path, request: Mapping[str, Any]) -> Path:
    if not rest:
        return ()
    if head in {("HyperParameters",), ("Environment",)}:
        return (str(rest[0]),)
    if head[-1] == "MetricDefinitions":
        return (rest[0], *(str(part).lower() for part in rest[1:]))
    named_by = _NAMED_BY.get(str(head[-1]))
    if named_by is None:
        return ()
    name = value_at(request, (*head, rest[0], named_by))
    option = _WORDS.get(str(rest[-1]))
    return (str(name), option) if option else (str(name),)


def value_at(value: Any, path: Path) -> Any:  # noqa: ANN401 - a part of a request
    """What stands at ``path``, or None."""
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _raw_field(path: Path, request: Mapping[str, Any], raw: Mapping[str, Any]) -> str | None:
    """The place in ``raw`` when the value comes from there."""
    inner: Any = raw
    for depth, part in enumerate(path):
        if isinstance(part, int) and isinstance(inner, list | tuple):
            # Rows of the user's stand behind ours.
            place = part - (len(value_at(request, path[:depth])) - len(inner))
            if place < 0:
                return None
            inner = inner[place]
        elif isinstance(inner, Mapping) and part in inner:
            inner = inner[part]
        else:
            return None
        if inner is None:  # taken away, with all that was in it
            return raw_field(path[: depth + 1])
    return raw_field(path)
