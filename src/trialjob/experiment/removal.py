"""Removing an experiment for good: journal, code, what its trials left here, and what its backend keeps.

Rule 1: nothing is removed of an experiment that runs, or of which a job may still run.
Rule 2: the journal goes first, so that an experiment of which a part is gone is never taken for a whole one;
the same command removes what a removal that was broken off has left.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from trialjob import config
from trialjob.backends.folders.job_folder import JobFolder
from trialjob.backends.plugin import BaseBackend
from trialjob.errors import StoreError, UsageError
from trialjob.experiment.stores import address_of, open_store
from trialjob.model.ids import ExperimentName
from trialjob.orchestrator.core.hosted import goes_on
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.snapshot import state_of
from trialjob.orchestrator.journals.store import BaseStore


class StillRuns(UsageError):
    """A job of the experiment may run."""


def remove(store: BaseStore, name: ExperimentName, *, artifacts: bool = False) -> list[str]:
    """Remove it; returns what was removed. Raises UsageError and ExperimentBusy when something of it runs."""
    if store.service() is not None:  # which looks at the same things
        return _by_its_server(store, name, artifacts=artifacts)
    journal = store.journal(name)
    if not _have_ended(store.folder(name)):
        store.check_not_lost(name)
    with journal.hold():
        state = state_of(journal, store.where(name))
        backend = _backend(state) if artifacts else None
        check(state, store.where(name), artifacts=artifacts)
        store.forget(name)
    store.clear(name)
    removed = [store.where(name)]
    if backend is not None:
        removed += backend.remove_artifacts(name, SystemClock())
    return removed


def _by_its_server(store: BaseStore, name: ExperimentName, *, artifacts: bool) -> list[str]:
    if artifacts:
        raise UsageError(
            f"--artifacts is not for {store.where()}, whose server removes what the store has; "
            "leave it out, and remove what is in S3 there"
        )
    store.forget(name)
    return [store.where(name)]


def _have_ended(folder: Path | None) -> bool:
    """Whether there were jobs in its own folder and all are over, whatever its journal says."""
    jobs = [*(folder / "jobs").glob("*/")] if folder is not None else []
    with suppress(OSError):
        return bool(jobs) and all((JobFolder(job).status() or {}).get("state") == "ended" for job in jobs)
    return False  # one of them is damaged


def check(state: State | None, where: str, *, artifacts: bool) -> None:
    """Raises UsageError where it must not be removed."""
    if state is None:
        return
    if artifacts and state.moved_to is not None:
        raise UsageError(f"{state.name} has moved to {state.moved_to}, and its artifacts are needed there")
    if not state.live and not goes_on(state):
        return
    if state.moved_to is None and state.live:
        jobs = f"{len(state.live)} job{'s' if len(state.live) > 1 else ''}"
        raise StillRuns(f"{state.name} has {jobs} that may still run; stop it first")
    if state.moved_to is None:
        raise StillRuns(f"{state.name} was handed to a service, which may still start jobs; stop it first")
    if not _has_arrived(state, state.moved_to):
        raise UsageError(
            f"{state.name} has moved to {state.moved_to} and is not seen there from here; jobs of it may "
            "still run\n  → the same `push` or `pull` finishes the move; where it was removed there, remove "
            f"{where} by hand"
        )


def _has_arrived(state: State, to: str) -> bool:
    """Whether the store that it moved to knows of its jobs."""
    address, there = address_of(to), None
    if address is not None:
        with suppress(StoreError):
            there = state_of(open_store(address).journal(state.name), address)
    return there is not None and there.created_at == state.created_at and there.version > state.version


def _backend(state: State | None) -> BaseBackend | None:
    """What knows where jobs have left something. Raises SpecError where its package is not installed."""
    return None if state is None else config.parse(state.document, files=False, recorded=True).backend
