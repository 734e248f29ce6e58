"""What a spec says about the machines and the service, and every trial of an experiment shares.

What differs from trial to trial is in ``JobRequest``. Rule: values only; ``rules`` judges them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trialjob.backends.sagemaker.machines import Spot
from trialjob.model.metric import MetricDefinition


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """How an input channel is delivered; where it is, the job's request says."""

    content_type: str = ""
    #: File, FastFile or Pipe; empty for the service's default.
    mode: str = ""
    #: ro or rw, of a file system; empty for ro.
    access: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SageMakerSettings:
    """The parts of ``estimator`` and ``backend`` that shape a training job."""

    #: Where code, checkpoints and outputs are kept, below a folder for each experiment.
    s3_uri: str
    image_uri: str
    role: str
    instance_type: str
    #: Tried in this order after ``instance_type``, each time there was no capacity.
    fallback_instance_types: tuple[str, ...] = ()
    instance_count: int = 1
    #: Gigabytes.
    volume_size: int = 30
    volume_kms_key: str = ""
    output_kms_key: str = ""
    #: Seconds that an ended job's instances wait for the next job; None for not at all.
    keep_alive: float | None = None
    spot: Spot | None = None
    #: Seconds that may be billed while what a job leaves is uploaded, after its maximum run time.
    max_upload: float = 300.0
    #: Dollars that an hour of one instance of whatever type costs, where the user says so.
    price_per_hour: float | None = None
    #: Only of the inputs that differ from the default.
    channels: Mapping[str, Channel] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    subnets: tuple[str, ...] = ()
    security_group_ids: tuple[str, ...] = ()
    network_isolation: bool = False
    encrypt_inter_container_traffic: bool = False
    #: ``torchrun`` starts the script once for each GPU; empty starts it once for each instance.
    distribution: str = ""
    #: How many processes of it on each instance; None for one for each GPU.
    processes: int | None = None
    metric_definitions: tuple[MetricDefinition, ...] = ()
    #: The metric that is optimised, for the console's charts.
    objective: str = ""
    #: Metrics that a report must have, whatever else is left out of it.
    needed: tuple[str, ...] = ()
    #: Where a script logs its metrics, if our part of the job is to read that.
    metrics_from: str = ""
    #: Raw fields of CreateTrainingJob, merged last.
    request: Mapping[str, Any] = field(default_factory=dict)

    @property
    def instance_types(self) -> tuple[str, ...]:
        """Every type a job of this experiment may run on, in the order they are tried."""
        return (self.instance_type, *self.fallback_instance_types)

    @property
    def training_plan(self) -> str:
        """The training plan on whose machines all jobs run; "" for none."""
        return str((self.request.get("ResourceConfig") or {}).get("TrainingPlanArn") or "")
