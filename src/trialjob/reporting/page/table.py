"""The trials as rows for the page's table."""

from __future__ import annotations

from typing import Any

from trialjob.model.json import Json
from trialjob.model.metric import Mode
from trialjob.reporting import words
from trialjob.reporting.page.columns import finite
from trialjob.reporting.page.material import Material
from trialjob.reporting.results import Row
from trialjob.reporting.terminal import clean, one_line

_LONGEST = 500


def table(given: Material) -> dict[str, Any]:
    """Heads and rows; the browser sorts and filters them."""
    objective = given.state.objective
    names = list(dict.fromkeys(name for row in given.rows for name in row.config))
    before = [("trial", "trial"), ("status", "status"), ("score", clean(objective.metric))]
    between = [("resource", clean(objective.resource))]
    others = [aim.metric for aim in objective.others]
    before += [("other", clean(metric)) for metric in others]
    hyperparameters = [("", clean(name)) for name in names]
    after = [
        ("attempts", "attempts"),
        ("seconds", "paid seconds"),
        ("dollars", "dollars"),
        ("wasted", "wasted dollars"),
        ("reason", "why"),
    ]
    rows = [_cells(row, names, others) for row in given.rows]
    heads = [*before, *between, *hyperparameters, *after]
    kept = [
        place
        for place, (key, _name) in enumerate(heads)
        if not key or key in ("trial", "status", "score") or any(row[place] not in (None, "") for row in rows)
    ]
    return {
        "columns": [
            {
                "key": heads[place][0],
                "name": heads[place][1],
                "number": all(row[place] is None or _is_number(row[place]) for row in rows),
            }
            for place in kept
        ],
        "rows": [[row[place] for place in kept] for row in rows],
        "best": given.best.id if given.best is not None else None,
        "down": objective.mode is Mode.MAX,
    }


def _cells(row: Row, names: list[str], others: list[str]) -> list[Json]:
    return [
        row.trial,
        row.status.replace("_", " "),
        _shown(row.score),
        *(_shown(row.others.get(metric)) for metric in others),
        _shown(row.resource),
        *(_shown(row.config.get(name)) for name in names),
        row.attempts,
        _shown(row.seconds),
        _shown(row.dollars),
        _shown(row.wasted_dollars),
        one_line(row.reason, _LONGEST) or None,
    ]


def _shown(value: Json) -> Json:
    """Numbers as numbers, so that they sort as such; everything else as text."""
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        number = value if value is None or isinstance(value, int) else finite(value)
        return str(value) if value is not None and number is None else number
    return words.value(value)


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
