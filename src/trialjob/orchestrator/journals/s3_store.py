"""A store in S3: experiments below one prefix of a bucket, and what others leave beside them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

from trialjob.errors import JournalConflict, JournalCorrupt, StoreError
from trialjob.model.ids import ExperimentName
from trialjob.model.s3 import S3Address
from trialjob.orchestrator.journals.bundles import check_bundle, check_digest
from trialjob.orchestrator.journals.inbox import S3Inbox
from trialjob.orchestrator.journals.objects import NotMet, Objects
from trialjob.orchestrator.journals.s3 import MARK, SUFFIX, S3Journal
from trialjob.orchestrator.journals.store import BaseStore, Document, Listed
from trialjob.orchestrator.ports import Clock


class S3Store(BaseStore):
    """Experiments below one prefix of a bucket."""

    kind: ClassVar[str] = "s3"
    is_shared: ClassVar[bool] = True

    def __init__(self, objects: Objects, clock: Clock) -> None:
        self._objects = objects
        self._clock = clock

    @classmethod
    def open(cls, address: str, clock: Clock) -> Self:
        place = S3Address.parse(address)
        return cls(Objects(place.bucket, place.key, clock), clock)

    def names(self) -> Sequence[ExperimentName]:
        return sorted(self.heads())

    def heads(self) -> Mapping[ExperimentName, Listed]:
        """Each experiment's head, that written longest ago first.

        A step takes the lease and gives it back, so that is the one least recently stepped.
        """
        rows = sorted(self._objects.listing("journals/"), key=lambda row: row.written)
        return {
            ExperimentName(row.name.removesuffix(SUFFIX)): row for row in rows if row.name.endswith(SUFFIX)
        }

    def close(self) -> None:
        """Close the connections; new ones are made when they are needed."""
        self._objects.close()

    def inbox(self) -> S3Inbox:
        return S3Inbox(self._objects)

    def documents(self) -> S3Documents:
        return S3Documents(self._objects)

    def journal(self, name: ExperimentName) -> S3Journal:
        return S3Journal(self._objects, name, self._clock)

    def ahead(self) -> float:
        """How many seconds the clock of S3 is ahead of this machine's, as far as it has answered."""
        return self._objects.ahead

    def where(self, name: str = "") -> str:
        return f"{self._objects.uri}/experiments/{name}" if name else self._objects.uri

    def bundle(self, name: ExperimentName, digest: str) -> bytes:
        found = self._objects.get(self._bundle(name, digest))
        if found is None or found.data is None:
            raise StoreError(f"{self._objects.uri}/{self._bundle(name, digest)} is missing; restore it")
        return check_bundle(digest, found.data, f"{self._objects.uri}/{self._bundle(name, digest)}")

    def has_code(self, name: ExperimentName) -> bool:
        """Whether some code was brought here for it; that comes before the journal."""
        return any(self._objects.listing(f"experiments/{name}/bundles/"))

    def check_not_lost(self, name: ExperimentName) -> None:
        if self._objects.get(MARK.format(name)) is None or self.journal(name).read():
            return
        raise JournalCorrupt(
            f"{self._objects.uri}/journals/{name}{SUFFIX} has nothing any more, of an experiment that was"
            f" begun: its jobs, {name}-0001-1 and so on, may still run, and would be started a second time.\n"
            "  → restore an earlier version of the object, if the bucket keeps them; without one, end its"
            f" jobs where they run, and then `aws s3 rm {shlex.quote(self.where(name) + '/begun')}`"
        )

    def forget(self, name: ExperimentName) -> None:
        """Remove the journal of an experiment that this process holds."""
        # First what says that it was begun: a removal that is broken off here is no loss of a journal.
        self._objects.remove(MARK.format(name))
        self._objects.remove(f"journals/{name}{SUFFIX}")

    def clear(self, name: ExperimentName) -> None:
        """Remove what is left of an experiment whose journal is gone."""
        self._objects.remove_below(f"experiments/{name}/")

    def keep_bundle(self, name: ExperimentName, digest: str, data: bytes) -> None:
        key = self._bundle(name, digest)
        self._objects.keep(key, check_bundle(digest, data, f"what was to be kept as {key}"))

    @staticmethod
    def _bundle(name: ExperimentName, digest: str) -> str:
        return f"experiments/{name}/bundles/{check_digest(digest, name)}.tar.gz"


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
            raise JournalConflict(f"another process has written {self._objects.uri}/{key}") from not_met

    def names(self, folder: str) -> Sequence[str]:
        return [row.name for row in self._objects.listing(f"{folder}/") if row.name]
