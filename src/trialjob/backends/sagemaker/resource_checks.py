"""Checks of what jobs take and leave: the bucket, the inputs, and the account's quotas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from trialjob.aws import faults
from trialjob.backends.plugin import Check
from trialjob.backends.sagemaker.check import Case
from trialjob.model.s3 import S3Address, address_problem

TRAINING: Final = "training job usage"
SPOT: Final = "spot training job usage"
WARM_POOL: Final = "training warm pool usage"
#: Quotas over all instance types together, by what they bound.
_TOTALS: Final = {
    TRAINING: "Number of instances across all training jobs",
    SPOT: "Number of instances across all spot training jobs",
}


def bucket(case: Case) -> Iterator[Check]:
    """Whether it is there, in the right region, and may be written to."""
    name = S3Address.parse(case.settings.s3_uri).bucket
    try:
        region = case.bucket_region(name)
    except faults.NotFound:
        remedy = f"create it (`aws s3 mb s3://{name}`), or write another in backend.s3_uri"
        yield Check(name="bucket", ok=False, detail=f"there is no bucket {name}", remedy=remedy)
        return
    except faults.AccessDenied as fault:
        detail = f"{name} is another account's, or {fault.action} on it is not allowed"
        remedy = "write a bucket of your own in backend.s3_uri, or allow it (docs/iam.md)"
        yield Check(name="bucket", ok=False, detail=detail, remedy=remedy)
        return
    if case.region and region and region != case.region:
        detail = f"{name} is in {region}, and the jobs would run in {case.region}"
        remedy = f"write a bucket of {case.region} in backend.s3_uri, or backend.region: {region}"
        yield Check(name="bucket", ok=False, detail=detail, remedy=remedy)
        return
    if case.writes:
        yield from _written(case)
    else:
        where = region or "a region that it does not tell"
        yield Check(name="bucket", ok=True, detail=f"{name} is in {where}")


def _written(case: Case) -> Iterator[Check]:
    uri = f"{case.settings.s3_uri.rstrip('/')}/.trialjob-doctor"
    try:
        case.client.put(uri, b"")
        case.client.has(uri)
    except faults.AccessDenied as fault:
        remedy = f"allow {fault.action} below {case.settings.s3_uri} (docs/iam.md)"
        yield Check(name="bucket", ok=False, detail=f"{fault.action} on {uri} is not allowed", remedy=remedy)
        return
    detail = f"{case.settings.s3_uri} can be written"
    try:
        case.client.delete(uri)
    except faults.AccessDenied:
        detail += "; the empty object .trialjob-doctor stays there, because it may not be deleted"
    yield Check(name="bucket", ok=True, detail=detail)


def inputs(case: Case) -> Iterator[Check]:
    """Whether there is anything in the channels."""
    for channel, uri in sorted(case.job.inputs.items()):
        if not address_problem(uri):  # of any other the check of the first job speaks
            yield _input(case, channel, uri)


def _input(case: Case, channel: str, uri: str) -> Check:
    wrong = ""
    try:
        region = case.bucket_region(S3Address.parse(uri).bucket)
        if case.region and region and region != case.region:
            wrong = f"{uri} is in {region}, and the jobs would run in {case.region}"
        elif next(iter(case.client.keys(uri)), None) is None:
            wrong = f"there is nothing at {uri}"
    except faults.NotFound:
        wrong = f"there is no bucket for {uri}"
    except faults.AccessDenied as fault:
        detail = f"{channel}: {uri} cannot be checked: {fault.action} is not allowed"
        return Check(name="inputs", ok=None, detail=detail)
    if not wrong:
        return Check(name="inputs", ok=True, detail=f"{channel}: {uri}")
    remedy = f"put the data where the jobs can read it, or correct estimator.inputs.{channel}"
    return Check(name="inputs", ok=False, detail=f"{channel}: {wrong}", remedy=remedy)


def quotas(case: Case) -> Iterator[Check]:
    """Whether the account's quotas admit the instances of all jobs at one time."""
    kinds = _kinds(case)
    known = case.client.quotas()
    for instance_type in filter(None, case.settings.instance_types):
        for kind in kinds:
            yield _quota(case, f"{instance_type} for {kind}", known, kind=kind)
    for kind in kinds:
        if _TOTALS.get(kind) in known:
            yield _quota(case, _TOTALS[kind], known, kind=kind)


def _kinds(case: Case) -> list[str]:
    spot = case.settings.spot
    on_demand = spot is None or spot.on_demand_after is not None
    asked = {TRAINING: on_demand, SPOT: spot is not None, WARM_POOL: bool(case.settings.keep_alive)}
    return [kind for kind, wanted in asked.items() if wanted]


def _quota(case: Case, name: str, known: dict[str, float], *, kind: str) -> Check:
    if name not in known:
        return Check(name="quota", ok=None, detail=f"cannot be checked: no quota {name!r} is listed")
    each, limit = case.settings.instance_count, int(known[name])
    needed = each * case.workers
    said = f"{name!r} is {limit}"
    if limit >= needed:
        return Check(name="quota", ok=True, detail=f"{said}, and {needed} needed at most")
    remedy = f"ask for {needed} of {name!r} in Service Quotas, under Amazon SageMaker"
    if kind == WARM_POOL:
        return Check(name="quota", ok=False, detail=_cold(said, limit // each), remedy=remedy)
    room = limit // each
    if room == 0:
        effect = f"no job can start, each needs {each}"
    else:
        effect = f"only {room} of {case.workers} trials can run at one time"
        remedy += f", or set limits.max_concurrent_trials: {room}"
    return Check(name="quota", ok=False, detail=f"{said}: {effect}", remedy=remedy)


def _cold(said: str, room: int) -> str:
    """The service does not refuse a job for want of this quota; it just keeps nothing, so we must say it."""
    if room == 0:
        return f"{said}: NO MACHINE IS KEPT WARM, every job starts cold, and SageMaker will not tell"
    return f"{said}: only the machines of {room} jobs are kept warm, the others are given up silently"
