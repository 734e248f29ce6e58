"""The leases of one experiment, kept in its store: a document a job, replaced by conditional writes.

Rule: a change is made on what was just read, and made again when another writer was quicker. So a server that
is killed between any two of them, and a second server beside it, lose and double nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

from trialjob.backends.external.lease import Lease
from trialjob.errors import JournalConflict, StoreError, StoreUnavailable
from trialjob.model.ids import ExperimentName, JobName
from trialjob.orchestrator.journals.store import BaseStore
from trialjob.orchestrator.ports import Clock

#: A change is tried so often, with waits of 0.02 s, 0.04 s, 0.08 s, …
_TRIES, _WAIT = 8, 0.02
_FORMAT: Final = 1


class Leases:
    """Reads and changes them."""

    def __init__(self, store: BaseStore, name: ExperimentName, clock: Clock) -> None:
        self._documents, self._clock = store.documents(), clock
        self._folder = f"{store.beside(name)}/leases"

    def read(self, job: JobName) -> Lease | None:
        """None for a job that was never asked for."""
        found = self._documents.read(self._key(job))
        return None if found is None else self._parsed(found.data, job)

    def change(self, job: JobName, make: Callable[[Lease | None], Lease]) -> Lease:
        """Replace it by what ``make`` makes of it, which is returned; ``make`` raises when it may not be."""
        for attempt in range(_TRIES):
            found = self._documents.read(self._key(job))
            old = None if found is None else self._parsed(found.data, job)
            new = make(old)
            if new == old:
                return new
            data = json.dumps({"v": _FORMAT, **new.written()}).encode()
            try:
                self._documents.write(self._key(job), data, replacing=None if found is None else found.etag)
            except JournalConflict:
                self._clock.sleep(_WAIT * 2**attempt)
            else:
                return new
        raise StoreUnavailable(f"too many change the lease of {job} at once")

    def _key(self, job: JobName) -> str:
        return f"{self._folder}/{job}.json"

    def _parsed(self, data: bytes, job: JobName) -> Lease:
        try:
            fields = json.loads(data)
            if fields["v"] > _FORMAT:
                raise StoreError(f"the lease of {job} was written by a newer trialjob; upgrade trialjob")
            return Lease.parse(fields)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise StoreError(
                f"the lease of {job} is damaged ({type(error).__name__}); restore it from a backup"
            ) from error
