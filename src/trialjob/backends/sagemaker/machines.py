"""What training jobs need of machines and of the account: a part of the section ``backend``.

Rule: every field may be left out here; what a job cannot do without, the section says. All of them once
stood in ``estimator``, from where they are still read.
"""

from __future__ import annotations

from pydantic import Field

from trialjob.field_types import Duration, SpecPart, Texts
from trialjob.model.json import Json


class SpotSpec(SpecPart):
    """Spot instances."""

    max_wait: Duration
    on_demand_after: int | None = Field(default=None, ge=1)


class Machines(SpecPart):
    """Machines, and what AWS is to do with them."""

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
    #: Raw fields of CreateTrainingJob, merged last.
    request: dict[str, Json] = Field(default_factory=dict)
