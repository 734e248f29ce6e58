"""The overview of a store, and of one experiment at this moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from trialjob.orchestrator.core.overview import Seen
from trialjob.reporting import formatting
from trialjob.reporting.console import Picture
from trialjob.reporting.tables import print_costs
from trialjob.reporting.terminal import clean
from trialjob.reporting.typed_commands import command, program

_NARROW = 60


def print_list(console: Console, experiments: Sequence[Mapping[str, Any]]) -> None:
    """A line for each experiment, of which `list --format json` says the members."""
    if not experiments:
        console.print(f"no experiments here yet; start one with `{program()} run SPEC`", soft_wrap=True)
        return
    wide = console.width >= _NARROW
    heads = ("name", "state", "trials", "best", *(("last change",) if wide else ()))
    rows = [_cells(member)[: len(heads)] for member in experiments]
    widths = [max(map(cell_len, column)) for column in zip(heads, *rows, strict=True)]
    if sum(widths) + 2 * (len(widths) - 1) <= console.width:
        # Nothing is to be folded; a thousand rows take a table a second.
        console.print(Text(_aligned(heads, widths), "bold"))
        console.out("\n".join(_aligned(row, widths) for row in rows), highlight=False)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head, width in zip(heads, widths, strict=True):
        # A name is there to be copied; only one that would crowd out all else is folded.
        whole = head == "name" and width <= console.width - _NARROW // 2
        table.add_column(Text(head), overflow="fold", no_wrap=whole)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=True))
    return "  ".join(padded).rstrip()


def _cells(member: Mapping[str, Any]) -> list[str]:
    if member["state"] is None:
        return [clean(member["name"]), clean(member["problem"]), "-", "-", "-"]
    best, score = member["best"], "-"
    if best is not None:
        number = "?" if best["score"] is None else formatting.number(best["score"])
        score = f"{clean(member['metric'])} {number}"
    return [
        clean(member["name"]),
        clean(member["state"]),
        f"{member['ended']}/{member['max_trials']}",
        score,
        f"{datetime.fromisoformat(member['updated_at']).astimezone():%Y-%m-%d %H:%M:%S}",
    ]


def print_status(
    console: Console, seen: Seen, *, holder: str | None, where: str, now: float, store: str | None = None
) -> None:
    """One experiment as the live view would show it now, and who runs it."""
    state, overview = seen.state, seen.overview
    console.print(Picture(state, overview.best, lambda: now, overview.curve))
    print_costs(console, state, overview.costs, overview.forecast)
    if state.moved_to is not None:
        text = (
            f"moved to {state.moved_to}, where it goes on; if it is not there, the move was broken off, and "
        )
        text += f"`{command('resume', state.name, store=store)}` finishes it"
        console.print(Text(clean(text)), soft_wrap=True)
    elif state.open or holder:
        again = command("resume", state.name, store=store)
        who = f"run by {holder}" if holder else f"run by no process now; go on with `{again}`"
        console.print(Text(clean(who)), soft_wrap=True)
    console.print(Text(f"kept in {clean(where)}", "dim"), soft_wrap=True)
