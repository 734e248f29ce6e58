"""One trial as a row of the results.

Rule: what is not known is None, never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trialjob.model.job import JobEnd
from trialjob.model.json import Json
from trialjob.model.metric import Objective
from trialjob.orchestrator.core.best import ended_at
from trialjob.orchestrator.core.costs import cost_of
from trialjob.orchestrator.core.trial import Trial
from trialjob.reporting.metric_values import MetricValues, metrics_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One trial in the results."""

    trial: int
    status: str
    #: The hyperparameters that were searched, constants excluded.
    config: Mapping[str, Json]
    #: The objective's value that counts; None when there is none.
    score: float | None
    #: The values of the further objectives that go with it, by metric.
    others: Mapping[str, float | None]
    #: The largest resource reported (epochs, steps).
    resource: float | None
    attempts: int
    #: Seconds since the epoch. It starts with its first job, and has ended once its status is final.
    proposed_at: float
    started_at: float | None
    ended_at: float | None
    #: Seconds that are paid for, over all attempts; None while one of them is not known.
    seconds: float | None
    #: Seconds that machines were kept warm behind its jobs, which are paid for too.
    idle_seconds: float | None
    #: What all that cost, and how much of it was of no use; None while a part of it is not known.
    dollars: float | None
    wasted_dollars: float | None
    #: Why the trial has its status.
    reason: str
    #: Where the model of its newest job is, if it left one: a folder or an archive.
    artifact: str | None = None
    #: Every metric that it reported: its value at the score, its last and its best one.
    metrics: Mapping[str, MetricValues] = field(default_factory=dict)
    #: Where its newest job can be looked at in a browser, such as ``console`` and ``logs``.
    links: Mapping[str, str] = field(default_factory=dict)


def whole_row(trial: Trial, objective: Objective) -> Row:
    """The row of one trial with all of its metrics, for which every report is looked at."""
    return _row(trial, objective, metrics_of(trial, objective))


def row_of(trial: Trial, objective: Objective) -> Row:
    """The row of one trial, without its ``metrics``."""
    return _row(trial, objective, {})


def _row(trial: Trial, objective: Objective, metrics: Mapping[str, MetricValues]) -> Row:
    ends, cost = [attempt.end for attempt in trial.attempts], cost_of(trial, objective)
    return Row(
        trial=trial.id,
        status=trial.status.value,
        config=dict(trial.config),
        score=trial.score,
        others={
            goal.metric: trial.others[place] if trial.others else None
            for place, goal in enumerate(objective.others)
        },
        resource=trial.resource,
        attempts=len(ends),
        proposed_at=trial.proposed_at,
        started_at=trial.attempts[0].intended_at if trial.attempts else None,
        ended_at=ended_at(trial),
        seconds=cost.seconds,
        idle_seconds=cost.idle_seconds,
        dollars=cost.dollars,
        wasted_dollars=cost.wasted_dollars,
        reason=_first_line(trial.reason or _failure(ends)),
        metrics=metrics,
    )


def _failure(ends: list[JobEnd | None]) -> str:
    last = ends[-1] if ends else None
    return last.message if last is not None and last.failure is not None else ""


def _first_line(text: str) -> str:
    """A failure's reason carries the end of its log behind the first line; a row has no room for it."""
    return text.split("\n", 1)[0]
