"""Puts the page together: one HTML text with plotly.js in it."""

from __future__ import annotations

import html
import json
import shlex
from datetime import UTC, datetime
from pathlib import Path

from trialjob._version import __version__
from trialjob.model.space import Space
from trialjob.model.trial import Phase
from trialjob.orchestrator.core.state import State
from trialjob.reporting import formatting
from trialjob.reporting.html.context import Links, ReportContext, material
from trialjob.reporting.html.data import shown_json
from trialjob.reporting.html.scripts import elements, head, scripts
from trialjob.reporting.html.sections import Section, sections
from trialjob.reporting.html.summary import headline, story
from trialjob.reporting.html.table import table
from trialjob.reporting.reproduce import command
from trialjob.reporting.tables import counts
from trialjob.reporting.terminal import clean
from trialjob.reporting.use_of_trials import UseOfTrials

#: Seconds between two looks of a page that refreshes itself.
REFRESH = 10


def page(
    state: State,
    space: Space,
    links: Links | None = None,
    *,
    use: UseOfTrials | None = None,
    live: bool = False,
    store: str | Path | None = None,
    server: bool = False,
) -> str:
    """The whole page; a ``live`` one loads itself again until the experiment has ended.

    ``links`` has the addresses of each job in a browser; ``use`` is what their machines were used for. The
    commands name ``store``; that of a ``server`` has no folder that its reader could go to.

    Raises UsageError when plotly is not installed.
    """
    given = material(state, space, links, use)
    shown = sections(given)
    data = {
        "name": state.name,
        "figures": [{"id": each.id, "variants": each.variants} for each in shown if each.variants],
        "table": table(given),
    }
    allowed = scripts("figures.js", "page.js")
    refresh = live and state.phase is not Phase.ENDED
    again = f'<meta http-equiv="refresh" content="{REFRESH}">\n' if refresh else ""
    return "".join(
        [
            head(state.name, allowed, again),
            "<body>\n",
            _summary(given, _best(given, store, server=server), refresh=refresh),
            *(_section(each) for each in shown),
            _TABLE,
            _footer(state),
            f'<script id="data" type="application/json">{shown_json(data)}</script>\n',
            elements(allowed),
            "</body>\n</html>\n",
        ]
    )


def _text(text: str) -> str:
    return html.escape(clean(text))


def _best(given: ReportContext, store: str | Path | None, *, server: bool) -> str:
    """What a reader does with the best configuration: copies it, runs it, or takes what it trained."""
    if (best := given.best) is None:
        return ""
    shown = {"Use the best configuration": json.dumps(dict(best.config), ensure_ascii=False)}
    if again := command(given.state, best.config, from_anywhere=not server):
        shown[f"Run it again by hand{', in the folder of the code' if server else ''}"] = again
    where = ["--store", str(store)] if store else []
    shown["Get its model"] = shlex.join(["trialjob", "download", given.state.name, "--best", *where])
    parts = "".join(f"<div>{_minor(head)}{_command(text)}</div>" for head, text in shown.items())
    return f'<section class="story">{parts}</section>\n'


def _summary(given: ReportContext, best: str, *, refresh: bool) -> str:
    state = given.state
    tiles = "".join(
        f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in _tiles(given)
    )
    summary = "".join(f"<div>{_minor(head)}<p>{_text(text)}</p></div>" for head, text in story(given))
    note = f" The page loads itself again every {REFRESH} seconds." if refresh else ""
    return (
        f"<header><h1>{_text(state.name)}</h1>"
        f'<p class="dim">{_text(headline(state))}.{note}</p></header>\n<main>\n'
        f'<dl class="tiles">{tiles}</dl>\n<section class="story">{summary}</section>\n{best}'
        "<noscript><p><strong>The figures and the table need JavaScript, which is off.</strong></p>"
        "</noscript>\n"
    )


def _command(text: str) -> str:
    """A line that may be longer than the page is wide; it is wrapped there, and copied as one."""
    return f"<pre>{_text(text)}</pre>"


def _minor(head: str) -> str:
    """A heading right below the title, which looks like one of a level further down."""
    return f'<h2 class="minor">{_text(head)}</h2>'


def _tiles(given: ReportContext) -> list[tuple[str, str]]:
    state, best = given.state, given.best
    dollars = [row.dollars for row in given.rows if row.dollars]
    seconds = [row.seconds for row in given.rows if row.seconds]
    return [
        (f"best {state.objective.metric}", formatting.number(best.score) if best else "-"),
        ("trials", f"{len(given.trials) - len(state.open)} of {state.limits.max_trials}"),
        ("wall-clock time", formatting.duration(state.updated_at - state.created_at)),
        (
            given.time_word,
            formatting.duration(sum(seconds)) if seconds else "-",
        ),
        *([("cost", formatting.dollars(sum(dollars)))] if dollars else []),
    ]


def _section(given: Section) -> str:
    name = (
        f'<h2 id="{given.id}-title">{_text(given.title)}</h2>\n'
        f'<p id="{given.id}-words">{_text(given.words)}</p>\n'
    )
    if not given.variants:
        return f"<section>{name}</section>\n"
    options = "".join(f"<option>{_text(variant) or '&nbsp;'}</option>" for variant, _figure in given.variants)
    choice = (
        f'<label>{_text(given.choice)} <select id="{given.id}-choice">{options}</select></label>\n'
        if len(given.variants) > 1
        else ""
    )
    return (
        f'<section>{name}{choice}<figure aria-labelledby="{given.id}-title" '
        f'aria-describedby="{given.id}-words"><div class="plot" id="{given.id}"></div></figure></section>\n'
    )


_TABLE = """<section id="trials"><h2>Every trial</h2>
<div class="bar"><label>find <input id="filter" type="search"></label>
<label>status <select id="status"><option value="">all</option></select></label>
<label><input id="more" type="checkbox"> last and best of each metric</label>
<button id="back" type="button">← back</button><button id="on" type="button">on →</button>
<span id="where" class="dim" role="status"></span></div>
<div class="scroll" tabindex="0"><table><caption hidden>Every trial</caption><tbody></tbody></table></div>
</section>
"""


def _footer(state: State) -> str:
    changed = datetime.fromtimestamp(state.updated_at, tz=UTC)
    return (
        f"</main>\n<footer>{_text(counts(state))}. As of {changed:%Y-%m-%d %H:%M:%S} UTC, "
        f"by trialjob {_text(__version__)}.</footer>\n"
    )
