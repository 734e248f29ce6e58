"""Checks a request against botocore's model of the service, as strictly as the service does.

botocore itself checks types, required members and minimums before it sends; the service also checks
maximums, patterns and enumerations, and says so in one particular sentence.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from trialjob.aws.clients import loader
from trialjob.testing.fake_aws.errors import ServiceError, validation

#: Endpoint names in requests' ``X-Amz-Target``, and botocore's names of the services.
TARGETS = {
    "SageMaker": "sagemaker",
    "Logs_20140328": "logs",
    "ServiceQuotasV20190624": "service-quotas",
    "AWSPriceListService": "pricing",
}

#: Java's character classes in the model's patterns, in Python's words.
_JAVA = {r"\p{L}": r"\w", r"\p{Z}": " ", r"\p{N}": r"\d", r"\p{Alnum}": "a-zA-Z0-9"}
_REFUSALS = dict.fromkeys(("logs", "pricing", "ecr"), "InvalidParameterException")


@cache
def _model(service: str) -> Any:  # noqa: ANN401 - botocore has no types
    from botocore.model import ServiceModel  # type: ignore[import-untyped] # noqa: PLC0415

    return ServiceModel(loader(None).load_service_model(service, "service-2"))


@cache
def _pattern(text: str) -> re.Pattern[str]:
    for java, python in _JAVA.items():
        text = text.replace(java, python)
    return re.compile(text)


def check(service: str, operation: str, params: dict[str, Any]) -> None:
    """Raise what the service would answer to a malformed request."""
    from botocore.validate import ParamValidator  # type: ignore[import-untyped] # noqa: PLC0415

    model = _model(service)
    if operation not in model.operation_names:
        raise ServiceError("UnknownOperationException", f"{service} has no operation {operation}")
    shape = model.operation_model(operation).input_shape
    if shape is None:
        return
    report = ParamValidator().validate(params, shape)
    faults = [report.generate_report()] if report.has_errors() else _faults(shape, params, "")
    if not faults:
        return
    text = f"{len(faults)} validation error{'s' * (len(faults) > 1)} detected: {'; '.join(faults)}"
    raise validation(text) if service not in _REFUSALS else ServiceError(_REFUSALS[service], text)


def _faults(shape: Any, value: Any, where: str) -> list[str]:  # noqa: ANN401 - botocore has no types
    faults = [
        f"Value '{value}' at '{where}' failed to satisfy constraint: {rule}" for rule in _broken(shape, value)
    ]
    match shape.type_name:
        case "structure":
            for name, inner in value.items():
                camel = name[:1].lower() + name[1:]
                faults += _faults(shape.members[name], inner, f"{where}.{camel}" if where else camel)
        case "list":
            for number, inner in enumerate(value, start=1):
                faults += _faults(shape.member, inner, f"{where}.{number}.member")
        case "map":
            for key, inner in value.items():
                faults += _faults(shape.key, key, f"{where}.key") + _faults(
                    shape.value, inner, f"{where}.{key}"
                )
    return faults


def _broken(shape: Any, value: Any) -> list[str]:  # noqa: ANN401 - botocore has no types
    rules: dict[str, Any] = shape.metadata
    broken = []
    if rules.get("enum") and value not in rules["enum"]:
        broken.append(f"Member must satisfy enum value set: [{', '.join(rules['enum'])}]")
    if "pattern" in rules and not _pattern(rules["pattern"]).fullmatch(value):
        broken.append(f"Member must satisfy regular expression pattern: {rules['pattern']}")
    if shape.type_name in {"string", "list", "map"}:
        broken += _limits(len(value), rules, "length")
    elif shape.type_name in {"integer", "long", "float", "double"}:
        broken += _limits(value, rules, "value")
    elif shape.type_name == "timestamp" and not isinstance(value, int | float):
        broken.append("Member must be seconds since the epoch")
    return broken


def _limits(size: float, rules: dict[str, Any], what: str) -> list[str]:
    broken = []
    if "max" in rules and size > rules["max"]:
        broken.append(f"Member must have {what} less than or equal to {rules['max']}")
    if "min" in rules and size < rules["min"]:
        broken.append(f"Member must have {what} greater than or equal to {rules['min']}")
    return broken
