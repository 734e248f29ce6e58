"""What invocations of a function have found out about the experiments of a store, for those to come.

Rule 1: it is a help and no truth. It may be lost, damaged or overtaken at any time, which costs some reading
and a place in a queue; so it is never waited for, and whoever loses a race leaves it as it is.
Rule 2: that an experiment is over is known of one content of its head only, by its ETag.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from typing import Final

from trialjob.errors import StoreError
from trialjob.orchestrator.journals.objects import NotMet, Objects
from trialjob.orchestrator.journals.store import FailedTurn, KnownTurns

_KEY: Final = "lambda/turns.json"


class TurnBook:
    """``lambda/turns.json`` of a store."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._etag: str | None = None
        self._read = KnownTurns()

    def read(self) -> KnownTurns:
        """What was found out; nothing when that cannot be read."""
        with suppress(StoreError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            found = self._objects.get(_KEY)
            if found is not None:
                self._etag = found.etag
                told = json.loads(found.data or b"")
                failed = {str(name): FailedTurn(**row) for name, row in told["failed"].items()}
                ages = [float(turn.at) for turn in failed.values()]
                over = {str(name): str(etag) for name, etag in told["over"].items()}
                self._read = KnownTurns(over=over, failed=failed if all(age > 0 for age in ages) else {})
        return self._read

    def write(self, turns: KnownTurns) -> None:
        """Let others know, if it is anything new."""
        if turns != self._read:
            data = json.dumps(asdict(turns), sort_keys=True, indent=1).encode()
            with suppress(StoreError, NotMet):
                self._objects.put(_KEY, data, replacing=self._etag)
