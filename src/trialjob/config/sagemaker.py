"""What an estimator may say about SageMaker.

Rule: an estimator may say all of this and still run on this machine, where none of it is looked at.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field, PlainSerializer

from trialjob.field_types import Duration, SpecPart, Texts
from trialjob.model.json import Json


class InputSpec(SpecPart):
    """An input channel that is more than a location."""

    location: str
    content_type: str | None = None
    mode: Literal["File", "FastFile", "Pipe"] | None = None


def _located(value: object) -> object:
    return {"location": value} if isinstance(value, str) else value


def _short(value: InputSpec) -> Json:
    said = value.model_dump(exclude_none=True)
    return value.location if said.keys() == {"location"} else said


#: A location alone, or with how it is delivered.
InputChannel: TypeAlias = Annotated[InputSpec, BeforeValidator(_located), PlainSerializer(_short)]


class SpotSpec(SpecPart):
    """Spot instances."""

    max_wait: Duration
    on_demand_after: int | None = Field(default=None, ge=1)


class SageMakerJobSpec(SpecPart):
    """The part of an estimator that only SageMaker looks at."""

    image_uri: str | None = None
    role: str | None = None
    instance_type: str | None = None
    fallback_instance_types: Texts = ()
    instance_count: int = Field(default=1, ge=1)
    #: Gigabytes.
    volume_size: int = Field(default=30, ge=1)
    volume_kms_key: str | None = None
    output_kms_key: str | None = None
    keep_alive: Duration | None = None
    spot: SpotSpec | None = None
    max_upload: Duration = 300.0
    tags: dict[str, str] = Field(default_factory=dict)
    subnets: Texts = ()
    security_group_ids: Texts = ()
    network_isolation: bool = False
    encrypt_inter_container_traffic: bool = False
    distribution: Literal["none", "torchrun"] = "none"
    processes: int | None = Field(default=None, ge=1)
    #: Raw fields of CreateTrainingJob, merged last.
    request: dict[str, Json] = Field(default_factory=dict)
