"""The composition root: the only place that names concrete adapters.

Rule: it decides what is put together and nothing about an experiment itself.
"""

from trialjob.wiring.cloud import audit, doctor
from trialjob.wiring.creation import create
from trialjob.wiring.hand_over import finish, hand_over
from trialjob.wiring.mirrors import mlflow_runs
from trialjob.wiring.planning import Asked, at_worst, plan
from trialjob.wiring.removal import StillRuns, remove
from trialjob.wiring.requests import start_document, start_file
from trialjob.wiring.resolve import ResolvedSpec, resolve
from trialjob.wiring.session import Session, attach, open_session
from trialjob.wiring.stores import open_store, place

__all__ = [
    "Asked",
    "ResolvedSpec",
    "Session",
    "StillRuns",
    "at_worst",
    "attach",
    "audit",
    "create",
    "doctor",
    "finish",
    "hand_over",
    "mlflow_runs",
    "open_session",
    "open_store",
    "place",
    "plan",
    "remove",
    "resolve",
    "start_document",
    "start_file",
]
