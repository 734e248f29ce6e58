"""Looking at experiments without touching them."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from trialjob import experiment
from trialjob.apps.cli.errors import ExitStatus
from trialjob.apps.summary import status_of, summary_of
from trialjob.errors import TrialjobError
from trialjob.model.ids import ExperimentName
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.snapshot import state_of
from trialjob.orchestrator.ports import ExperimentStore
from trialjob.reporting.choosing import Choice
from trialjob.reporting.listing import Listed, print_list, print_status
from trialjob.reporting.results import best_trial, strict_json
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
            found.state,
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
    best = best_trial(state.trials, state.objective)
    wanted = sorted({*state.open, *([best.id] if best else [])})
    return {str(trial): links for trial in wanted if (links := session.links_of(trial))}


def show_list(*, form: str, store: str | None) -> int:
    """The experiments in the store; one that cannot be read does not hide the others."""
    opened = experiment.open_store(store)
    listed = [_listed(opened, name) for name in opened.names()]
    if form == "json":
        print_out(strict_json({"experiments": [_member(each) for each in listed]}) + "\n")
        return ExitStatus.DONE
    out = console()
    print_list(out, listed)
    check_written(out.file)
    return ExitStatus.DONE


def _member(listed: Listed) -> dict[str, object]:
    """An experiment for programs, under the names of `GET /v1/experiments` as well.

    Of one that cannot be read only its name and the problem.
    """
    state, names = listed.state, {"experiment": listed.name, "name": listed.name}
    if state is None:
        return {**names, "state": None, "problem": listed.problem, "detail": listed.problem}
    return {
        **summary_of(state),
        **names,
        "problem": None,
        "metric": state.objective.metric,
        "trials": len(state.trials),
        "ended": len(state.trials) - len(state.open),
        "running": len(state.live),
    }


def _listed(store: ExperimentStore, name: ExperimentName) -> Listed:
    try:
        state = state_of(store.journal(name), store.where(name))
        return Listed(name=name, problem="its journal is empty") if state is None else _summary(name, state)
    except TrialjobError as error:
        return Listed(name=name, problem=one_line(str(error)))
    except Exception as error:  # noqa: BLE001 - whatever is in one journal, the others are shown
        return Listed(name=name, problem=one_line(f"it cannot be read ({type(error).__name__}: {error})"))


def _summary(name: ExperimentName, state: State) -> Listed:
    return Listed(name=name, state=state, best=best_trial(state.trials, state.objective))


def print_out(text: str) -> None:
    """Write to stdout. Raises UsageError when not all of it could be written."""
    output = Output(sys.stdout)
    output.write(clean(text) if output.isatty() else text)
    output.flush()
    check_written(output)
