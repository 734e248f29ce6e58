"""What the models of a spec are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError

from trialjob.model.durations import format_duration, parse_duration
from trialjob.model.secret import Secret, secret_of


class SpecPart(BaseModel):
    """A mapping in a spec: its keys are all known, and its values are of the types they say."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _plain(value: float) -> float | int:
    return int(value) if value.is_integer() else value


def _duration_or_word(value: object) -> object:
    return "none" if value is None else value if value in ("auto", "none") else parse_duration(value)


def _secret(value: object, info: ValidationInfo) -> Secret:
    """A secret as it is named; one that is written out has its field's variable for a name."""
    if isinstance(value, Secret):
        return value
    if isinstance(value, str) and value.strip():
        return Secret(f"TRIALJOB_{info.field_name}".upper(), given=value)
    if isinstance(value, Mapping):
        try:
            return secret_of(value)
        except ValueError:
            pass
    raise PydanticCustomError("secret", "names no secret")


Duration: TypeAlias = Annotated[
    float,
    BeforeValidator(parse_duration, json_schema_input_type=float | str),
    PlainSerializer(format_duration),
]
#: A duration, or one of two words in its place; no value at all is the second.
DurationOrWord: TypeAlias = Annotated[
    float | Literal["auto", "none"],
    BeforeValidator(_duration_or_word, json_schema_input_type=float | str),
    PlainSerializer(lambda value: value if isinstance(value, str) else format_duration(value)),
]
Number: TypeAlias = Annotated[float, PlainSerializer(_plain)]
#: A list of texts, which stands in a document as a list.
Texts: TypeAlias = Annotated[tuple[str, ...], Field(strict=False)]
#: A secret of a backend's section, such as a token: ``{secret: VARIABLE}``, ``{secret: {ssm: /path}}`` or
#: ``{secret: {secretsmanager: id}}``. It is a ``Secret``, which ``place.reveal`` and ``jobs.reveal`` look up.
#: One that is written out is kept by the name of its field's variable, ``TRIALJOB_TOKEN`` for ``token``.
SecretText: TypeAlias = Annotated[
    Secret,
    PlainValidator(_secret, json_schema_input_type=str | dict[Literal["secret"], str | dict[str, str]]),
    PlainSerializer(Secret.document),
]
