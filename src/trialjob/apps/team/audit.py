"""Who has done what, from where, and with what outcome: a log to which is only added.

Rule: a record has no body and no token of a request, and is written once; nothing replaces it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

from trialjob.apps.team import json_documents
from trialjob.errors import JournalConflict
from trialjob.orchestrator.journals.store import BaseStore
from trialjob.orchestrator.ports import Clock

_FOLDER: Final = f"{json_documents.FOLDER}/audit"
#: Of what a caller sends, so many characters are kept.
_LONGEST: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One thing that was done, or tried."""

    #: The id of the token, or who used the command line.
    who: str
    tenant: str
    what: str
    #: An address, or a machine.
    origin: str
    #: An HTTP status, or "done".
    outcome: str


class AuditLog:
    """``_team/audit/`` of a store: a folder for each day, and in it a file for each act."""

    def __init__(self, store: BaseStore, clock: Clock) -> None:
        self._documents, self._clock = store.documents(), clock

    def add(self, act: Act) -> None:
        """Raises StoreError."""
        at = datetime.fromtimestamp(self._clock.now(), tz=UTC)
        row = {"at": at.isoformat(timespec="milliseconds"), **asdict(act)}
        data = json.dumps({name: value[:_LONGEST] for name, value in row.items()}).encode()
        name = f"{at:%H%M%S.%f}-{secrets.token_hex(4)}.json"
        # Another answer than the first to the same write says that it was there already.
        with suppress(JournalConflict):
            self._documents.write(f"{_FOLDER}/{at:%Y-%m-%d}/{name}", data, replacing=None)

    def read(self, day: str, *, last: int, tenant: str | None = None) -> Sequence[dict[str, str]]:
        """The ``last`` acts of a day, such as 2026-11-29, the newest first; of one tenant, if it is named."""
        folder = f"{_FOLDER}/{day}"
        found: list[dict[str, str]] = []
        for name in reversed(self._documents.names(folder)):
            document = self._documents.read(f"{folder}/{name}")
            row = json.loads(document.data) if document is not None else {}
            if row and tenant in (None, row.get("tenant")):
                found.append(row)
            if len(found) == last:
                break
        return found

    def today(self) -> str:
        return datetime.fromtimestamp(self._clock.now(), tz=UTC).strftime("%Y-%m-%d")
