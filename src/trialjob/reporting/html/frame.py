"""A page that draws figures as it is sent them, for a frame in the page of a server.

Rule: it is the same for everyone and holds nothing of an experiment. In its sandbox it has no origin, so what
plotly makes of strangers' text can read no token, and the page around it needs no looser policy.
"""

from __future__ import annotations

from trialjob.reporting.html.scripts import elements, head, scripts


def frame() -> str:
    """The page. Raises UsageError when plotly is not installed."""
    given = scripts("figures.js", "frame.js")
    return (
        f'{head("Figures", given)}<body class="framed">\n<main><h1>Figures</h1></main>\n'
        f"{elements(given)}</body>\n</html>\n"
    )
