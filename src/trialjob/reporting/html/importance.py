"""How much each hyperparameter seems to matter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from trialjob.reporting.html.columns import Figure, label
from trialjob.reporting.terminal import clean

if TYPE_CHECKING:
    from trialjob.reporting.importances import Importances

_MOST = 20


def importance_figure(importances: Mapping[str, float]) -> Figure:
    """A bar for each of the most important hyperparameters."""
    shown = sorted(importances.items(), key=lambda item: -item[1])[:_MOST][::-1]
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": [float(f"{share:.4g}") for _name, share in shown],
        # Numbered, because two long names may look alike when they are cut.
        "y": list(range(len(shown))),
        "text": [f"{100 * share:.0f}%" for _name, share in shown],
        "marker": {"color": "#3b7dd8"},
        "hovertemplate": "%{x}<extra></extra>",
    }
    layout: Figure = {
        "xaxis": {"title": {"text": "share of the variation"}, "rangemode": "tozero"},
        "yaxis": {
            "tickmode": "array",
            "tickvals": list(range(len(shown))),
            "ticktext": [label(name) for name, _share in shown],
            "automargin": True,
        },
        "height": 120 + 28 * len(shown),
    }
    return {"data": [trace] if shown else [], "layout": layout}


def importance_words(importances: Importances) -> str:
    """The most important ones, in words."""
    if not importances:
        return f"Not known: {importances.reason}."
    ranked = sorted(importances.items(), key=lambda item: -item[1])
    parts = [
        f"{clean(name)} {100 * share:.0f}% ± {100 * importances.spread.get(name, 0.0):.0f}"
        for name, share in ranked[:5]
    ]
    shares = ", ".join(parts)
    return (
        f"Of the difference between the best trials and all: {shares}. An estimate by {importances.method}; "
        "± is what other draws of these trials would change. It says nothing of the direction."
    )
