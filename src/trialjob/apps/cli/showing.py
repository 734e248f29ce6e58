"""Looking at experiments without touching them."""

from __future__ import annotations

import sys

from trialjob import wiring
from trialjob.apps.cli.failures import ExitStatus
from trialjob.apps.summary import status_of
from trialjob.errors import TrialjobError, UsageError
from trialjob.model.ids import ExperimentName
from trialjob.orchestrator.core.evolve import replay
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.ports import ExperimentStore
from trialjob.reporting.listing import Listed, print_list, print_status
from trialjob.reporting.results import best_trial, strict_json
from trialjob.reporting.tables import print_results
from trialjob.reporting.terminal import Output, check_written, clean, console, one_line


def show_results(name: str, *, form: str, pareto: bool, store: str | None) -> int:
    """Every trial, as a table for people or as JSON or CSV for programs."""
    session = wiring.attach(name, store=store)
    if pareto and form != "table":
        raise UsageError('--pareto is for the table; JSON has the front under "pareto"')
    if form == "table":
        out = console()
        print_results(out, session.state, pareto=pareto)
        check_written(out.file)
    else:
        result = session.result()
        print_out(result.to_json() + "\n" if form == "json" else result.to_csv())
    return ExitStatus.DONE


def show_status(name: str, *, form: str, store: str | None) -> int:
    """Where one experiment stands."""
    session = wiring.attach(name, store=store)
    if form == "json":
        print_out(strict_json(status_of(session)) + "\n")
    else:
        out = console()
        print_status(
            out,
            session.state,
            holder=session.holder(),
            where=session.where,
            now=SystemClock().now(),
        )
        check_written(out.file)
    return ExitStatus.DONE


def show_list(*, store: str | None) -> int:
    """A line for each experiment in the store; one that cannot be read does not hide the others."""
    opened, out = wiring.open_store(store), console()
    print_list(out, [_listed(opened, name) for name in opened.names()])
    check_written(out.file)
    return ExitStatus.DONE


def _listed(store: ExperimentStore, name: ExperimentName) -> Listed:
    try:
        state = replay(store.journal(name).read())
        return Listed(name=name, problem="its journal is empty") if state is None else _summary(state)
    except TrialjobError as error:
        return Listed(name=name, problem=one_line(str(error)))
    except Exception as error:  # noqa: BLE001 - whatever is in one journal, the others are shown
        return Listed(name=name, problem=one_line(f"it cannot be read ({type(error).__name__}: {error})"))


def _summary(state: State) -> Listed:
    return Listed(name=state.name, state=state, best=best_trial(state.trials, state.objective))


def print_out(text: str) -> None:
    """Write to stdout. Raises UsageError when not all of it could be written."""
    output = Output(sys.stdout)
    output.write(clean(text) if output.isatty() else text)
    output.flush()
    check_written(output)
