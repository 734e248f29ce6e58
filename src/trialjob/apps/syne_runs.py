"""A trial of Syne Tune's as jobs of ours, and where each of them stands in Syne Tune's words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from syne_tune.backend.trial_status import Status

from trialjob.model.ids import JobName
from trialjob.model.job import JobEnd, Outcome

if TYPE_CHECKING:
    from trialjob.model.metric import Report
    from trialjob.orchestrator.ports import LogReader


@dataclass(slots=True, kw_only=True)
class Run:
    """One job of a trial; a trial that was paused and resumed has several."""

    trial: int
    job: JobName
    config: dict[str, Any]
    reader: LogReader
    #: The trial whose checkpoints it begins with.
    source: int | None = None
    submitted: bool = False
    #: It was asked for without an answer, so it may run.
    in_doubt: bool = False
    #: What the tuner wants of it: Stopped or Paused.
    asked: str = ""
    stop_sent: bool = False
    cursor: str = ""
    #: How it ended, in Syne Tune's words.
    ended: str = ""
    end: JobEnd | None = None
    why: str = ""
    #: The tuner has been given what the job reported last, before it is told that it was stopped.
    tail_given: bool = True


@dataclass(slots=True, kw_only=True)
class TunedTrial:
    config: dict[str, Any]
    runs: list[Run] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)


def result_of(report: Report) -> dict[str, Any]:
    return {"epoch": report.resource, **report.metrics}


def end_run(run: Run, how: str) -> bool:
    """Have a run ended. When others stopped it Syne Tune hides the last reports, so it learns that later."""
    run.ended = how
    run.tail_given = bool(run.asked) or how != Status.stopped
    return True


def outcome_of(run: Run, end: JobEnd) -> str:
    if run.asked:
        return run.asked
    match end.outcome:
        case Outcome.COMPLETED:
            return str(Status.completed)
        case Outcome.FAILED:
            return str(Status.failed)
        case _:
            return str(Status.stopped)


def status_of(run: Run) -> str:
    if run.ended:
        return run.ended if run.tail_given else str(Status.in_progress)
    if run.asked == Status.stopped:
        return str(Status.stopping)
    return run.asked or str(Status.in_progress)
