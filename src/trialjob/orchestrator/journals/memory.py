"""A journal in memory: for tests, simulations and dry runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from trialjob.errors import ExperimentBusy, JournalConflict
from trialjob.model.ids import ExperimentName
from trialjob.orchestrator.core.events import Event, Record
from trialjob.orchestrator.journals.bundles import check_bundle, check_digest
from trialjob.orchestrator.journals.prefix import begins_alike


class MemoryJournal:
    """Forgets everything with the process."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._held = False

    def read(self, after: int = 0) -> Sequence[Record]:
        return self._records[after:]

    def append(self, events: Sequence[Event], *, after: int, at: float) -> Record:
        if len(self._records) != after:
            raise JournalConflict(f"the journal is at version {len(self._records)}, not {after}")
        record = Record(version=after + 1, at=at, events=tuple(events))
        self._records.append(record)
        return record

    def receive(self, records: Sequence[Record]) -> None:
        if begins_alike(self._records, records):
            self._records.extend(records[len(self._records) :])

    @contextmanager
    def hold(self, seconds: float = 60.0) -> Iterator[None]:  # noqa: ARG002 - it dies with its holder
        if self._held:
            raise ExperimentBusy("held by another orchestrator in this process")
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def holder(self) -> str | None:
        return "this process" if self._held else None


class MemoryStore:
    """Journals in memory, by name."""

    def __init__(self) -> None:
        self._journals: dict[ExperimentName, MemoryJournal] = {}
        self._bundles: dict[str, bytes] = {}

    def names(self) -> Sequence[ExperimentName]:
        return sorted(name for name, journal in self._journals.items() if journal.read())

    def journal(self, name: ExperimentName) -> MemoryJournal:
        return self._journals.setdefault(name, MemoryJournal())

    def where(self, name: str = "") -> str:
        return f"memory {name}".rstrip()

    def bundle(self, name: ExperimentName, digest: str) -> bytes:
        return self._bundles[check_digest(digest, name)]

    def keep_bundle(self, name: ExperimentName, digest: str, data: bytes) -> None:
        self._bundles[check_digest(digest, name)] = check_bundle(digest, data, f"the code of {name}")
