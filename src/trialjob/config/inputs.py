"""An input channel: a location alone, or with how it is delivered."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, PlainSerializer

from trialjob.field_types import SpecPart
from trialjob.model.json import Json


class InputSpec(SpecPart):
    """An input channel that is more than a location."""

    #: A folder, a file, an address in S3, or a folder of a file system that the jobs mount:
    #: `efs://fs-ID/folder`, or `fsx://fs-ID/mount-name/folder` of FSx for Lustre.
    location: str
    #: The type of its content, as the service is told it.
    content_type: str | None = None
    #: How the service delivers it.
    mode: Literal["File", "FastFile", "Pipe"] | None = None
    #: Whether a job may only read a file system, `ro`, or write it too, `rw`. Default: `ro`.
    access: Literal["ro", "rw"] | None = None


def _located(value: object) -> object:
    return {"location": value} if isinstance(value, str) else value


def _short(value: InputSpec) -> Json:
    said = value.model_dump(exclude_none=True)
    return value.location if said.keys() == {"location"} else said


#: A location alone, or with how it is delivered.
InputChannel: TypeAlias = Annotated[
    InputSpec, BeforeValidator(_located, json_schema_input_type=str | InputSpec), PlainSerializer(_short)
]
