"""A result as a piece of HTML, for notebooks. Every text of others is escaped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from trialjob.model.metric import Objective
from trialjob.reporting import formatting
from trialjob.reporting.rows import Row

_MOST = 10


def page_of(
    *,
    name: str,
    where: str,
    best: Row | None,
    rows: Sequence[Row],
    objective: Objective,
    warnings: Sequence[str],
) -> str:
    """A heading, where it stands, the best configuration, warnings, and the best trials as a table."""
    parts = [f"<p><b>{escape(name)}</b> {escape(where)}, {len(rows)} trials</p>"]
    if best is not None:
        parts.append(
            f"<p><b>best</b>: trial {best.trial}, {formatting.number(best.score)}<br>"
            f"<code>{escape(formatting.configuration(best.config))}</code></p>"
        )
    parts += [f"<p>⚠ {escape(warning)}</p>" for warning in warnings]
    scored = [row for row in rows if row.score is not None and not math.isnan(row.score)]
    if scored:
        parts.append(_table(_best_first(objective, scored)[:_MOST]))
    return "".join(parts)


def _best_first(objective: Objective, rows: Sequence[Row]) -> list[Row]:
    key = objective.key
    return sorted(rows, key=lambda row: (-key(row.score or 0.0), row.trial))


def _table(rows: Sequence[Row]) -> str:
    others = list(dict.fromkeys(name for row in rows for name in row.others))
    heads = ["trial", "status", "score", *others, "configuration"]
    body = [
        [
            str(row.trial),
            row.status,
            formatting.number(row.score),
            *(formatting.number(row.others.get(name)) for name in others),
            formatting.configuration(row.config),
        ]
        for row in rows
    ]
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    lines = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in body)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"
