"""Removing experiments for good."""

from __future__ import annotations

import sys
from contextlib import suppress

import click

from trialjob import experiment
from trialjob.apps.cli.errors import ExitStatus, say
from trialjob.errors import TrialjobError, UsageError
from trialjob.model.durations import parse_duration
from trialjob.model.ids import ExperimentName, experiment_name_problem
from trialjob.model.trial import Phase
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.snapshot import state_of
from trialjob.orchestrator.journals.store import BaseStore
from trialjob.reporting.terminal import clean, console
from trialjob.reporting.typed_commands import command


def remove_experiments(
    names: tuple[str, ...], *, older_than: str | None, artifacts: bool, yes: bool, store: str | None
) -> int:
    """Ask, and remove them one by one; exit status 2 when one of them was not to be removed."""
    if bool(names) == (older_than is not None):
        raise click.UsageError(
            "name experiments, or write --older-than, not both", click.get_current_context()
        )
    opened, out = experiment.open_store(store), console()
    found = [_named(name, opened) for name in names] if older_than is None else _old(older_than, opened)
    if not found:
        out.print("nothing to remove")
        return ExitStatus.DONE
    if not yes and not _agreed(found, opened.where(), artifacts=artifacts):
        out.print("nothing was removed")
        return ExitStatus.DONE
    status = ExitStatus.DONE
    for name in found:
        try:
            for place in experiment.remove(opened, name, artifacts=artifacts):
                out.print(f"removed {clean(place)}", soft_wrap=True)
        except TrialjobError as error:
            hint = (
                f"\n  {command('stop', name, store=store)}" if isinstance(error, experiment.StillRuns) else ""
            )
            say(f"error: {error}{hint}")
            status = ExitStatus.WRONG
    return status


def _named(name: str, store: BaseStore) -> ExperimentName:
    """The name of an experiment, or of what is left of one; raises NoSuchExperiment."""
    if not experiment_name_problem(name):
        known = ExperimentName(name)
        if known in store.names() or store.has_code(known):
            return known
    return experiment.open_session(store, name).name


def _old(older_than: str, store: BaseStore) -> list[ExperimentName]:
    """Those that have ended, and in which nothing has changed for so long."""
    try:
        before = SystemClock().now() - parse_duration(older_than)
    except ValueError:
        raise UsageError(f"--older-than: {older_than!r} is not a duration; write 12h or 30d") from None
    old = []
    for name in store.names():
        with suppress(TrialjobError):  # what cannot be read is left alone
            state = state_of(store.journal(name), store.where(name))
            if state is not None and state.phase is Phase.ENDED and state.updated_at < before:
                old.append(name)
    return old


def _agreed(names: list[ExperimentName], where: str, *, artifacts: bool) -> bool:
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask at; write --yes")
    what = f"{', '.join(names)} from {where}" + (
        " with what the jobs left in S3 or on a cluster" if artifacts else ""
    )
    return click.confirm(f"remove {clean(what)} for good?", err=True)
