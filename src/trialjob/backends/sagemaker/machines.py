"""What training jobs need of machines and of the account: a part of the section ``backend``.

Rule: every field may be left out here; what a job cannot do without, the section says. All of them once
stood in ``estimator``, from where they are still read.
"""

from __future__ import annotations

from pydantic import Field

from trialjob.field_types import Duration, SpecPart, Texts
from trialjob.model.json import Json


class Spot(SpecPart):
    """Spare capacity at a discount, which may be taken away."""

    #: Bounds waiting and running together.
    max_wait: Duration = Field(examples=["4h"])
    #: After so many times without capacity a trial goes on on demand. Default: never.
    on_demand_after: int | None = Field(default=None, ge=1)


class Machines(SpecPart):
    """Machines, and what AWS is to do with them."""

    #: ARN of the role that the jobs take on. Default: required.
    role: str | None = Field(default=None, examples=["arn:aws:iam::123456789012:role/SageMakerExecution"])
    #: Such as `ml.g4dn.xlarge`. Default: required.
    instance_type: str | None = Field(default=None, examples=["ml.m5.xlarge"])
    #: Other types, in this order: up to four in the one call, and SageMaker takes the first that it has; with
    #: `spot` or `keep_alive`, or if there are more, one after the other, each time there was no capacity.
    fallback_instance_types: Texts = ()
    #: Instances of each job.
    instance_count: int = Field(default=1, ge=1)
    #: Gigabytes.
    volume_size: int = Field(default=30, ge=1)
    #: Key for the instances' volumes.
    volume_kms_key: str | None = None
    #: Key for what is written to S3.
    output_kms_key: str | None = None
    #: Warm pool: the time an ended job's instances wait for the next one, at most 1h; not with `spot`.
    keep_alive: Duration | None = None
    #: `{max_wait: 2h, on_demand_after: 2}`: spot instances. `max_wait` bounds waiting and running together;
    #: after `on_demand_after` times without capacity a trial goes on on demand.
    spot: Spot | None = None
    #: The longest that uploading what a job leaves may take once its run time is over; it is billed, the
    #: service does not bound it, and [the caps](money.md) count it.
    max_upload: Duration = 300.0
    #: Tags of every job, beside our own `trialjob:…`.
    tags: dict[str, str] = Field(default_factory=dict)
    #: The network the jobs run in; with `security_group_ids`, or neither.
    subnets: Texts = ()
    #: The security groups of that network; with `subnets`, or neither.
    security_group_ids: Texts = ()
    #: No network at all; `requirements.txt` cannot be installed then.
    network_isolation: bool = False
    #: Between the instances of one job.
    encrypt_inter_container_traffic: bool = False
    #: Raw fields of
    #: [CreateTrainingJob](https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html),
    #: merged last: mappings are merged, rows are added to lists of rows, `null` takes a field away.
    request: dict[str, Json] = Field(default_factory=dict)
