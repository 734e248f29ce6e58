"""What a spec may say about SageMaker, and the settings that the backend makes of it.

Rule: an estimator may say all of this and still run on this machine, where none of it is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field, PlainSerializer

from trialjob.backends.sagemaker.limiter import RATES
from trialjob.backends.sagemaker.settings import Channel, SageMakerSettings, Spot
from trialjob.config.parts import Duration, Number, SpecPart, Texts
from trialjob.model.json import Json
from trialjob.model.metric import MetricDefinition


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


#: What a job cannot do without, and what it is called in an example.
REQUIRED: Mapping[str, str] = {
    "image_uri": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8.0-gpu-py312",
    "role": "arn:aws:iam::123456789012:role/SageMakerExecution",
    "instance_type": "ml.g4dn.xlarge",
}


class RatesSpec(SpecPart):
    """Calls a second of each operation, which an account shares with everything else in its region."""

    create: Number = Field(default=RATES["create"], gt=0)
    stop: Number = Field(default=RATES["stop"], gt=0)
    update: Number = Field(default=RATES["update"], gt=0)
    list: Number = Field(default=RATES["list"], gt=0)
    describe: Number = Field(default=RATES["describe"], gt=0)
    filter_logs: Number = Field(default=RATES["filter_logs"], gt=0)


class SageMakerBackendSpec(SpecPart):
    """Training jobs of Amazon SageMaker; without a region or profile, boto3's own rules find them."""

    kind: Literal["sagemaker"]
    s3_uri: str
    region: str | None = None
    profile: str | None = None
    poll_interval: Duration = 10.0
    requests_per_second: RatesSpec = RatesSpec()
    #: Dollars for each instance of whatever type, in place of the price list's.
    price_per_hour: Number | None = Field(default=None, ge=0)


def settings_of(
    job: SageMakerJobSpec,
    backend: SageMakerBackendSpec,
    *,
    inputs: Mapping[str, InputSpec],
    metrics: tuple[MetricDefinition, ...],
    objective: str,
    needed: tuple[str, ...],
) -> SageMakerSettings:
    """The backend's settings; what is required has been checked."""
    return SageMakerSettings(
        s3_uri=backend.s3_uri,
        image_uri=job.image_uri or "",
        role=job.role or "",
        instance_type=job.instance_type or "",
        fallback_instance_types=job.fallback_instance_types,
        instance_count=job.instance_count,
        volume_size=job.volume_size,
        volume_kms_key=job.volume_kms_key or "",
        output_kms_key=job.output_kms_key or "",
        keep_alive=job.keep_alive,
        max_upload=job.max_upload,
        price_per_hour=backend.price_per_hour,
        spot=Spot(**dict(job.spot)) if job.spot else None,
        channels={
            name: Channel(content_type=given.content_type or "", mode=given.mode or "")
            for name, given in inputs.items()
            if given.content_type or given.mode
        },
        tags=job.tags,
        subnets=job.subnets,
        security_group_ids=job.security_group_ids,
        network_isolation=job.network_isolation,
        encrypt_inter_container_traffic=job.encrypt_inter_container_traffic,
        distribution="" if job.distribution == "none" else job.distribution,
        processes=job.processes,
        metric_definitions=metrics,
        objective=objective,
        needed=needed,
        request=job.request,
    )
