"""The trials as rows for the page's table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from trialjob.model.json import Json, is_number
from trialjob.model.metric import Mode
from trialjob.reporting import formatting
from trialjob.reporting.html.columns import finite
from trialjob.reporting.html.context import ReportContext
from trialjob.reporting.rows import Row
from trialjob.reporting.terminal import clean, one_line

_LONGEST = 500
#: Shown also where they are empty: a hyperparameter that no trial has is a fact, too.
_ALWAYS = ("", "trial", "status", "score")
#: What says nothing where all trials have it.
_DULL: Final[dict[str, int]] = {"attempts": 1}
Cell: TypeAlias = Callable[[Row], Json]


def table(given: ReportContext) -> dict[str, Any]:
    """Heads and rows; the browser sorts and filters them."""
    objective = given.state.objective
    heads, cells = _columns(given)
    rows = [[cell(row) for cell in cells] for row in given.rows]
    kept = [
        place
        for place, (key, _name) in enumerate(heads)
        if key in _ALWAYS or any(row[place] not in (None, "", _DULL.get(key)) for row in rows)
    ]
    return {
        "columns": [
            {
                "key": heads[place][0],
                "name": heads[place][1],
                "number": all(row[place] is None or is_number(row[place]) for row in rows),
            }
            for place in kept
        ],
        "rows": [[row[place] for place in kept] for row in rows],
        "best": given.best.id if given.best is not None else None,
        "down": objective.mode is Mode.MAX,
    }


def _columns(given: ReportContext) -> tuple[list[tuple[str, str]], list[Cell]]:
    """Key and name of each column, and what it has of a row; ``more`` of them are shown when asked."""
    objective = given.state.objective
    found: list[tuple[str, str, Cell]] = [
        ("trial", "trial", lambda row: row.trial),
        ("status", "status", lambda row: row.status.replace("_", " ")),
        ("score", clean(objective.metric), lambda row: _shown(row.score)),
        *(("other", clean(goal.metric), _other(goal.metric)) for goal in objective.others),
        *(
            ("metric", clean(name), _metric(name, "at_score"))
            for name in _metrics(given)
            if name not in (objective.metric, *(goal.metric for goal in objective.others))
        ),
        ("resource", clean(objective.resource), lambda row: _shown(row.resource)),
        *(
            ("", clean(name), _config(name))
            for name in dict.fromkeys(name for row in given.rows for name in row.config)
        ),
        *(
            ("more", f"{clean(name)}, {part}", _metric(name, part))
            for name in _metrics(given)
            for part in ("last", "best")
        ),
        ("attempts", "attempts", lambda row: row.attempts),
        ("seconds", "time", lambda row: _shown(row.seconds)),
        ("dollars", "dollars", lambda row: _shown(row.dollars)),
        ("wasted", "wasted dollars", lambda row: _shown(row.wasted_dollars)),
        ("reason", "why", lambda row: one_line(row.reason, _LONGEST) or None),
        ("links", "look", lambda row: dict(row.links) or None),
    ]
    return [(key, name) for key, name, _ in found], [cell for *_, cell in found]


def _metrics(given: ReportContext) -> list[str]:
    return list(dict.fromkeys(name for row in given.rows for name in row.metrics))


def _metric(name: str, part: str) -> Cell:
    return lambda row: _shown(getattr(row.metrics[name], part) if name in row.metrics else None)


def _other(name: str) -> Cell:
    return lambda row: _shown(row.others.get(name))


def _config(name: str) -> Cell:
    return lambda row: _shown(row.config.get(name))


def _shown(value: Json) -> Json:
    """Numbers as numbers, so that they sort as such; everything else as text."""
    if value is None or is_number(value):
        number = value if value is None or isinstance(value, int) else finite(value)
        return str(value) if value is not None and number is None else number
    return formatting.value(value)
