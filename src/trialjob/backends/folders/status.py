"""What the status of a job's folder says, in the words of the model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from trialjob.backends.folders.job_folder import Facts, JobFolder
from trialjob.backends.folders.log import tail
from trialjob.model.ids import JobName
from trialjob.model.job import FailureKind, JobEnd, JobSeen, JobState, Outcome
from trialjob.orchestrator.core.failures import kind_of


def state_of(status: Facts | None, *, stopping: bool) -> JobState:
    if stopping:
        return JobState.STOPPING
    return JobState.STARTING if status is None or status["state"] == "starting" else JobState.TRAINING


def end_of(status: Mapping[str, object], folder: JobFolder) -> JobEnd:
    failure, message = status.get("failure"), str(status.get("message", ""))
    code, started, ended = status.get("exit_code"), status.get("started_at"), status.get("ended_at")
    started_at = started if isinstance(started, float) else None
    ended_at = ended if isinstance(ended, float) else None
    known = status.get("seconds")
    seconds = 0.0 if started_at is None or ended_at is None else max(0.0, ended_at - started_at)
    return JobEnd(
        outcome=Outcome(status["outcome"]),
        failure=None if failure is None else _kind(str(failure), message),
        exit_code=code if isinstance(code, int) else None,
        message=message,
        tail="" if failure is None else tail(folder.log),
        started_at=started_at,
        ended_at=ended_at,
        seconds=known if isinstance(known, float) else seconds,
        instances=_count(status.get("nodes"), 1),
        interruptions=_count(status.get("restarts"), 0),
    )


def gone(job: JobName, path: Path) -> JobSeen:
    """What is left to say of a job whose folder was removed."""
    end = JobEnd(outcome=Outcome.FAILED, failure=FailureKind.LOST, message=f"its folder is gone: {path}")
    return JobSeen(job=job, state=JobState.TRAINING, end=end)


def _kind(said: str, message: str) -> FailureKind:
    """The supervisor's word; of what keeps a script from starting the message knows more."""
    kind = FailureKind(said)
    if kind is not FailureKind.SETUP:
        return kind
    known = kind_of(message)
    return kind if known is FailureKind.INTERNAL else known


def _count(found: object, otherwise: int) -> int:
    return found if isinstance(found, int) else otherwise
