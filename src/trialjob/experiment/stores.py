"""Stores, as their addresses name them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from trialjob import user_settings
from trialjob.errors import UsageError
from trialjob.model.address import shown_address
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals import STORES
from trialjob.orchestrator.journals.folder import FolderStore
from trialjob.orchestrator.journals.locks import this_process
from trialjob.orchestrator.journals.store import BaseStore
from trialjob.registry import UnknownKind

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def open_store(location: str | Path | None = None) -> BaseStore:
    """The folder or the address at ``location``, else at $TRIALJOB_STORE, where the user's file says, or
    ~/.trialjob.

    Raises UsageError, having written nothing, for a scheme that is not known and an address that is wrong.
    """
    said = location
    if said is None:  # an empty one that is given, such as a shell's variable that is not set, is a mistake
        said = os.environ.get("TRIALJOB_STORE") or user_settings.store() or _usual()
    chosen = str(said)
    remedy = "write a folder, 's3://bucket/prefix' or 'https://server' as text"
    if not isinstance(said, str | Path) or not chosen.strip():
        raise UsageError(
            f"{said!r} is no place for experiments\n  → {remedy}, or leave it out (--store, TRIALJOB_STORE)"
        )
    scheme, colon, _ = chosen.partition(":")
    # A Path has made one slash of two; and no user means a folder of the name "s3:".
    if "://" not in chosen and not (colon and scheme.lower() in STORES):
        return FolderStore(user_settings.expanded(chosen).absolute())
    try:
        return STORES.get(scheme.lower()).open(chosen, SystemClock())
    except UnknownKind as unknown:
        raise UsageError(f"{unknown}; or {remedy}") from None
    except ValueError as error:
        raise UsageError(
            f"{shown_address(chosen)!r} is no place for experiments: {error}; {remedy}"
        ) from None


def _usual() -> Path:
    try:
        return user_settings.home() / ".trialjob"
    except UsageError as error:
        raise UsageError(f"{error}, or name a store: --store FOLDER, or TRIALJOB_STORE") from None


def clock_of(store: BaseStore) -> SystemClock:
    """The clock that all orchestrators of a store go by: theirs may be minutes apart."""
    return SystemClock(store.ahead)


def place(store: BaseStore) -> str:
    """A store's name, which means the same on every machine."""
    return store.where() if store.is_shared else f"{this_process()['host']}:{store.where()}"


def address_of(there: str) -> str | None:
    """The address of the store of that ``place``; None for one of another machine."""
    if _SCHEME.match(there):
        return there
    host, _, address = there.partition(":")
    return address if host == this_process()["host"] else None
