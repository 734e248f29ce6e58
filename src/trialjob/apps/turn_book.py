"""What invocations of a function have found out about the experiments of a store, for those to come.

Rule 1: it is a help and no truth. It may be lost, damaged or overtaken at any time, which costs some reading
and a place in a queue; so it is never waited for, and the loser of a race leaves it as it is.
Rule 2: that an experiment is over is known of one content of its head only, by its ETag.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Final

from trialjob.errors import TrialjobError
from trialjob.orchestrator.journals.store import BaseStore

_KEY: Final = "lambda/turns.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedTurn:
    """A turn that an experiment had in vain."""

    #: In seconds since the epoch, by the store's clock.
    at: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTurns:
    """What is known, by the names of the experiments."""

    #: The ETags of the heads of those that are over.
    over: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, FailedTurn] = field(default_factory=dict)


class TurnBook:
    """``lambda/turns.json`` of a store; where that keeps no documents, nothing is known."""

    def __init__(self, store: BaseStore) -> None:
        self._store = store
        self._etag: str | None = None
        self._read = KnownTurns()

    def read(self) -> KnownTurns:
        """What was found out; nothing when that cannot be read."""
        with suppress(TrialjobError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            found = self._store.documents().read(_KEY)
            if found is not None:
                self._etag = found.etag
                document = json.loads(found.data)
                failed = {str(name): FailedTurn(**row) for name, row in document["failed"].items()}
                ages = [float(turn.at) for turn in failed.values()]
                over = {str(name): str(etag) for name, etag in document["over"].items()}
                self._read = KnownTurns(over=over, failed=failed if all(age > 0 for age in ages) else {})
        return self._read

    def write(self, turns: KnownTurns) -> None:
        """Let others know, if it is anything new."""
        if turns != self._read:
            data = json.dumps(asdict(turns), sort_keys=True, indent=1).encode()
            with suppress(TrialjobError):
                self._store.documents().write(_KEY, data, replacing=self._etag)
