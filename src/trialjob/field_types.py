"""What the models of a spec are made of."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from trialjob.model.durations import format_duration, parse_duration


class SpecPart(BaseModel):
    """A mapping in a spec: its keys are all known, and its values are of the types they say."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _plain(value: float) -> float | int:
    return int(value) if value.is_integer() else value


def _duration_or_word(value: object) -> object:
    return "none" if value is None else value if value in ("auto", "none") else parse_duration(value)


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
