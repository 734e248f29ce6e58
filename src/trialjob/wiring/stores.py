"""Stores, as their locations name them."""

from __future__ import annotations

import os
from pathlib import Path

from trialjob.errors import UsageError
from trialjob.model.s3 import S3Address
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.jsonl import FolderStore
from trialjob.orchestrator.journals.objects import Objects
from trialjob.orchestrator.journals.s3 import S3Store
from trialjob.orchestrator.ports import ExperimentStore


def open_store(location: str | Path | None = None) -> FolderStore | S3Store:
    """The folder or ``s3://bucket/prefix`` at ``location``, else at $TRIALJOB_STORE, else ~/.trialjob."""
    chosen = location or os.environ.get("TRIALJOB_STORE") or Path.home() / ".trialjob"
    # A Path has made one slash of two; and nobody means a folder of the name "s3:".
    if "://" in str(chosen) or str(chosen).lower().startswith("s3:"):
        return _s3_store(str(chosen))
    return FolderStore(Path(chosen).expanduser().absolute())


def _s3_store(uri: str) -> S3Store:
    try:
        place = S3Address.parse(uri)
    except ValueError as error:
        raise UsageError(
            f"{uri!r} is no place for experiments: {error}; write a folder, or 's3://bucket/prefix' as text"
        ) from None
    clock = SystemClock()
    return S3Store(Objects(place.bucket, place.key, clock), clock)


def clock_of(store: ExperimentStore) -> SystemClock:
    """The clock that all orchestrators of a store go by: theirs may be minutes apart."""
    return SystemClock(store.ahead) if isinstance(store, S3Store) else SystemClock()
