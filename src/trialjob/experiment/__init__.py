"""Experiments as apps see them: resolved, created, stepped, moved and removed.

Rule 1: it decides what is put together and nothing about an experiment itself.
Rule 2: a name is imported when it is first asked for, so that who only looks loads no backend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trialjob.experiment.account import audit as audit
    from trialjob.experiment.account import doctor as doctor
    from trialjob.experiment.creation import create as create
    from trialjob.experiment.inbox import spec_of_archive as spec_of_archive
    from trialjob.experiment.inbox import spec_of_document as spec_of_document
    from trialjob.experiment.inbox import spec_of_file as spec_of_file
    from trialjob.experiment.inbox import start_document as start_document
    from trialjob.experiment.inbox import start_file as start_file
    from trialjob.experiment.lookup import Look as Look
    from trialjob.experiment.lookup import look as look
    from trialjob.experiment.move import finish as finish
    from trialjob.experiment.move import hand_over as hand_over
    from trialjob.experiment.opening import attach as attach
    from trialjob.experiment.opening import open_session as open_session
    from trialjob.experiment.removal import StillRuns as StillRuns
    from trialjob.experiment.removal import remove as remove
    from trialjob.experiment.resolving import ResolvedSpec as ResolvedSpec
    from trialjob.experiment.resolving import resolve as resolve
    from trialjob.experiment.sending import room_for as room_for
    from trialjob.experiment.session import Session as Session
    from trialjob.experiment.stores import open_store as open_store
    from trialjob.experiment.stores import place as place
    from trialjob.experiment.tenants import allowed as allowed
    from trialjob.experiment.tenants import decisions_of as decisions_of
    from trialjob.experiment.trackers import mlflow_runs as mlflow_runs
    from trialjob.experiment.user_values import check_value as check_value

#: Where each name is.
_HOME = {
    name: module
    for module, names in {
        "account": "audit doctor",
        "creation": "create",
        "inbox": "spec_of_archive spec_of_document spec_of_file start_document start_file",
        "lookup": "Look look",
        "move": "finish hand_over",
        "opening": "attach open_session",
        "removal": "StillRuns remove",
        "resolving": "ResolvedSpec resolve",
        "sending": "room_for",
        "session": "Session",
        "stores": "open_store place",
        "tenants": "allowed decisions_of",
        "trackers": "mlflow_runs",
        "user_values": "check_value",
    }.items()
    for name in names.split()
}


if not TYPE_CHECKING:  # a type checker would take every misspelt name for a public one

    def __getattr__(name: str) -> object:
        """Import a name when it is first asked for."""
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib  # noqa: PLC0415 - only when a name is asked for

        value: object = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
        globals()[name] = value
        return value
