"""What SLURM's words for a job mean: one table for the states of jobs that are over, one for reasons to wait.

Rule: a reason that an administrator or time may take away is waited for, and shown. Only what will stay as
it is for this very job ends it.
"""

from __future__ import annotations

import re
from typing import Final

from trialjob.backends.folders.job_folder import Facts
from trialjob.backends.slurm.commands import Queued
from trialjob.model.job import FailureKind, Outcome

#: The cgroup's words and the kernel's, in what SLURM prints.
_OUT_OF_MEMORY: Final = re.compile(r"oom[-_ ]?kill|Out ?Of ?Memory|exceeded .*memory limit", re.IGNORECASE)

#: Reasons for which a job will never run, and what to do.
_NEVER: Final[tuple[tuple[str, str], ...]] = (
    (r"^DependencyNeverSatisfied", "take the dependency out of backend.sbatch"),
    (r"^BadConstraints", "no node has all of constraint, gres, memory and cpus_per_task"),
    (r"^(?:InvalidAccount|AccountNotAllowed)", "correct backend.account, or ask for it at the site"),
    (r"^(?:InvalidQOS|QOSNotAllowed)", "correct backend.qos, or ask for it at the site"),
    (r"not permitted to use this partition", "correct backend.partition, backend.account or backend.qos"),
    (r"^PartitionNodeLimit", "lower backend.nodes, or take another partition"),
    (
        r"^(?:QOS|Assoc)Max\w*(?:PerJob|PerNode|WallDuration)|^MaxMemPerLimit",
        "ask for less in backend and limits.trial_timeout, or take another account or QOS",
    ),
    (r"^QOSMin", "ask for more in backend, or take another QOS"),
    (r"^DeadLine", "take the deadline out of backend.sbatch"),
)
#: Reasons that need a person's hand.
_BY_HAND: Final[tuple[tuple[str, str], ...]] = (
    (r"^JobHeldUser", "`scontrol release {number}` lets it go"),
    (r"^JobHeldAdmin", "an administrator holds it; ask at the site, or `trialjob stop` ends it"),
    # Of a job whose least time the partition allows, until the scheduler that shortens others gets to it.
    (r"^PartitionTimeLimit", "if it lasts, lower limits.trial_timeout by some minutes"),
    (r"^(?:PartitionDown|PartitionInactive)", "the partition is down; it starts when that is up again"),
    (
        r"^PartitionConfig",
        "if it lasts, no node of it gives a job so much; `trialjob stop` ends it",
    ),
    # Where slurmctld's own prolog fails, a job is put into the queue again and again, and never begins.
    (
        r"^BeginTime",
        "it was put there again, or begins later; if it lasts, see `scontrol show job {number}` (Restarts)",
    ),
    (r"^(?:ReqNodeNotAvail|NodeDown|Nodes required)", "the nodes that it needs are down or reserved"),
    (
        r"^(?:QOS|Assoc)Grp(?!\w*Run)\w*Minutes",
        "the time of all its jobs is used up; ask at the site",
    ),
    (r"^(?:QOS|Assoc)Grp", "others of the group have it; if none runs, this job asks for more than all may"),
)
_LAUNCH_FAILED: Final = re.compile(
    r"launch failed|^job requeued in held state|^JobHoldMaxRequeue", re.IGNORECASE
)


def hopeless(job: Queued) -> Facts | None:
    """The end of a job that waits for what will never be; None for one that may yet run."""
    if _LAUNCH_FAILED.search(job.reason):
        return _failed(FailureKind.INTERNAL, f"SLURM could not start it on a node: {job.reason}")
    for known, remedy in _NEVER:
        if re.search(known, job.reason):
            return _failed(
                FailureKind.REJECTED, f"it would wait for ever in SLURM's queue ({job.reason}): {remedy}"
            )
    return None


def advice(job: Queued) -> str:
    """What can be done about a wait; "" where it has only to be waited."""
    return next(
        (what.format(number=job.number) for known, what in _BY_HAND if re.search(known, job.reason)), ""
    )


def never_began(job: Queued | None, printed: str) -> Facts:
    """The end of a job that will not run any more, and whose supervisor never got to its folder."""
    match job.state if job else "":
        case "":
            return _failed(FailureKind.LOST, "SLURM knows nothing of it any more, and it had not begun")
        case "CANCELLED":
            return _stopped("cancelled in SLURM's queue by somebody else (scancel)")
        case "FAILED" | "COMPLETED" | "OUT_OF_MEMORY":
            said = printed.strip().splitlines()[-1:]
            if (
                not said
            ):  # a slurmctld that gave a number out again may start no job of it: "credential revoked"
                return _failed(
                    FailureKind.LOST, "SLURM ended it before it began; `trialjob doctor` tries one"
                )
            message = f"our own code did not start on the node: {said[0].strip()}; `trialjob doctor` tries it"
            return _failed(FailureKind.SETUP, message)
        case "DEADLINE" | "TIMEOUT":
            return _failed(FailureKind.INTERNAL, "SLURM ended it at a time limit before it had begun")
        case state:
            return _failed(FailureKind.LOST, f"SLURM ended it before it had begun: {state}")


def broken_off(job: Queued | None, printed: str) -> Facts:
    """The end of a job that has run and left no word of its own about its end."""
    state = job.state if job else ""
    if state == "OUT_OF_MEMORY" or (_OUT_OF_MEMORY.search(printed) and state != "CANCELLED"):
        return _failed(FailureKind.OUT_OF_MEMORY, "killed by SLURM: out of memory (backend.memory)")
    match state:
        case "TIMEOUT" | "DEADLINE":
            message = "SLURM ended it at a time limit of the job or its partition"
            return {"outcome": Outcome.TIMED_OUT.value, "message": message}
        case "CANCELLED":
            return _stopped("cancelled in SLURM by somebody else (scancel, or an administrator)")
        case "PREEMPTED":
            return _failed(FailureKind.CAPACITY, "preempted in SLURM, and not put into the queue again")
        case "NODE_FAIL" | "BOOT_FAIL":
            return _failed(FailureKind.LOST, "its node failed")
        case "":
            return _failed(
                FailureKind.LOST, "SLURM knows nothing of it any more, and it shows no sign of life"
            )
        case _:
            return _failed(FailureKind.LOST, f"it was killed on its node (SLURM says {state})")


def _failed(kind: FailureKind, message: str) -> Facts:
    return {"outcome": Outcome.FAILED.value, "failure": kind.value, "message": message}


def _stopped(message: str) -> Facts:
    return {"outcome": Outcome.STOPPED.value, "message": message}
