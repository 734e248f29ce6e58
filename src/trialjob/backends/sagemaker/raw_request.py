"""A CreateTrainingJob request, as the user has it already, in the words of a spec.

Rule: what a spec has a word for gets that word, so that it can be checked, priced and overridden as anything
else; the rest stays raw. What differs from trial to trial (the name, the checkpoint's place) is left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from trialjob.backends.sagemaker.schema_validation import shown
from trialjob.errors import Problem, SpecError

#: Fields of a request, and the fields of an estimator that mean the same.
_FIELDS: Final[dict[tuple[str, ...], str]] = {
    ("RoleArn",): "role",
    ("Environment",): "environment",
    ("EnableNetworkIsolation",): "network_isolation",
    ("EnableInterContainerTrafficEncryption",): "encrypt_inter_container_traffic",
    ("AlgorithmSpecification", "TrainingImage"): "image_uri",
    ("OutputDataConfig", "KmsKeyId"): "output_kms_key",
    ("ResourceConfig", "InstanceType"): "instance_type",
    ("ResourceConfig", "InstanceCount"): "instance_count",
    ("ResourceConfig", "VolumeSizeInGB"): "volume_size",
    ("ResourceConfig", "VolumeKmsKeyId"): "volume_kms_key",
    ("ResourceConfig", "KeepAlivePeriodInSeconds"): "keep_alive",
    ("VpcConfig", "Subnets"): "subnets",
    ("VpcConfig", "SecurityGroupIds"): "security_group_ids",
}
#: Fields of an estimator that have a value for each of several names.
_BY_NAME: Final = ("hyperparameters", "environment", "inputs", "tags")
#: What every trial has of its own.
_OURS: Final = (("TrainingJobName",), ("CheckpointConfig", "S3Uri"), ("OutputDataConfig", "S3OutputPath"))


def translated(document: Mapping[str, Any], sections: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The document of a spec whose estimator is of kind ``request``, with one of kind ``container`` instead.

    What the estimator says beside its ``request`` wins over it. Where the spec leaves them out, metric
    definitions, ``limits.trial_timeout`` and the ``s3_uri`` of ``sections`` are taken from the request too.
    Raises SpecError.
    """
    field, remedy = "estimator.request", "write the fields of a CreateTrainingJob call"
    raw = document["estimator"].get("request")
    if not isinstance(raw, Mapping) or not raw:
        raise SpecError(Problem(field=field, message=f"{shown(raw)} is no request", remedy=remedy))
    try:
        return _as_container(document, sections)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        message = f"cannot be read as a CreateTrainingJob call: {type(error).__name__}: {error}"
        raise SpecError(Problem(field=field, message=message, remedy=remedy)) from error


def _as_container(document: Mapping[str, Any], sections: Sequence[dict[str, Any]]) -> dict[str, Any]:
    given = dict(document["estimator"])
    # By way of text, because the caller's request must not change.
    raw: dict[str, Any] = json.loads(json.dumps(given.pop("request", {}), default=str))
    result = {**document, "estimator": {}}
    _take_beside(raw, result, sections)
    found = _program(raw) | _values(raw) | _inputs(raw) | _spot(raw) | _any_machine(raw)
    for path, name in _FIELDS.items():
        value = _take(raw, path)
        if value is not None:
            found[name] = value
    found["tags"] = {row["Key"]: row["Value"] for row in raw.pop("Tags", [])}
    if {"InstanceGroups", "InstancePreferences"} & raw.get("ResourceConfig", {}).keys():
        raw["ResourceConfig"] |= {"InstanceType": None, "InstanceCount": None}
    for path in _OURS:
        _take(raw, path)
    for name in _BY_NAME:
        if isinstance(more := given.get(name), Mapping):
            # Name by name: the code of a ModelTrainer is an input channel, too.
            given[name] = {**(found.get(name) or {}), **more}
    found |= given
    searched = document.get("space") or {}
    if isinstance(values := found["hyperparameters"], Mapping):
        found["hyperparameters"] = {name: value for name, value in values.items() if name not in searched}
    left = {name: value for name, value in raw.items() if value not in ({}, [])}
    result["estimator"] = {**found, "kind": "container", "request": left}
    return result


def _take(raw: dict[str, Any], path: tuple[str, ...]) -> Any:  # noqa: ANN401 - any part of a request
    """What stands at ``path``, which is taken away; None when nothing does."""
    for name in path[:-1]:
        inner = raw.get(name)
        if not isinstance(inner, dict):
            return None
        raw = inner
    return raw.pop(path[-1], None)


def _take_beside(raw: dict[str, Any], document: dict[str, Any], sections: Sequence[dict[str, Any]]) -> None:
    """Move what belongs to other sections of a spec, where those say nothing."""
    runtime = _take(raw, ("StoppingCondition", "MaxRuntimeInSeconds"))
    limits = document.get("limits")
    if runtime and isinstance(limits, Mapping):
        document["limits"] = {"trial_timeout": runtime, **limits}
    algorithm = raw.get("AlgorithmSpecification") or {}
    takes_none = "MetricDefinitions" in algorithm and algorithm["MetricDefinitions"] is None
    definitions = _take(raw, ("AlgorithmSpecification", "MetricDefinitions"))
    if takes_none:  # the image is one of SageMaker's own algorithms
        algorithm["MetricDefinitions"] = None
    if definitions and not document.get("metrics"):
        document["metrics"] = [{"name": row["Name"], "regex": row["Regex"]} for row in definitions]
    place = raw.get("OutputDataConfig", {}).get("S3OutputPath")
    for section in sections if place else ():
        section.setdefault("s3_uri", place)


def _program(raw: dict[str, Any]) -> dict[str, Any]:
    words = {
        "entrypoint": _take(raw, ("AlgorithmSpecification", "ContainerEntrypoint")),
        "arguments": _take(raw, ("AlgorithmSpecification", "ContainerArguments")),
    }
    return {
        name: [word.replace("{", "{{").replace("}", "}}") for word in said]
        for name, said in words.items()
        if said
    }


def _values(raw: dict[str, Any]) -> dict[str, Any]:
    texts: dict[str, str] = raw.pop("HyperParameters", {})
    # The toolkits of the service's own images, and the SDK of their time, write every value as JSON.
    if texts.get("sagemaker_program", "").startswith('"'):
        values = {name: json.loads(text) for name, text in texts.items()}
        return {"hyperparameters": values, "hyperparameter_format": "json"}
    return {"hyperparameters": dict(texts)}


def _inputs(raw: dict[str, Any]) -> dict[str, Any]:
    plain, rest = {}, []
    for row in raw.pop("InputDataConfig", []):
        if _is_plain(row):
            said = {
                "location": row["DataSource"]["S3DataSource"]["S3Uri"],
                "content_type": row.get("ContentType"),
                "mode": row.get("InputMode"),
            }
            plain[row["ChannelName"]] = {name: value for name, value in said.items() if value}
        else:
            rest.append(row)
    if rest:
        raw["InputDataConfig"] = rest
    return {"inputs": plain}


def _is_plain(row: Mapping[str, Any]) -> bool:
    """Whether a spec has words for all of a channel: an S3 prefix, whole on every instance."""
    usual = {"S3DataType": "S3Prefix", "S3DataDistributionType": "FullyReplicated"}
    source = row.get("DataSource", {}).get("S3DataSource", {})
    rest = {**usual, **source, "S3Uri": None}
    known = {"ChannelName", "DataSource", "ContentType", "InputMode"}
    return "S3Uri" in source and rest == {**usual, "S3Uri": None} and row.keys() <= known


def _any_machine(raw: dict[str, Any]) -> dict[str, Any]:
    """The types of which the service is to take the first that it has, where a spec asks for them alike."""
    resources = raw.get("ResourceConfig") or {}
    rows = resources.get("InstancePreferences") or []
    counts = {row.get("InstanceCount", resources.get("InstanceCount", 1)) for row in rows}
    plain = all(row.keys() <= {"InstanceType", "InstanceCount"} for row in rows)
    others = resources.keys() - {"InstancePreferences", "InstanceCount", "VolumeSizeInGB", "VolumeKmsKeyId"}
    if len(counts) != 1 or not plain or others:
        return {}
    for name in ("InstancePreferences", "InstanceCount"):
        resources.pop(name, None)
    first, *rest = (row["InstanceType"] for row in rows)
    return {"instance_type": first, "fallback_instance_types": rest, "instance_count": counts.pop()}


def _spot(raw: dict[str, Any]) -> dict[str, Any]:
    wait = _take(raw, ("StoppingCondition", "MaxWaitTimeInSeconds"))
    if not raw.pop("EnableManagedSpotTraining", False):
        return {}
    return {"spot": {"max_wait": wait}} if wait else {"spot": {}}
