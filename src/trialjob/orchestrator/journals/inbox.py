"""What others have put into a store of S3 to be started. It must not know what the objects hold.

Rule: an object leaves the inbox by a copy first and a removal then. A process that breaks off in between,
or is not alone, finds it once more; so what is done with an object must be harmless when done again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from trialjob.orchestrator.journals.objects import NotMet, Objects
from trialjob.orchestrator.journals.store import Inbox, Listed


class S3Inbox(Inbox):
    """``inbox/`` of a store, with ``inbox-done/`` and ``inbox-failed/`` beside it."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def waiting(self) -> Sequence[Listed]:
        rows = sorted(self._objects.listing("inbox/"), key=lambda row: row.written)
        return [row for row in rows if row.name]

    def read(self, name: str) -> bytes | None:
        found = self._objects.get(f"inbox/{name}")
        return None if found is None else found.data

    def done(self, file: Listed) -> None:
        self._move(file, "inbox-done")

    def failed(self, file: Listed, reason: str) -> None:
        self._objects.keep(f"inbox-failed/{file.name}.txt", f"{reason}\n".encode())
        self._move(file, "inbox-failed")

    def _move(self, file: Listed, folder: str) -> None:
        # Another that came by that name meanwhile stays.
        with suppress(NotMet):
            self._objects.copy(f"inbox/{file.name}", f"{folder}/{file.name}", etag=file.etag)
            self._objects.remove(f"inbox/{file.name}")
