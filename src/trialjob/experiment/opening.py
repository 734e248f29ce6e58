"""Finding the experiments of a store: a session for each, of the kind that the store's are."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from trialjob.errors import NoSuchExperiment
from trialjob.experiment.lookup import missing
from trialjob.experiment.served import ServedSession
from trialjob.experiment.session import Session
from trialjob.experiment.stores import open_store
from trialjob.model.ids import ExperimentName, experiment_name_problem
from trialjob.orchestrator.journals.store import BaseStore


def attach(name: str, *, store: str | Path | None = None) -> Session:
    """An experiment that exists. Raises UsageError, with the nearest name, when there is none."""
    opened = open_store(store)
    return open_session(opened, name)


def open_session(store: BaseStore, name: str) -> Session:
    """An experiment of an open store; otherwise as ``attach``."""
    # What is no name is no part of a path either.
    if not experiment_name_problem(name):
        with suppress(NoSuchExperiment):
            service = store.service()
            if service is not None:
                return ServedSession(store, ExperimentName(name), service)
            return Session(store, ExperimentName(name))
    raise missing(store, name)
