"""When a job is taken for hung: it trains, and has given no sign of life for ``limits.stall_timeout``. Pure.

Rule 1: silence is counted in parts, each an event (JobSilent) of its own. A process that makes one step and
exits knows as much as one that stays; and a clock that is set, a laptop that sleeps, or an hour in which no
log could be read counts for one part at most, whatever it lasted.
Rule 2: a look counts only when the log could be read, and only while the job trains: no machine, no image and
no data are waited for, nothing is being uploaded.
Rule 3: ``auto`` follows the trials that have completed: ten times the longest that one of them went without a
report, and half an hour at least. Before one has, nothing is known, and nothing is stopped. And when all that
train are silent, it may be the log that is, so it waits for a sign of life of another one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Final

from trialjob.model.durations import format_duration
from trialjob.model.job import FailureKind, JobEnd, Outcome
from trialjob.model.trial import AttemptStatus, StopKind, StopReason
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Attempt, Trial

#: So many parts of silence in a row are too much.
PARTS: Final = 4
#: What ``auto`` makes of the longest silence that a healthy trial has shown, and its least, in seconds.
MULTIPLE: Final = 10.0
SHORTEST: Final = 1800.0


def timeout_of(state: State) -> float | None:
    """Seconds of silence after which a job is stopped; None when none is, or not yet."""
    match state.limits.stall_timeout:
        case "auto":
            longest = state.longest_silence
            return None if longest is None else max(SHORTEST, MULTIPLE * longest)
        case "none" | None:
            return None
        case seconds:
            return seconds


def silences(trial: Trial) -> Iterator[float]:
    """How long the jobs of a trial that has completed went without a report.

    Failures are left out, and jobs that were interrupted, as they waited for another machine.
    """
    place = 0
    for attempt in trial.attempts:
        reports = trial.reports[place : place + attempt.reports]
        place += attempt.reports
        end = attempt.end
        if end is not None and end.outcome is not Outcome.FAILED and not end.interruptions:
            times = [end.started_at, *(report.at for report in reports), end.ended_at]
            yield from (after - before for before, after in pairwise(at for at in times if at is not None))


def next_part(state: State, attempt: Attempt, behind: float = 0.0) -> float:
    """When one more part of silence of a job will have passed, unless it is heard before; inf for never."""
    timeout = timeout_of(state)
    listens = attempt.status is AttemptStatus.TRAINING and attempt.stop is None
    if timeout is None or attempt.silent_at is None or not listens:
        return math.inf
    return attempt.silent_at + (timeout + behind) / PARTS


def is_silent(state: State, attempt: Attempt, now: float, behind: float) -> bool:
    """True when one more part has passed; the line that was printed last may be news all the same."""
    return now >= next_part(state, attempt, behind)


def verdict(state: State, trial: Trial) -> StopReason | None:
    """Why the job of ``trial`` is to be stopped now; None when it is not."""
    live, timeout = trial.live, timeout_of(state)
    if live is None or timeout is None or live.silences < PARTS or _may_be_the_log(state, live):
        return None
    detail = f"no line and no report for {format_duration(timeout)} (limits.stall_timeout)"
    return StopReason(kind=StopKind.STALLED, detail=detail)


def _may_be_the_log(state: State, silent: Attempt) -> bool:
    if state.limits.stall_timeout != "auto":
        return False
    others = [
        live
        for trial in state.live_trials()
        if (live := trial.live) is not None and live is not silent and live.status is AttemptStatus.TRAINING
    ]
    since = silent.heard_at or 0.0
    return bool(others) and not any(
        (live.reports or live.newest) and (live.heard_at or 0.0) > since for live in others
    )


def stays(attempt: Attempt) -> bool:
    """True when a job is being stopped for something that it cannot make good by going on."""
    return attempt.stop is not None and attempt.stop.kind is not StopKind.STALLED


def as_ended(attempt: Attempt, end: JobEnd) -> tuple[Attempt, JobEnd]:
    """A job and its end; one that was stopped for its silence has failed, unless it came to its end first."""
    stop = attempt.stop
    if stop is None or stop.kind is not StopKind.STALLED:
        return attempt, end
    if end.outcome is not Outcome.COMPLETED and end.outcome is not Outcome.TIMED_OUT:
        end = replace(end, outcome=Outcome.FAILED, failure=FailureKind.STALLED, message=stop.detail)
    return replace(attempt, stop=None), end
