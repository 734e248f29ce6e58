"""Looking at experiments without touching them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence

from trialjob import experiment
from trialjob.apps.cli.errors import ExitStatus
from trialjob.apps.summary import line_of, member_of, status_of, unreadable
from trialjob.errors import TrialjobError
from trialjob.model.ids import ExperimentName
from trialjob.model.json import strict_json
from trialjob.orchestrator.core.overview import Seen
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.snapshot import seen
from trialjob.orchestrator.ports import ExperimentStore
from trialjob.reporting.listing import print_list, print_status
from trialjob.reporting.row_selection import Choice
from trialjob.reporting.tables import print_results
from trialjob.reporting.terminal import Output, check_written, clean, console, one_line


def show_results(
    name: str,
    *,
    form: str,
    pareto: bool,
    sort: str | None,
    top: int | None,
    columns: str | None,
    store: str | None,
) -> int:
    """Every trial, or those that are chosen, as a table for people or as JSON or CSV for programs."""
    session = experiment.attach(name, store=store)
    result = session.result()
    front = frozenset(row.trial for row in result.pareto()) if pareto else None
    chosen = tuple(column for column in (columns or "").split(",") if column)
    choice = Choice(sort=sort or ("score" if pareto else None), top=top, columns=chosen, trials=front)
    if form == "table":
        out = console()
        print_results(out, session.state, choice)
        check_written(out.file)
    elif form == "json":
        print_out(result.to_json(choice) + "\n")
    else:
        print_out(result.table(choice).csv())
    return ExitStatus.DONE


def show_status(name: str, *, verbose: bool, form: str, store: str | None) -> int:
    """Where one experiment stands."""
    found = experiment.look(experiment.open_store(store), name)
    links = _links(name, store) if verbose else {}
    if form == "json":
        print_out(strict_json({**status_of(found), **({"links": links} if verbose else {})}) + "\n")
    else:
        out = console()
        print_status(
            out,
            found.seen,
            holder=found.holder(),
            where=found.where,
            now=SystemClock().now(),
            store=store,
        )
        for trial, addresses in links.items():
            for what, address in addresses.items():
                out.print(clean(f"trial {trial} {what}: {address}"), soft_wrap=True)
        check_written(out.file)
    return ExitStatus.DONE


def _links(name: str, store: str | None) -> dict[str, Mapping[str, str]]:
    """Where a browser shows the trials that are open, and the best one."""
    session = experiment.attach(name, store=store)
    state = session.state
    best = session.seen.overview.best
    wanted = sorted({*state.open, *([best.id] if best else [])})
    return {str(trial): links for trial in wanted if (links := session.links_of(trial))}


def show_list(*, form: str, store: str | None) -> int:
    """The experiments in the store; one that cannot be read does not hide the others."""
    opened = experiment.open_store(store)
    service = opened.service()
    as_row = member_of if form == "json" else line_of
    listed: Sequence[Mapping[str, object]] = (
        [_listed(opened, name, as_row) for name in opened.names()] if service is None else service.listed()
    )
    if form == "json":
        print_out(strict_json({"experiments": listed}) + "\n")
        return ExitStatus.DONE
    out = console()
    print_list(out, listed)
    check_written(out.file)
    return ExitStatus.DONE


def _listed(
    store: ExperimentStore, name: ExperimentName, as_row: Callable[[Seen, str], Mapping[str, object]]
) -> Mapping[str, object]:
    try:
        found = seen(store.journal(name), store.where(name))
        return unreadable(name, "its journal is empty") if found is None else as_row(found, name)
    except TrialjobError as error:
        return unreadable(name, one_line(str(error)))
    except Exception as error:  # noqa: BLE001 - whatever is in one journal, the others are shown
        return unreadable(name, one_line(f"it cannot be read ({type(error).__name__}: {error})"))


def print_out(text: str) -> None:
    """Write to stdout. Raises UsageError when not all of it could be written."""
    output = Output(sys.stdout)
    output.write(clean(text) if output.isatty() else text)
    output.flush()
    check_written(output)
