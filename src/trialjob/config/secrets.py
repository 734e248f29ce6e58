"""Secrets in a spec: how they are named, and what becomes of one that was written out.

Rule: a value that looks like a secret leaves the document before anything else looks at it. What stands there
from then on is the name of an environment variable, from which a resumed experiment has the value;
this process remembers what was written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import PlainSerializer, PlainValidator
from pydantic_core import PydanticCustomError

from trialjob.model.json import Json
from trialjob.model.masking import is_secret, opens_a_door
from trialjob.model.secret import Secret, secret_of

#: Addresses that may have a secret in them, and the variable that stands for each.
ADDRESSES: Final = {
    ("notify", "webhook"): "TRIALJOB_WEBHOOK",
    ("mlflow", "tracking_uri"): "MLFLOW_TRACKING_URI",
}


def _read(value: object) -> str | Secret:
    if isinstance(value, str | Secret):
        return value
    if isinstance(value, Mapping):
        try:
            return secret_of(value)
        except ValueError:
            raise PydanticCustomError("secret", "names no secret") from None
    raise PydanticCustomError("string_type", "is not text")


def _written(value: str | Secret) -> Json:
    return value.document() if isinstance(value, Secret) else value


#: Text, or the name of a secret.
MaybeSecret: TypeAlias = Annotated[
    str | Secret,
    PlainValidator(_read, json_schema_input_type=str | dict[Literal["secret"], str | dict[str, str]]),
    PlainSerializer(_written),
]


def conceal(document: dict[str, Any]) -> None:
    """Put a secret's name in the place of each value in ``document`` that looks like one."""
    estimator = document.get("estimator")
    if isinstance(estimator, dict):
        backend = document.get("backend")
        if isinstance(backend, dict):
            conceal_request(estimator, backend.get("request"))
        _conceal_variables(estimator.get("environment"))
    for (section, field), variable in ADDRESSES.items():
        holder = document.get(section)
        address = holder.get(field) if isinstance(holder, dict) else None
        if isinstance(address, str) and "://" in address and _opens(section, address):
            holder[field] = Secret(variable, given=address)  # type: ignore[index]


def _opens(section: str, address: str) -> bool:
    # The address of a webhook is enough to post to it; MLflow asks for more.
    return opens_a_door(address) if section == "notify" else is_secret("", address)


def _conceal_variables(environment: object) -> None:
    if isinstance(environment, dict):
        for name, value in environment.items():
            if is_secret(str(name), value):
                environment[name] = Secret(str(name), given=value)


def conceal_request(estimator: dict[str, Any], request: object) -> None:
    """Move the secrets of a raw request's environment to the estimator's own, which means the same."""
    raw = request.get("Environment") if isinstance(request, dict) else None
    environment = estimator.setdefault("environment", {}) if isinstance(raw, dict) else None
    if not isinstance(raw, dict) or not isinstance(environment, dict):
        return
    for name in [name for name, value in raw.items() if isinstance(value, Mapping) or is_secret(name, value)]:
        environment[name] = raw.pop(name)
