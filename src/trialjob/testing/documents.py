"""Documents in memory, which forget everything with the process."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from trialjob.errors import JournalConflict
from trialjob.orchestrator.journals.store import Document


class MemoryDocuments:
    """As the documents of a store."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def read(self, key: str) -> Document | None:
        data = self.kept.get(key)
        return None if data is None else Document(data=data, etag=hashlib.sha256(data).hexdigest())

    def write(self, key: str, data: bytes, *, replacing: str | None) -> None:
        found = self.read(key)
        if (None if found is None else found.etag) != replacing:
            raise JournalConflict(f"another process has written {key}")
        self.kept[key] = data

    def names(self, folder: str) -> Sequence[str]:
        inside = (key.removeprefix(f"{folder}/") for key in self.kept if key.startswith(f"{folder}/"))
        return sorted(name for name in inside if "/" not in name)
