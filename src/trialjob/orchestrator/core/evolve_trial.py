"""What an event makes of the one trial that it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, assert_never

from trialjob.errors import InvariantError
from trialjob.model.metric import Objective, Report
from trialjob.model.trial import AttemptStatus, TrialStatus
from trialjob.orchestrator.core import transitions
from trialjob.orchestrator.core.events import (
    AttemptEnded,
    AttemptIntended,
    BillLearned,
    JobEnded,
    JobProgressed,
    JobSilent,
    JobSubmitted,
    LogMatched,
    ReportsRead,
    RetryPlanned,
    RungReached,
    StopIntended,
    SubmitPostponed,
    TrialEnded,
    TrialPaused,
)
from trialjob.orchestrator.core.trial import Attempt, Trial

if TYPE_CHECKING:
    from dataclasses import replace  # for what type checkers know of it
else:
    from trialjob.orchestrator.core.fast_replace import changed as replace

#: What happens to one trial.
TrialEvent: TypeAlias = (
    AttemptIntended
    | JobSubmitted
    | SubmitPostponed
    | JobProgressed
    | ReportsRead
    | LogMatched
    | JobSilent
    | StopIntended
    | JobEnded
    | AttemptEnded
    | BillLearned
    | RetryPlanned
    | TrialPaused
    | TrialEnded
)


def apply_to_trial(trial: Trial, event: TrialEvent, at: float, objective: Objective) -> Trial:
    """The trial after an event of its own that happened at ``at``. Raises InvariantError."""
    match event:
        case AttemptIntended():
            if trial.current is not None or event.attempt != len(trial.attempts) + 1:
                raise InvariantError(f"trial {trial.id} cannot begin attempt {event.attempt}")
            attempt = Attempt(
                number=event.attempt,
                status=AttemptStatus.INTENDED,
                max_runtime=event.max_runtime,
                intended_at=at,
                resource=event.resource,
                terms=event.terms,
            )
            if trial.status is not TrialStatus.RUNNING:
                trial = _with_status(trial, TrialStatus.RUNNING)
            return replace(trial, attempts=(*trial.attempts, attempt), not_before=0.0, reason="")
        case JobSubmitted():
            return _on_attempt(
                trial,
                event.attempt,
                status=AttemptStatus.SUBMITTED,
                adopted=event.adopted,
                submitted_at=at,
            )
        case SubmitPostponed():
            return _on_attempt(trial, event.attempt, postponed_until=event.until, postponed_why=event.reason)
        case JobProgressed():
            return _heard(trial, event.attempt, at, status=event.status)
        case LogMatched():
            matches = (*trial.attempts[event.attempt - 1].matches, event.match)
            return _on_attempt(trial, event.attempt, matches=matches)
        case StopIntended():
            return _on_attempt(trial, event.attempt, stop=event.reason, stop_at=at)
        case JobEnded() | AttemptEnded():
            return _with_end(trial, event)
        case BillLearned():
            return _with_bill(trial, event)
        case ReportsRead() | JobSilent():
            return _with_log(trial, event, at, objective)
        case RetryPlanned():
            return replace(trial, not_before=event.not_before, reason=event.reason)
        case TrialPaused() | TrialEnded():
            status = event.status if isinstance(event, TrialEnded) else TrialStatus.PAUSED
            return replace(_with_status(trial, status), reason=event.reason)
        case _:
            assert_never(event)


def _heard(
    trial: Trial,
    attempt: int,
    at: float,
    *,
    newest: str = "",
    status: AttemptStatus | None = None,
    **changes: object,
) -> Trial:
    """The trial whose job has given a sign of life, with what else that changes."""
    changes |= {"heard_at": at, "silent_at": at, "silences": 0, "newest": newest}
    return _on_attempt(trial, attempt, status=status, **changes)


def _with_log(trial: Trial, event: ReportsRead | JobSilent, at: float, objective: Objective) -> Trial:
    """The trial after what its job has printed, or has not."""
    old = trial.attempts[event.attempt - 1]
    if isinstance(event, ReportsRead):
        count = old.reports + len(event.reports)
        trial = _heard(trial, event.attempt, at, cursor=event.cursor, reports=count)
        return _with_reports(trial, event.reports, objective)
    if event.newest != old.newest:
        return _heard(trial, event.attempt, at, newest=event.newest)
    return _on_attempt(trial, event.attempt, silent_at=at, silences=old.silences + 1)


def _with_end(trial: Trial, event: JobEnded | AttemptEnded) -> Trial:
    known, end = trial.attempts[event.attempt - 1], event.end
    return _on_attempt(
        trial,
        event.attempt,
        status=AttemptStatus.DRAINING if isinstance(event, JobEnded) else AttemptStatus.ENDED,
        end=end,
        may_resume=isinstance(event, JobEnded) and event.may_resume,
        # What has been counted once stays what it was.
        billed=end.seconds if known.billed is None else known.billed,
        pool_billed=end.pool_seconds if known.pool_billed is None else known.pool_billed,
    )


def _with_bill(trial: Trial, event: BillLearned) -> Trial:
    old = trial.attempts[event.attempt - 1]
    if old.end is None:
        raise InvariantError(f"attempt {event.attempt} of trial {trial.id} has not ended and has no bill")
    new = replace(
        old,
        billed=old.billed if event.seconds is None else event.seconds,
        pool_billed=old.pool_billed if event.pool_seconds is None else event.pool_seconds,
    )
    return with_attempt(trial, new)


def with_attempt(trial: Trial, new: Attempt) -> Trial:
    """The trial with one of its attempts replaced."""
    return replace(trial, attempts=(*trial.attempts[: new.number - 1], new, *trial.attempts[new.number :]))


def with_rung(trial: Trial, event: RungReached) -> Trial:
    """The trial with the highest rung that it has entered."""
    if trial.rung is not None and event.rung < trial.rung:
        return trial
    return replace(trial, rung=event.rung, rung_value=event.value)


def _with_status(trial: Trial, status: TrialStatus) -> Trial:
    transitions.check(transitions.TRIAL, trial.status, status, f"trial {trial.id}")
    return replace(trial, status=status)


def _on_attempt(
    trial: Trial, number: int, *, status: AttemptStatus | None = None, **changes: object
) -> Trial:
    current = trial.current
    if current is None or current.number != number:
        raise InvariantError(f"attempt {number} of trial {trial.id} does not run")
    if status is not None and status is not current.status:
        transitions.check(
            transitions.ATTEMPT, current.status, status, f"attempt {number} of trial {trial.id}"
        )
        changes["status"] = status
    return replace(trial, attempts=(*trial.attempts[:-1], replace(current, **changes)))  # type: ignore[arg-type]


def _with_reports(trial: Trial, reports: tuple[Report, ...], objective: Objective) -> Trial:
    standing, resource = trial.standing, trial.resource
    curve = list(trial.curve)
    for report in reports:
        value = report.value(objective)
        if value is not None and (not curve or report.resource > curve[-1][0]):
            curve.append((report.resource, value))
        standing = standing.after(report, objective)
        resource = report.resource if resource is None else max(resource, report.resource)
    return replace(
        trial,
        reports=(*trial.reports, *reports),
        curve=tuple(curve) if len(curve) > len(trial.curve) else trial.curve,
        standing=standing,
        resource=resource,
    )
