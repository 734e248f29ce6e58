"""What the trials cost, by what became of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from trialjob.model.trial import TrialStatus
from trialjob.reporting import formatting
from trialjob.reporting.html.columns import Figure
from trialjob.reporting.html.context import ReportContext
from trialjob.reporting.rows import Row


def _by_status(given: ReportContext) -> dict[TrialStatus, list[Row]]:
    found: dict[TrialStatus, list[Row]] = {}
    for trial, row in zip(given.trials, given.rows, strict=True):
        found.setdefault(trial.status, []).append(row)
    return {status: found[status] for status in TrialStatus if status in found}


def cost_variants(given: ReportContext) -> list[tuple[str, Figure]]:
    """Dollars and machine time by what became of the trials; what is unknown is left out."""
    rows = _by_status(given)

    def by_status(amount: Callable[[Row], float]) -> dict[TrialStatus, float]:
        return {status: math.fsum(amount(row) for row in rows[status]) for status in rows}

    dollars = by_status(lambda row: row.dollars or 0.0)
    wasted = by_status(lambda row: row.wasted_dollars or 0.0)
    used = {status: dollars[status] - wasted[status] for status in rows}
    jobs = by_status(lambda row: (row.seconds or 0.0) / 3600)
    idle = by_status(lambda row: (row.idle_seconds or 0.0) / 3600)
    found = []
    if any(dollars.values()):
        parts = [("of use", "#3b7dd8", used), ("wasted", "#d64545", wasted)]
        found.append(("dollars", _figure(parts, "dollars", rows)))
    if any(jobs.values()):
        parts = [("jobs", "#3b7dd8", jobs), ("machines kept warm", "#b9a7d9", idle)]
        found.append(("hours", _figure(parts, f"hours of {given.time_word}", rows)))
    return found


def _figure(
    parts: Sequence[tuple[str, str, dict[TrialStatus, float]]],
    title: str,
    rows: dict[TrialStatus, list[Row]],
) -> Figure:
    shown = [status for status in reversed(list(rows)) if any(amounts[status] > 0 for *_, amounts in parts)]
    names = [
        f"{formatting.several(len(rows[status]), 'trial')} {status.value.replace('_', ' ')}"
        for status in shown
    ]
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "x": [float(f"{amounts[status]:.6g}") for status in shown],
            "y": names,
            "marker": {"color": colour},
            "hovertemplate": f"%{{y}}: %{{x}} {name}<extra></extra>",
        }
        for name, colour, amounts in parts
        if any(amounts.values())
    ]
    layout: Figure = {
        "barmode": "stack",
        "xaxis": {"title": {"text": title}},
        "yaxis": {"type": "category", "automargin": True},
        "height": 140 + 42 * len(shown),
        "showlegend": True,
    }
    return {"data": traces, "layout": layout}


def cost_words(given: ReportContext) -> str:
    """Where the money and the time went, in words."""
    rows = _by_status(given)
    seconds = {status: math.fsum(row.seconds or 0.0 for row in rows[status]) for status in rows}
    dollars = {status: math.fsum(row.dollars or 0.0 for row in rows[status]) for status in rows}
    if not any(seconds.values()):
        return "What the trials cost is not known yet."
    parts = [
        f"{len(rows[status])} {status.value.replace('_', ' ')}: {formatting.duration(seconds[status])}"
        + (f", {formatting.dollars(dollars[status])}" if dollars[status] else "")
        for status in rows
        if seconds[status]
    ]
    return f"{'; '.join(parts)}."
