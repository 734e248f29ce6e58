"""Every call that was made, and what tests ask about a whole experiment afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from trialjob.testing.fake_aws.job import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call. ``outcome`` is "ok", an error code, "lost before" or "lost after"."""

    at: float
    service: str
    operation: str
    #: The job, log group or resource it was about; "" when it was about none.
    subject: str
    outcome: str
    params: dict[str, Any] = field(default_factory=dict)
    #: How many rows, jobs or events the answer had.
    returned: int = 0

    @property
    def took_effect(self) -> bool:
        return self.outcome in {"ok", "lost after"}

    @property
    def action(self) -> str:
        """The IAM action that a policy must allow for it."""
        return f"{_PREFIXES.get(self.service, self.service)}:{self.operation}"


_PREFIXES = {"service-quotas": "servicequotas"}


@dataclass(slots=True, kw_only=True)
class Ledger:
    calls: list[Call] = field(default_factory=list)

    def count(self, operation: str | None = None, *, outcome: str | None = None) -> int:
        return sum(
            (operation is None or call.operation == operation)
            and (outcome is None or call.outcome == outcome)
            for call in self.calls
        )

    def by_operation(self) -> Counter[str]:
        return Counter(call.operation for call in self.calls)

    def actions(self) -> set[str]:
        """All IAM actions that were used."""
        return {call.action for call in self.calls}


def jobs_by_tags(jobs: Iterable[Job], *keys: str) -> Counter[tuple[str | None, ...]]:
    """How many jobs there ever were for each value of these tags, such as (trial, attempt)."""
    return Counter(tuple(job.tags.get(key) for key in keys) for job in jobs)


def most_instances(jobs: Iterable[Job], *, pools: bool = False) -> int:
    """The most instances at any one time, of jobs from creation to end; with waiting pools if asked."""
    changes: list[tuple[float, int]] = []
    for job in jobs:
        changes.append((job.created, job.instances))
        if job.terminal:
            changes.append((job.history[-1].at, -job.instances))
        if pools and job.pool is not None:
            changes.append((job.pool.since, job.instances))
            if job.pool.ended is not None:
                changes.append((job.pool.ended, -job.instances))
    most = now = 0
    for _, change in sorted(changes):  # an end comes before a beginning at the same moment
        now += change
        most = max(most, now)
    return most


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What a set of jobs cost."""

    jobs: int
    running: int
    #: Instance-seconds of training, and of pools that waited.
    billable: float
    idle: float
    pools_left: int
    warm_starts: int
    interruptions: int


def bill(jobs: Iterable[Job], now: float) -> Bill:
    jobs = list(jobs)
    return Bill(
        jobs=len(jobs),
        running=sum(not job.terminal for job in jobs),
        billable=sum((job.billable or 0.0) * job.instances for job in jobs),
        idle=sum(job.pool.seconds(now) * job.instances for job in jobs if job.pool),
        pools_left=sum(job.pool is not None and job.pool.ended is None for job in jobs),
        warm_starts=sum(job.warm_from is not None for job in jobs),
        interruptions=sum(moment.secondary == "Interrupted" for job in jobs for moment in job.history),
    )


def violations(jobs: Iterable[Job], *, most: int, attempt: tuple[str, ...], now: float) -> list[str]:
    """What must never be true after an experiment, in words; empty when all is well.

    ``attempt`` names the tags that together identify one attempt; ``most`` is how many instances there may be
    at one time, those of stopping jobs included.
    """
    jobs = list(jobs)
    wrong = [
        f"{count} jobs for one attempt: {dict(zip(attempt, values, strict=True))}"
        for values, count in jobs_by_tags(jobs, *attempt).items()
        if count > 1
    ]
    wrong += [f"{job.name} is still {job.secondary}" for job in jobs if not job.terminal]
    if (used := most_instances(jobs)) > most:
        wrong.append(f"{used} instances at one time, where {most} are allowed")
    if left := bill(jobs, now).pools_left:
        wrong.append(f"{left} warm pools are left")
    return wrong
