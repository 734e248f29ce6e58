"""What the models of a spec are made of."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from trialjob.model.durations import format_duration, parse_duration


class SpecPart(BaseModel):
    """A mapping in a spec: its keys are all known, and its values are of the types they say."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _plain(value: float) -> float | int:
    return int(value) if value.is_integer() else value


Duration: TypeAlias = Annotated[float, BeforeValidator(parse_duration), PlainSerializer(format_duration)]
Number: TypeAlias = Annotated[float, PlainSerializer(_plain)]
#: A list of texts, which stands in a document as a list.
Texts: TypeAlias = Annotated[tuple[str, ...], Field(strict=False)]
