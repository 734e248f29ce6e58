"""What others have put into a store of S3 to be started. It must not know what the objects hold.

Rule: an object leaves the inbox by a copy first and a removal then. Whoever breaks off in between, or is not
alone, finds it once more; so whatever is done with an object must be harmless when it is done again.
"""

from __future__ import annotations

from collections.abc import Sequence

from trialjob.orchestrator.journals.objects import Objects


class Inbox:
    """``inbox/`` of a store, with ``inbox-done/`` and ``inbox-failed/`` beside it."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def names(self) -> Sequence[str]:
        """What waits, that which has waited longest first."""
        rows = sorted(self._objects.listing("inbox/"), key=lambda row: row.written)
        return [row.name for row in rows if row.name]

    def read(self, name: str) -> bytes | None:
        """An object's content; None when it has left the inbox meanwhile."""
        found = self._objects.get(f"inbox/{name}")
        return None if found is None else found.data

    def done(self, name: str, data: bytes) -> None:
        """It has been dealt with."""
        self._move(name, data, "inbox-done")

    def failed(self, name: str, data: bytes, reason: str) -> None:
        """It cannot be dealt with; the reason is put beside it."""
        self._objects.keep(f"inbox-failed/{name}.txt", f"{reason}\n".encode())
        self._move(name, data, "inbox-failed")

    def _move(self, name: str, data: bytes, folder: str) -> None:
        self._objects.keep(f"{folder}/{name}", data)
        self._objects.remove(f"inbox/{name}")
