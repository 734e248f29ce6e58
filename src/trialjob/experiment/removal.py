"""Removing an experiment for good: its journal, its code, what its trials left here, and its folder in S3.

Rule 1: nothing is removed of an experiment that runs, or of which a job may still run.
Rule 2: the journal goes first, so that an experiment of which a part is gone is never taken for a whole one;
the same command removes what a removal that was broken off has left.
"""

from __future__ import annotations

from collections.abc import Mapping

from trialjob.errors import UsageError
from trialjob.model.ids import ExperimentName
from trialjob.model.s3 import S3Address
from trialjob.orchestrator.core.evolve import replay
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.objects import Objects
from trialjob.orchestrator.journals.store import BaseStore


class StillRuns(UsageError):
    """A job of the experiment may run."""


def remove(store: BaseStore, name: ExperimentName, *, artifacts: bool = False) -> list[str]:
    """Remove it; returns what was removed. Raises UsageError and ExperimentBusy when something of it runs."""
    journal = store.journal(name)
    with journal.hold():
        state = replay(journal.read(), store.where(name))
        folder = s3_folder(state) if artifacts else None
        check(state, artifacts=artifacts)
        store.forget(name)
    store.clear(name)
    removed = [store.where(name)]
    if folder is not None:
        objects = Objects(folder.bucket, folder.key, SystemClock())
        try:
            count = objects.remove_below("")
        finally:
            objects.close()
        removed.append(f"{folder} ({count} objects)")
    return removed


def check(state: State | None, *, artifacts: bool) -> None:
    """Raises UsageError where it must not be removed."""
    if state is None:
        return
    if state.live:
        jobs = f"{len(state.live)} job{'s' if len(state.live) > 1 else ''}"
        raise StillRuns(f"{state.name} has {jobs} that may still run; stop it first")
    if artifacts and state.moved_to is not None:
        raise UsageError(f"{state.name} has moved to {state.moved_to}, and its artifacts are needed there")


def s3_folder(state: State | None) -> S3Address | None:
    """Where its jobs keep what they leave in S3; None where that is nowhere."""
    backend = state.document.get("backend") if state is not None else None
    if state is None or not isinstance(backend, Mapping) or not backend.get("s3_uri"):
        return None
    place = S3Address.parse(str(backend["s3_uri"]))
    return S3Address(bucket=place.bucket, key=f"{place.folder}{state.name}")
