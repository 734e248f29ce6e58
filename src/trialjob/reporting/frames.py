"""The tables of a result as columns and rows: for CSV, and for pandas when it is installed.

Rule: a column that would have the name of another one gets a prefix; nothing is left out or overwritten.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from trialjob.errors import UsageError
from trialjob.model.cells import as_cell
from trialjob.model.json import Json, canonical_json
from trialjob.orchestrator.core.trial import Trial

if TYPE_CHECKING:
    import pandas as pd

    from trialjob.reporting.results import Row

_BEFORE_CONFIG = ("trial", "status")
#: The columns behind the scores, as they are called in a row.
_AFTER_SCORES = (
    *("resource", "attempts", "proposed_at", "started_at", "ended_at", "seconds", "idle_seconds"),
    *("dollars", "wasted_dollars", "reason", "artifact"),
)
_TIMES = frozenset({"proposed_at", "started_at", "ended_at"})
_OF_REPORTS = ("trial", "attempt", "resource", "at")


@dataclass(frozen=True, slots=True)
class Table:
    """Named columns, and rows with a value for each."""

    columns: list[str]
    rows: list[list[Json]]
    #: The columns that are times, in seconds since the epoch.
    times: frozenset[str]

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
        for name in self.times:
            frame[name] = pd.to_datetime(frame[name], unit="s", utc=True)
        return frame


def trial_table(rows: Sequence[Row], metrics: Sequence[str]) -> Table:
    """A row for each trial, its hyperparameters between its status and its scores.

    A hyperparameter named like another column is ``config.<name>``, a further objective ``metric.<name>``.
    """
    names = list(dict.fromkeys(name for row in rows for name in row.config))
    config, further = _own_names((*_BEFORE_CONFIG, "score", *_AFTER_SCORES), config=names, metric=metrics)
    table: list[list[Json]] = []
    for row in rows:
        before = [getattr(row, name) for name in _BEFORE_CONFIG]
        values = [row.config.get(name) for name in names]
        scores = [row.score, *(row.others.get(name) for name in metrics)]
        table.append([*before, *values, *scores, *(getattr(row, name) for name in _AFTER_SCORES)])
    return Table([*_BEFORE_CONFIG, *config, "score", *further, *_AFTER_SCORES], table, _TIMES)


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
