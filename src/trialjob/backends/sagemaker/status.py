"""What the service says of a job, in the words of the model. Pure.

Rule 1: a status we do not know is a value, not an error; a job is over only when the service says so in a
word we know. Rule 2: what the service leaves out is None, never zero.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from trialjob.model.job import Bill, FailureKind, JobEnd, JobState, Outcome
from trialjob.orchestrator.core.failures import Reasons, kind_of

#: What the service's FailureReason stands for, a custom of it and no contract: regular expressions by kind.
#: The order in which kinds are asked is that of ``core.failures``.
REASONS: Final[Reasons] = {
    FailureKind.CAPACITY: (r"^CapacityError",),
    FailureKind.SPOT: (r"^MaxWaitTimeExceeded",),
    FailureKind.INTERNAL: (r"^InternalServerError",),
    FailureKind.IMAGE: (
        r"^ClientError.*(?i:pull|requested image|algorithm container|repository of your image)",
    ),
    FailureKind.ACCESS: (
        r"^ClientError.*(?i:access ?denied|forbidden|not authorized|\b403\b|kms|credentials)",
        r"^ClientError.*(?i:does not have (?:permission|access)|unable to access)",
    ),
    FailureKind.INPUT: (
        r"^ClientError.*(?i:download|no s3 objects|nosuch|upload|does not exist|manifest|s3 key)",
    ),
    FailureKind.SETUP: (r"^AlgorithmError: entry point '", r"^ClientError"),
    FailureKind.USER_CODE: (r"^AlgorithmError",),
}

#: An answer of DescribeTrainingJob, or a row of ListTrainingJobs.
Facts = Mapping[str, Any]

TERMINAL: Final = frozenset({"Completed", "Failed", "Stopped"})
_TRAINING: Final = frozenset({"Training", "Uploading", "Interrupted"})
#: What a job with instances goes through, and what one without may say.
_LAUNCHED: Final = frozenset(
    {
        "Downloading",
        "Training",
        "Uploading",
        "Interrupted",
        "Restarting",
        "Updating",
        "DownloadingTrainingImage",
    }
)
_KNOWN: Final = frozenset(
    {"Starting", "Pending", "Stopping", "Stopped", "Failed", "MaxWaitTimeExceeded", "LaunchingMLInstances"}
)
_PLAIN: Final = frozenset({("Completed", "Completed"), ("Stopped", "Stopped")})
#: What must be told of an ended job, and what may be; nothing else checks what a search shows.
_TOLD: Final[Mapping[str, type[Any]]] = {
    "StoppingCondition": Mapping, "ResourceConfig": Mapping, "SecondaryStatus": str, "CreationTime": datetime,
    "TrainingStartTime": datetime, "TrainingEndTime": datetime, "BillableTimeInSeconds": int,
}  # fmt: skip
_MAY_BE_TOLD: Final[Mapping[str, type[Any]]] = {
    "FailureReason": str, "WarmPoolStatus": Mapping, "TrainingTimeInSeconds": int,
    "SecondaryStatusTransitions": list,
}  # fmt: skip
#: Of a launch after an interruption they are said, too.
_BEFORE: Final = frozenset({
    "Starting", "Pending", "LaunchingMLInstances", "PreparingTrainingStack", "Downloading",
    "DownloadingTrainingImage",
})  # fmt: skip
_STOPPING: Final = frozenset({"Stopping", "Stopped", "MaxRuntimeExceeded", "MaxWaitTimeExceeded"})

_EXIT_CODE: Final = re.compile(r"exit (?:code|status)[: ]+(-?\d+)|ExitCode[: ]+(-?\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFacts:
    """The cluster that a job left behind, kept warm."""

    #: ``InUse``, ``Available``, ``Reused``, ``Terminated``, or a word of a later day.
    status: str
    #: Seconds it waited so far, which are paid for.
    idle: float | None = None
    reused_by: str | None = None

    @property
    def is_kept(self) -> bool:
        """It waits for the next job, or will as soon as the service is done with the last one."""
        return self.status in {"InUse", "Available"}


def is_over(facts: Facts) -> bool:
    return facts.get("TrainingJobStatus") in TERMINAL


def tells_its_end(row: Facts) -> bool:
    """Whether a row of a list says how a job ended: by itself and well, or as it was asked to."""
    ends = (row.get("TrainingJobStatus"), row.get("SecondaryStatus"))
    return ends in _PLAIN and row.get("TrainingEndTime") is not None


def is_settled(facts: Facts) -> bool:
    """Whether what is told of an ended job is all that a description has, and that it must have."""
    return (
        is_over(facts)
        and all(isinstance(facts.get(name), kind) for name, kind in _TOLD.items())
        and all(isinstance(facts.get(name), kind | None) for name, kind in _MAY_BE_TOLD.items())
        and facts["BillableTimeInSeconds"] >= 0
        # Of several machines only a description says for certain which it was.
        and ("InstancePreferences" in facts["ResourceConfig"])
        <= ("SelectedInstanceType" in facts["ResourceConfig"])
    )


def state_of(facts: Facts, *, has_lines: bool = False) -> JobState:
    """Where a job stands. Lists may not tell its second status; lines in its log say that it trains."""
    status, second = facts.get("TrainingJobStatus"), facts.get("SecondaryStatus")
    if status == "Stopping" or second in _STOPPING:
        return JobState.STOPPING
    return JobState.TRAINING if second in _TRAINING or has_lines or is_over(facts) else JobState.STARTING


def waits_for_machine(facts: Facts) -> bool:
    """True only when a list says that its code has not begun: it cannot have printed a line."""
    return not is_over(facts) and facts.get("SecondaryStatus") in _BEFORE


def should_print(facts: Facts) -> bool:
    """False when the code of a job is known not to run: it has ended, or there is no machine."""
    return not is_over(facts) and facts.get("SecondaryStatus") not in {"Uploading", "Interrupted"}


def end_of(facts: Facts, tail: str = "", *, reused_pool: bool = False) -> JobEnd | None:
    """How a described job ended; None while it has not. ``tail`` is the end of its log."""
    status, second = facts.get("TrainingJobStatus"), facts.get("SecondaryStatus")
    if not is_over(facts):
        return None
    reason = str(facts.get("FailureReason") or "")
    failure, outcome = None, Outcome.COMPLETED
    if status == "Failed":
        outcome, failure = Outcome.FAILED, kind_of(reason, exit_code(reason), services=REASONS)
    elif second == "MaxWaitTimeExceeded":
        outcome, failure = Outcome.FAILED, FailureKind.SPOT
        reason = reason or "MaxWaitTimeExceeded: no spot capacity within spot.max_wait"
    elif second == "MaxRuntimeExceeded":
        outcome = Outcome.TIMED_OUT
    elif status == "Stopped":
        outcome = Outcome.STOPPED
    return JobEnd(
        outcome=outcome,
        failure=failure,
        exit_code=exit_code(reason) if failure is not None else None,
        message=reason,
        tail=tail if failure is not None else _brief(tail) if outcome is Outcome.COMPLETED else "",
        started_at=seconds_of(facts.get("TrainingStartTime")),
        ended_at=seconds_of(facts.get("TrainingEndTime") or facts.get("LastModifiedTime")),
        seconds=billed_seconds(facts),
        instances=instances(facts) or 1,
        interruptions=interruptions(facts),
        pool_until=pool_until(facts),
        reused_pool=reused_pool,
        pool_seconds=_pool_seconds(facts),
        training_seconds=_number(facts.get("TrainingTimeInSeconds")),
        machine=str((facts.get("ResourceConfig") or {}).get("SelectedInstanceType") or ""),
    )


def _brief(tail: str) -> str:
    """Enough to see why a job that ended well made no reports, and no burden for the journal otherwise."""
    return "\n".join(tail.splitlines()[-5:])[-1000:]


def exit_code(reason: str) -> int | None:
    """The container's exit code, when a FailureReason names one; the last one named is its own."""
    found = _EXIT_CODE.findall(reason)
    return int(found[-1][0] or found[-1][1]) if found else None


def pool_of(facts: Facts) -> PoolFacts | None:
    """The warm pool that a job holds or has left; None when there is none."""
    pool = facts.get("WarmPoolStatus")
    if not pool:
        return None
    return PoolFacts(
        status=str(pool.get("Status", "")),
        idle=_number(pool.get("ResourceRetainedBillableTimeInSeconds")),
        reused_by=pool.get("ReusedByJob"),
    )


def billed_seconds(facts: Facts) -> float | None:
    """Seconds that are paid for on each instance of an ended job; None when the service does not tell.

    A failed job may lack BillableTimeInSeconds. It is billed from TrainingStartTime to TrainingEndTime
    (DescribeTrainingJob API reference), on spot capacity less; and one that never had its instances is not.
    """
    billed = _number(facts.get("BillableTimeInSeconds"))
    if billed is not None:
        return billed
    started, ended = seconds_of(facts.get("TrainingStartTime")), seconds_of(facts.get("TrainingEndTime"))
    if started is not None and ended is not None:
        return max(0.0, ended - started)
    return None if started is not None or was_launched(facts) else 0.0


def was_launched(facts: Facts) -> bool:
    """False only when the service has told the whole story of a job and it never had its instances."""
    story = {row.get("Status") for row in facts.get("SecondaryStatusTransitions") or ()}
    return not story or not story.isdisjoint(_LAUNCHED) or not story <= _KNOWN


def _pool_seconds(facts: Facts) -> float | None:
    """Seconds that a pool waited, once it waits no more. That there is none may only not be told yet."""
    pool = pool_of(facts)
    if pool is not None:
        return None if pool.is_kept else pool.idle
    # Not by what was asked alone: to end a pool is to ask for 0 seconds of it. A row does not say what was.
    may_have = "ResourceConfig" not in facts or asks_for_pool(facts)
    return None if may_have and was_launched(facts) else 0.0


def bill_of(facts: Facts, *, pool_is_final: bool) -> Bill:
    """What an ended job cost, as far as it is known.

    ``pool_is_final``: so long after the job's end that a pool of which nothing is said was never kept.
    """
    never_kept = pool_is_final and pool_of(facts) is None
    return Bill(seconds=billed_seconds(facts), pool_seconds=0.0 if never_kept else _pool_seconds(facts))


def asks_for_pool(facts: Facts) -> bool:
    """True when the job asked for its instances to be kept."""
    return bool((facts.get("ResourceConfig") or {}).get("KeepAlivePeriodInSeconds"))


def pool_until(facts: Facts, asked: float | None = None) -> float | None:
    """Until when the pool behind an ended job waits, in seconds since the epoch.

    A row of a list does not say for how long it was asked for.
    """
    pool, end = pool_of(facts), facts.get("TrainingEndTime") or facts.get("LastModifiedTime")
    keep_alive = (facts.get("ResourceConfig") or {}).get("KeepAlivePeriodInSeconds", asked)
    if pool is None or not pool.is_kept or end is None or keep_alive is None:
        return None
    return (seconds_of(end) or 0.0) + float(keep_alive)


def lost_its_pool(facts: Facts) -> bool:
    """True when a job that ended well asked for a warm pool and none was kept: a sign of a zero quota."""
    if not asks_for_pool(facts) or facts.get("TrainingJobStatus") != "Completed":
        return False
    pool = pool_of(facts)
    return pool is None or (pool.status == "Terminated" and not pool.idle)


def interruptions(facts: Facts) -> int:
    """How often spot capacity was taken away from it."""
    return sum(row.get("Status") == "Interrupted" for row in facts.get("SecondaryStatusTransitions") or ())


def instances(facts: Facts) -> int | None:
    """By how many machines its seconds are to be multiplied."""
    resources = facts.get("ResourceConfig") or {}
    groups = resources.get("InstanceGroups") or ()
    count = resources.get("SelectedInstanceCount") or resources.get("InstanceCount")
    return int(count) if count else sum(int(group["InstanceCount"]) for group in groups) or None


def seconds_of(moment: datetime | float | None) -> float | None:
    return moment.timestamp() if isinstance(moment, datetime) else _number(moment)


def _number(value: float | None) -> float | None:
    return None if value is None or value < 0 else float(value)
