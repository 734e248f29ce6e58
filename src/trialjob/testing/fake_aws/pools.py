"""Managed warm pools: which cluster fits which job, when it is taken, when it is given up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from trialjob.testing.fake_aws.job import Job, Pool
from trialjob.testing.fake_aws.quotas import WARM_POOL, Quotas


def signature(request: dict[str, Any]) -> tuple[object, ...]:
    """All that must be identical for a cluster to be reused; nothing else is looked at."""
    resources, network = request["ResourceConfig"], request.get("VpcConfig", {})
    chaining = request.get("SessionChainingConfig", {}).get("EnableSessionTagChaining", False)
    return (
        request["RoleArn"],
        resources.get("InstanceType"),
        resources.get("InstanceCount"),
        resources["VolumeSizeInGB"],
        resources.get("VolumeKmsKeyId"),
        tuple(sorted(network.get("SecurityGroupIds", []))),
        tuple(sorted(network.get("Subnets", []))),
        request.get("EnableInterContainerTrafficEncryption", False),
        request.get("EnableNetworkIsolation", False),
        chaining,
    )


def available(jobs: Iterable[Job]) -> list[Job]:
    """The jobs whose clusters wait to be reused."""
    return [job for job in jobs if job.pool is not None and job.pool.ended is None]


def fitting(jobs: Iterable[Job], request: dict[str, Any]) -> Job | None:
    """The job whose cluster the next launch of ``request`` takes, the longest waiting one first."""
    if request.get("EnableManagedSpotTraining"):
        return None
    wanted = signature(request)
    fits = [job for job in available(jobs) if signature(job.request) == wanted]
    return min(fits, key=lambda job: job.pool.since if job.pool else 0.0, default=None)


def has_room(jobs: Iterable[Job], job: Job, quotas: Quotas) -> bool:
    """Whether the quota admits this job's cluster; if not, the service is silent and keeps nothing."""
    held = sum(
        other.instances
        for other in jobs
        if other is not job
        and other.instance_type == job.instance_type
        and (
            (other.pool is not None and other.pool.ended is None) or (other.keeps_pool and not other.terminal)
        )
    )
    return held + job.instances <= quotas.limit(job.instance_type, WARM_POOL)


def end(job: Job, at: float, reused_by: str | None = None) -> None:
    """Give a job's cluster up, to another job or for good."""
    if job.pool is not None and job.pool.ended is None:
        # When the job was modified last tells of its own status alone.
        job.pool = Pool(since=job.pool.since, keep_alive=job.pool.keep_alive, ended=at, reused_by=reused_by)
