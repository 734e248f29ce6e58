"""Experiments as apps see them: resolved, created, stepped, moved and removed.

Rule: it decides what is put together and nothing about an experiment itself.
"""

from trialjob.experiment.account import audit, doctor
from trialjob.experiment.creation import create
from trialjob.experiment.inbox import spec_of_document, spec_of_file, start_document, start_file
from trialjob.experiment.move import finish, hand_over
from trialjob.experiment.removal import StillRuns, remove
from trialjob.experiment.resolve import ResolvedSpec, resolve
from trialjob.experiment.session import Session, attach, open_session
from trialjob.experiment.stores import open_store, place
from trialjob.experiment.tenants import allowed, decisions_of
from trialjob.experiment.trackers import mlflow_runs

__all__ = [
    "ResolvedSpec",
    "Session",
    "StillRuns",
    "allowed",
    "attach",
    "audit",
    "create",
    "decisions_of",
    "doctor",
    "finish",
    "hand_over",
    "mlflow_runs",
    "open_session",
    "open_store",
    "place",
    "remove",
    "resolve",
    "spec_of_document",
    "spec_of_file",
    "start_document",
    "start_file",
]
