"""SageMaker's training operations: what each call answers and refuses.

The calls change nothing but through ``lifecycle``; ``listing`` has those that read many jobs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trialjob.testing.fake_aws import errors, pools
from trialjob.testing.fake_aws.create_rules import check_create, check_role
from trialjob.testing.fake_aws.job import Job, Pool
from trialjob.testing.fake_aws.lifecycle import Lifecycle
from trialjob.testing.fake_aws.quotas import SPOT, TRAINING, WARM_POOL

ACCOUNT = "123456789012"
USER = f"arn:aws:iam::{ACCOUNT}:user/trialjob"


class Training:
    """The training jobs of one account in one region."""

    def __init__(self, lifecycle: Lifecycle, jobs: dict[str, Job]) -> None:
        self.jobs = jobs
        self.lifecycle = lifecycle
        #: Roles that exist and that this caller may not pass on.
        self.not_passable: set[str] = set()
        #: What a principal, by its ARN, is not allowed by its policies.
        self.denied_to: dict[str, set[str]] = {}
        #: Whether a lack of warm-pool quota is an error, or passed over in silence as the guide says.
        self.refuses_without_pool_quota = False
        #: The tags of what has an ARN of another kind, by that kind and its name.
        self.tagged: dict[str, Callable[[str], dict[str, str]]] = {
            "training-job": lambda name: self.job(name).tags
        }

    @property
    def _now(self) -> float:
        return self.lifecycle.agenda.now

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """CreateTrainingJob. Malformed first, then the role, the name, and what it would use."""
        self.check(request)
        if "Tags" in request and "sagemaker:AddTags" in self.lifecycle.faults.denied:
            raise errors.access_denied(USER, "sagemaker:AddTags", self.arn(request["TrainingJobName"]))
        job = self.launch(request, tags=tags_of(request.get("Tags", [])))
        return {"TrainingJobArn": job.arn}

    def check(self, request: dict[str, Any]) -> None:
        """Raise for what no training job may be, whatever its name."""
        check_create(request, self.lifecycle.region)
        check_role(request, world=self.lifecycle.world, user=USER, not_passable=self.not_passable)

    def launch(self, request: dict[str, Any], *, tags: dict[str, str], tuning: str = "") -> Job:
        """Start a job that has been checked, of a user's own or of the tuning job with that ARN."""
        name = request["TrainingJobName"]
        if name in self.jobs:
            raise errors.in_use(self.jobs[name].arn)
        job = Job(request=request, arn=self.arn(name), created=self._now, tags=dict(tags), tuning=tuning)
        self._check_quota(job)
        self.jobs[name] = job
        self.lifecycle.admit(job)
        return job

    def arn(self, name: str) -> str:
        return f"arn:aws:sagemaker:{self.lifecycle.region}:{ACCOUNT}:training-job/{name}"

    def _check_quota(self, job: Job) -> None:
        job.choose(self.lifecycle.faults.no_capacity)
        kind, quotas = (SPOT if job.spot else TRAINING), self.lifecycle.quotas
        limit, used = quotas.limit(job.instance_type, kind), self.in_use(job.instance_type, spot=job.spot)
        if self.lifecycle.faults.hits("quota_taken"):
            used = max(used, limit)
        taken = pools.fitting(self.jobs.values(), job.request)
        asked = job.instances
        if used - (taken.instances if taken else 0) + asked > limit:
            raise errors.limit_exceeded(f"{job.instance_type} for {kind}", limit, used, asked)
        if job.keep_alive and self.refuses_without_pool_quota:
            warm = quotas.limit(job.instance_type, WARM_POOL)
            if not pools.has_room(self.jobs.values(), job, quotas):
                raise errors.limit_exceeded(f"{job.instance_type} for {WARM_POOL}", warm, 0, asked)

    def in_use(self, instance_type: str, *, spot: bool = False) -> int:
        """Instances that count against a quota: of jobs that have not ended, and of waiting pools."""
        living = [job for job in self.jobs.values() if not job.terminal and job.spot == spot]
        waiting = [] if spot else pools.available(self.jobs.values())
        return sum(job.instances for job in (*living, *waiting) if job.instance_type == instance_type)

    def job(self, name: str) -> Job:
        if name not in self.jobs:
            raise errors.not_found()
        return self.jobs[name]

    def describe(self, params: dict[str, Any]) -> dict[str, Any]:
        """DescribeTrainingJob."""
        return self.job(params["TrainingJobName"]).describe(self._now)

    def stop(self, params: dict[str, Any]) -> dict[str, Any]:
        """StopTrainingJob. A job that is already stopping may be stopped again."""
        job = self.job(params["TrainingJobName"])
        if job.terminal:
            raise errors.wrong_status(job.status)
        self.lifecycle.stop(job)
        return {}

    def update(self, params: dict[str, Any]) -> dict[str, Any]:
        """UpdateTrainingJob: the keep-alive period of a waiting pool; 0 ends the pool."""
        job = self.job(params["TrainingJobName"])
        if "ResourceConfig" not in params:
            raise errors.validation("Only ResourceConfig can be updated")
        keep_alive = params["ResourceConfig"]["KeepAlivePeriodInSeconds"]
        if keep_alive > 3600:
            raise errors.validation(f"KeepAlivePeriodInSeconds must be at most 3600, but is {keep_alive}")
        if job.pool is None or job.pool.ended is not None:
            raise errors.validation(
                "The request was rejected because the training job's warm pool is not Available."
            )
        job.pool = Pool(since=job.pool.since, keep_alive=keep_alive)
        job.request["ResourceConfig"]["KeepAlivePeriodInSeconds"] = keep_alive
        if keep_alive:
            self.lifecycle.expire_pool(job)
        else:
            pools.end(job, self._now)
        return {"TrainingJobArn": job.arn}

    def delete(self, params: dict[str, Any]) -> dict[str, Any]:
        """DeleteTrainingJob: ended jobs without a waiting pool; their names are free again."""
        job = self.job(params["TrainingJobName"])
        if not job.terminal:
            raise errors.wrong_status(job.status)
        if job.pool is not None and job.pool.ended is None:
            raise errors.ServiceError(
                "ResourceInUse", "The warm pool of the training job is still Available."
            )
        del self.jobs[job.name]
        return {}

    def add_tags(self, params: dict[str, Any]) -> dict[str, Any]:
        """AddTags."""
        tags = self._by_arn(params)
        tags |= tags_of(params["Tags"])
        return {"Tags": _rows(tags)}

    def list_tags(self, params: dict[str, Any]) -> dict[str, Any]:
        """ListTags, all on one page."""
        return {"Tags": _rows(self._by_arn(params))}

    def _by_arn(self, params: dict[str, Any]) -> dict[str, str]:
        kind, _, name = params["ResourceArn"].rpartition(":")[2].partition("/")
        if kind not in self.tagged:
            raise errors.not_found()
        return self.tagged[kind](name)


def tags_of(rows: list[dict[str, str]]) -> dict[str, str]:
    """The rows of a request as a mapping."""
    return {row["Key"]: row["Value"] for row in rows}


def _rows(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
