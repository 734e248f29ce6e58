"""Stores, as their locations name them."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from trialjob.errors import UsageError
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.jsonl import FolderStore
from trialjob.orchestrator.journals.objects import Objects
from trialjob.orchestrator.journals.s3 import S3Store
from trialjob.orchestrator.ports import ExperimentStore


def open_store(location: str | Path | None = None) -> FolderStore | S3Store:
    """The folder or ``s3://bucket/prefix`` at ``location``, else at $TRIALJOB_STORE, else ~/.trialjob."""
    chosen = location or os.environ.get("TRIALJOB_STORE") or Path.home() / ".trialjob"
    if isinstance(chosen, str) and "://" in chosen:
        return _s3_store(chosen)
    return FolderStore(Path(chosen).expanduser().absolute())


def _s3_store(uri: str) -> S3Store:
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
        raise UsageError(f"{uri!r} is no place for experiments; write a folder, or s3://bucket/prefix")
    clock = SystemClock()
    return S3Store(Objects(parts.netloc, parts.path, clock), clock)


def clock_of(store: ExperimentStore) -> SystemClock:
    """The clock that all orchestrators of a store go by: theirs may be minutes apart."""
    return SystemClock(store.ahead) if isinstance(store, S3Store) else SystemClock()
