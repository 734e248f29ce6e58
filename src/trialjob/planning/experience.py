"""What an earlier experiment tells of the service and of the script: how long starts and stops took there.

Rule: only what was seen several times replaces an assumption, and the middle of it does. It says nothing of
what differs from one script to the next beyond the spreads that are assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from statistics import median
from typing import Final

from trialjob.backends.assumptions import Assumptions
from trialjob.model.job import JobEnd, Outcome
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Attempt, Trial

#: Fewer cases say nothing.
_LEAST: Final = 3


def learned(state: State, assumed: Assumptions) -> Mapping[str, float]:
    """The assumptions that an experiment knows better, by name; in whole seconds."""
    cold, warm = list(_jobs(state, warm=False)), list(_jobs(state, warm=True))
    found: dict[str, float | None] = {
        "cold_start": _middle(_waited, cold),
        "warm_start": _middle(_waited, warm),
        "stop": _less(_middle(_stopping, [*cold, *warm]), assumed.upload),
        **_before_the_first_epoch(_middle(_led, cold), _middle(_led, warm), assumed),
    }
    return {name: float(round(value)) for name, value in found.items() if value is not None}


def with_experience(state: State, assumed: Assumptions) -> tuple[Assumptions, tuple[str, ...]]:
    """``assumed`` with what an experiment knows better, and that as ``NAME=VALUE``."""
    better = learned(state, assumed)
    return replace(assumed, **better), tuple(f"{name}={value:g}" for name, value in better.items())


def _before_the_first_epoch(
    cold: float | None, warm: float | None, assumed: Assumptions
) -> dict[str, float | None]:
    """Both lead up to it: the machine's own part, and the script's, which is the same on a warm one."""
    if warm is not None:
        script = max(0.0, warm - assumed.warm_setup)
        return {"script_start": script, "setup": _less(cold, script)}
    return {"setup": _less(cold, assumed.script_start)}


def _less(value: float | None, part: float) -> float | None:
    return None if value is None else max(0.0, value - part)


#: A trial, one of its attempts, and how that ended.
_Job = tuple[Trial, Attempt, JobEnd]


def _jobs(state: State, *, warm: bool) -> Iterator[_Job]:
    for trial in state.trials:
        for attempt in trial.attempts:
            end = attempt.end
            if end is not None and end.outcome is not Outcome.FAILED and end.reused_pool is warm:
                yield trial, attempt, end


def _middle(figure: Callable[[_Job], float | None], jobs: list[_Job]) -> float | None:
    found = [value for job in jobs if (value := figure(job)) is not None and value >= 0]
    return median(found) if len(found) >= _LEAST else None


def _waited(job: _Job) -> float | None:
    """From its submission until it had its machine."""
    _, attempt, end = job
    if attempt.submitted_at is None or end.started_at is None:
        return None
    return end.started_at - attempt.submitted_at


def _stopping(job: _Job) -> float | None:
    """From the decision to stop it until its end."""
    _, attempt, end = job
    if attempt.stop_at is None or end.ended_at is None or end.outcome is not Outcome.STOPPED:
        return None
    return end.ended_at - attempt.stop_at


def _led(job: _Job) -> float | None:
    """From the start of its machine to that of its first epoch."""
    trial, attempt, end = job
    reports = trial.reports[: attempt.reports]
    if attempt.number != 1 or len(reports) < 2 or end.started_at is None or end.interruptions:  # noqa: PLR2004
        return None
    paces = [
        (after.at - before.at) / (after.resource - before.resource)
        for before, after in pairwise(reports)
        if after.resource > before.resource
    ]
    return reports[0].at - median(paces) * reports[0].resource - end.started_at if paces else None
