"""Which rows and columns of a table are shown, and in which order."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from trialjob.errors import UsageError
from trialjob.model.json import Json, canonical_json, is_number
from trialjob.model.metric import Mode
from trialjob.reporting.frames import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is to be shown of a table."""

    #: A column, of metrics the best first; with ``-`` before it the other way round.
    sort: str | None = None
    #: So many rows at most; by score where no ``sort`` is given.
    top: int | None = None
    #: These columns in this order; none for all.
    columns: tuple[str, ...] = ()
    #: The trials among which is chosen; None for all.
    trials: frozenset[int] | None = None


def chosen(table: Table, choice: Choice) -> Table:
    """The part of ``table`` that is asked for. Raises UsageError for a column that it does not have."""
    rows = table.rows
    if choice.trials is not None:
        rows = [row for row, trial in zip(rows, table.trials, strict=True) if trial in choice.trials]
    sort = choice.sort or ("score" if choice.top is not None else None)
    if sort is not None:
        rows = _sorted(table, rows, sort)
    table = replace(table, rows=rows[: choice.top])
    return _only(table, choice.columns) if choice.columns else table


def _only(table: Table, columns: Sequence[str]) -> Table:
    places = [_place(table, column, "--columns") for column in columns]
    rows = [[row[place] for place in places] for row in table.rows]
    return replace(table, columns=[table.columns[place] for place in places], rows=rows)


def _place(table: Table, column: str, option: str) -> int:
    if column not in table.columns:
        known = ", ".join(table.columns)
        close = difflib.get_close_matches(column, table.columns, n=1)
        remedy = f"did you mean {close[0]!r}? " if close else ""
        raise UsageError(f"{option}: there is no column {column!r}\n    → {remedy}There is: {known}")
    return table.columns.index(column)


def _sorted(table: Table, rows: Iterable[list[Json]], sort: str) -> list[list[Json]]:
    turned = sort.startswith("-") and sort not in table.columns
    column = sort[1:] if turned else sort
    place = _place(table, column, "--sort")
    down = (table.better.get(column) is Mode.MAX) != turned
    known = [row for row in rows if _is_known(row[place])]
    unknown = [row for row in rows if not _is_known(row[place])]
    # Stable in both directions: of equals the earlier trial comes first.
    ordered = sorted(known, key=lambda row: _key(row[place], down=down))
    return [*ordered, *unknown]


def _is_known(value: Json) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def _key(value: Json, *, down: bool) -> tuple[int, float, tuple[int, ...]]:
    """Numbers before texts."""
    sign = -1 if down else 1
    if is_number(value):
        return (0, sign * float(value), ())
    text = value if isinstance(value, str) else canonical_json(value)
    return (1, 0.0, (*(sign * ord(letter) for letter in text), sign * -1))
