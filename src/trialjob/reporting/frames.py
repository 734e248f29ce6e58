"""The tables of a result as columns and rows: for CSV, and for pandas when it is installed.

Rule: a column that would have the name of another one gets a prefix; nothing is left out or overwritten.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from trialjob.errors import UsageError
from trialjob.model.cells import as_cell
from trialjob.model.json import Json, canonical_json
from trialjob.model.metric import Mode, Objective
from trialjob.orchestrator.core.trial import Trial
from trialjob.reporting.metric_values import MetricValues, direction
from trialjob.reporting.rows import Row

if TYPE_CHECKING:
    import pandas as pd

_BEFORE_CONFIG = ("trial", "status")
#: The columns behind the scores, as they are called in a row.
_AFTER_SCORES = (
    *("resource", "attempts", "proposed_at", "started_at", "ended_at", "seconds", "idle_seconds"),
    *("dollars", "wasted_dollars", "reason", "artifact"),
)
#: What stands behind a metric's name, and the value that the column has.
_KINDS = {"": "at_score", ".last": "last", ".best": "best"}
_NOTHING = MetricValues(at_score=None, last=None, best=None)
_TIMES = frozenset({"proposed_at", "started_at", "ended_at"})
_OF_REPORTS = ("trial", "attempt", "resource", "at")


@dataclass(frozen=True, slots=True)
class Table:
    """Named columns, and rows with a value for each."""

    columns: list[str]
    rows: list[list[Json]]
    #: The columns that are times, in seconds since the epoch.
    times: frozenset[str]
    #: Which way the metrics are better, by their columns.
    better: Mapping[str, Mode] = field(default_factory=dict)

    @property
    def trials(self) -> list[int]:
        """The trials' numbers, in the order of the rows."""
        return [int(str(row[self.columns.index("trial")])) for row in self.rows]

    def records(self) -> list[Json]:
        """An object for each row, for JSON; times as ISO 8601 in UTC."""
        return [
            {
                name: iso(value) if name in self.times else value
                for name, value in zip(self.columns, row, strict=True)
            }
            for row in self.rows
        ]

    def csv(self) -> str:
        """A header and a line for each row; times as ISO 8601 in UTC, and no text that is a formula."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(map(as_cell, self.columns))
        for row in self.rows:
            named = zip(self.columns, row, strict=True)
            writer.writerow(_cell(iso(value) if name in self.times else value) for name, value in named)
        return text.getvalue()

    def frame(self) -> pd.DataFrame:
        """A pandas frame; times as timestamps in UTC. Raises UsageError when pandas is not installed."""
        try:
            import pandas as pd  # noqa: PLC0415 - most users never need it
        except ImportError:
            raise UsageError(
                "a data frame needs pandas, which is not installed\n    → pip install 'trialjob[pandas]'"
            ) from None
        frame = pd.DataFrame(self.rows, columns=pd.Index(self.columns))
        for name in self.times & set(self.columns):
            frame[name] = pd.to_datetime(frame[name], unit="s", utc=True)
        return frame


def trial_table(rows: Sequence[Row], objective: Objective) -> Table:
    """A row for each trial, its hyperparameters between its status and its scores.

    Each metric has a column for its value at the score, and with ``.last`` and ``.best``. A hyperparameter
    named like another column is ``config.<name>``, a metric ``metric.<name>``.
    """
    names = list(dict.fromkeys(name for row in rows for name in row.config))
    goals = [goal.metric for goal in objective.others]
    metrics = dict.fromkeys([*goals, *(name for row in rows for name in row.metrics)])
    columns = [f"{name}{kind}" for name in metrics for kind in _KINDS]
    config, scores = _own_names((*_BEFORE_CONFIG, "score", *_AFTER_SCORES), config=names, metric=columns)
    table: list[list[Json]] = []
    for row in rows:
        found = [row.metrics.get(name, _NOTHING) for name in metrics]
        table.append(
            [
                *(getattr(row, name) for name in _BEFORE_CONFIG),
                *(row.config.get(name) for name in names),
                row.score,
                *(getattr(values, part) for values in found for part in _KINDS.values()),
                *(getattr(row, name) for name in _AFTER_SCORES),
            ]
        )
    modes = {
        column: direction(name, objective)
        for column, name in zip(scores, (name for name in metrics for _ in _KINDS), strict=True)
    }
    better = {"score": objective.mode, **{column: mode for column, mode in modes.items() if mode is not None}}
    return Table([*_BEFORE_CONFIG, *config, "score", *scores, *_AFTER_SCORES], table, _TIMES, better)


def report_table(trials: Iterable[Trial]) -> Table:
    """A row for each report, in the order of the trials and their logs; None where it lacks a metric."""
    reported = [
        (trial.id, attempt, report)
        for trial in trials
        for attempt, report in zip(_attempts(trial), trial.reports, strict=True)
    ]
    metrics = list(dict.fromkeys(name for _, _, report in reported for name in report.metrics))
    rows: list[list[Json]] = [
        [trial, attempt, report.resource, report.at, *(report.metrics.get(name) for name in metrics)]
        for trial, attempt, report in reported
    ]
    (columns,) = _own_names(_OF_REPORTS, metric=metrics)
    return Table([*_OF_REPORTS, *columns], rows, frozenset({"at"}))


def _attempts(trial: Trial) -> Iterable[int]:
    """For each report of a trial the number of the attempt that made it."""
    return (attempt.number for attempt in trial.attempts for _ in range(attempt.reports))


def _own_names(own: Sequence[str], **groups: Sequence[str]) -> list[list[str]]:
    """A column for each name of each group: with the group's prefix where the name is taken."""
    given = {name for names in groups.values() for name in names}
    taken, result = set(own), []
    for prefix, names in groups.items():
        columns = []
        for name in names:
            column = name
            while column in taken or (column != name and column in given):
                column = f"{prefix}.{column}"
            taken.add(column)
            columns.append(column)
        result.append(columns)
    return result


def iso(at: Json) -> str | None:
    """A time in seconds since the epoch as ISO 8601 in UTC."""
    if not isinstance(at, int | float):
        return None
    return datetime.fromtimestamp(at, tz=UTC).isoformat(timespec="milliseconds")


def _cell(value: Json) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return as_cell(value)
    if isinstance(value, float):
        return repr(value)
    return canonical_json(value)
