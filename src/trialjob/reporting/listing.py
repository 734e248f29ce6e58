"""The overview of a store, and of one experiment at this moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial
from trialjob.reporting import formatting
from trialjob.reporting.console import Picture
from trialjob.reporting.results import best_trial, experiment_state
from trialjob.reporting.sparkline import best_so_far
from trialjob.reporting.tables import print_costs
from trialjob.reporting.terminal import clean
from trialjob.reporting.typed_commands import command, program

_NARROW = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One experiment of a store."""

    name: str
    state: State | None = None
    best: Trial | None = None
    #: Why it cannot be read.
    problem: str = ""


def print_list(console: Console, experiments: Sequence[Listed]) -> None:
    """A line for each experiment."""
    if not experiments:
        console.print(f"no experiments here yet; start one with `{program()} run SPEC`", soft_wrap=True)
        return
    wide = console.width >= _NARROW
    heads = ("name", "state", "trials", "best", *(("last change",) if wide else ()))
    rows = [_cells(listed)[: len(heads)] for listed in experiments]
    widths = [max(map(cell_len, column)) for column in zip(heads, *rows, strict=True)]
    if sum(widths) + 2 * (len(widths) - 1) <= console.width:
        # Nothing is to be folded; a thousand rows take a table a second.
        console.print(Text(_aligned(heads, widths), "bold"))
        console.out("\n".join(_aligned(row, widths) for row in rows), highlight=False)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(Text(head), overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=True))
    return "  ".join(padded).rstrip()


def _cells(listed: Listed) -> list[str]:
    state = listed.state
    if state is None:
        return [clean(listed.name), clean(listed.problem), "-", "-", "-"]
    ended = len(state.trials) - len(state.open)
    score = "-"
    if listed.best is not None:
        score = f"{clean(state.objective.metric)} {formatting.number(listed.best.score)}"
    return [
        clean(listed.name),
        experiment_state(state),
        f"{ended}/{state.limits.max_trials}",
        score,
        _when(state.updated_at),
    ]


def _when(at: float) -> str:
    try:
        return f"{datetime.fromtimestamp(at, tz=UTC).astimezone():%Y-%m-%d %H:%M:%S}"
    except (OverflowError, ValueError, OSError):
        return "?"  # no year of ours


def print_status(
    console: Console, state: State, *, holder: str | None, where: str, now: float, store: str | None = None
) -> None:
    """One experiment as the live view would show it now, and who runs it."""
    best = best_trial(state.trials, state.objective)
    console.print(Picture(state, best, lambda: now, best_so_far(state)))
    print_costs(console, state)
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
