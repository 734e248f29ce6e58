"""What the trials cost, by what became of them."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

from trialjob.model.trial import TrialStatus
from trialjob.reporting import words
from trialjob.reporting.page.material import Material
from trialjob.reporting.results import Row

Figure: TypeAlias = dict[str, Any]

_COLOURS = {
    TrialStatus.COMPLETED: "#3b7dd8",
    TrialStatus.PRUNED: "#8a94a6",
    TrialStatus.FAILED: "#d64545",
    TrialStatus.METRICS_UNAVAILABLE: "#d64545",
    TrialStatus.CANCELLED: "#b9a7d9",
}


def _by_status(given: Material) -> dict[TrialStatus, list[Row]]:
    found: dict[TrialStatus, list[Row]] = {}
    for trial, row in zip(given.trials, given.rows, strict=True):
        found.setdefault(trial.status, []).append(row)
    return {status: found[status] for status in TrialStatus if status in found}


def cost_variants(given: Material) -> list[tuple[str, Figure]]:
    """Dollars and paid time by what became of the trials; what nobody knows is left out."""
    rows = _by_status(given)
    dollars = {status: math.fsum(row.dollars or 0.0 for row in rows[status]) for status in rows}
    hours = {status: math.fsum(row.seconds or 0.0 for row in rows[status]) / 3600 for status in rows}
    found = []
    if any(dollars.values()):
        found.append(("dollars", _figure(dollars, "dollars", rows)))
    if any(hours.values()):
        found.append(("hours", _figure(hours, "hours paid for", rows)))
    return found


def _figure(amounts: dict[TrialStatus, float], title: str, rows: dict[TrialStatus, list[Row]]) -> Figure:
    shown = [status for status in reversed(amounts) if amounts[status] > 0]
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": [float(f"{amounts[status]:.6g}") for status in shown],
        "y": [status.value.replace("_", " ") for status in shown],
        "text": [f"{words.several(len(rows[status]), 'trial')}" for status in shown],
        "marker": {"color": [_COLOURS.get(status, "#1fa37a") for status in shown]},
        "hovertemplate": "%{y}: %{x} (%{text})<extra></extra>",
    }
    layout: Figure = {
        "xaxis": {"title": {"text": title}},
        "yaxis": {"type": "category", "automargin": True},
        "height": 120 + 42 * len(shown),
    }
    return {"data": [trace], "layout": layout}


def cost_words(given: Material) -> str:
    """Where the money and the time went, in words."""
    rows = _by_status(given)
    seconds = {status: math.fsum(row.seconds or 0.0 for row in rows[status]) for status in rows}
    dollars = {status: math.fsum(row.dollars or 0.0 for row in rows[status]) for status in rows}
    if not any(seconds.values()):
        return "What the trials cost is not known yet."
    parts = [
        f"{len(rows[status])} {status.value.replace('_', ' ')}: {words.duration(seconds[status])}"
        + (f", {words.dollars(dollars[status])}" if dollars[status] else "")
        for status in rows
        if seconds[status]
    ]
    return f"{'; '.join(parts)}."
