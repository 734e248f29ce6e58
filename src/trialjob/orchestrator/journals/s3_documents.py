"""Small files beside the experiments of a store in S3, each replaced by compare-and-swap."""

from __future__ import annotations

from collections.abc import Sequence

from trialjob.errors import JournalConflict
from trialjob.orchestrator.journals.objects import NotMet, Objects
from trialjob.orchestrator.journals.store import Document


class S3Documents:
    """Documents that are objects, replaced by compare-and-swap."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def read(self, key: str) -> Document | None:
        found = self._objects.get(key)
        return None if found is None else Document(data=found.data or b"", etag=found.etag)

    def write(self, key: str, data: bytes, *, replacing: str | None) -> None:
        try:
            self._objects.put(key, data, replacing=replacing)
        except NotMet as not_met:
            raise JournalConflict(f"somebody else has written {self._objects.uri}/{key}") from not_met

    def names(self, folder: str) -> Sequence[str]:
        return [row.name for row in self._objects.listing(f"{folder}/") if row.name]
