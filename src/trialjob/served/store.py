"""A store that a server has: read over its API, and run by the server in our place.

Rule: what is read here is what the server's journals say, record by record, so that every command that reads
works as it does on the store itself. Whatever would write a journal is the server's to do, and is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import ClassVar, NoReturn, Self

from trialjob.errors import JournalReplaced, NoSuchExperiment, UsageError
from trialjob.model.ids import ExperimentName
from trialjob.orchestrator.core.events import Event, Record
from trialjob.orchestrator.journals.bundles import check_bundle
from trialjob.orchestrator.journals.codec import decode
from trialjob.orchestrator.journals.store import BaseStore, Documents, Service
from trialjob.orchestrator.ports import Clock, Journal
from trialjob.served.address import normal
from trialjob.served.client import Client
from trialjob.served.http_client import HttpClient, named

#: What is listed at once.
_PAGE = 500


class ServedJournal:
    """The journal of an experiment, to be read."""

    def __init__(self, http: HttpClient, name: ExperimentName) -> None:
        self._http, self._path, self._name = http, f"/v1/experiments/{named(name)}", name
        #: Version and time of the last record that was read, by which another experiment of the name is told.
        self._last: tuple[int, float] | None = None

    def read(self, after: int = 0) -> Sequence[Record]:
        begin = after if self._last is None else min(after, self._last[0] - 1)
        where = f"{self._name} of {self._http.address}"
        try:
            answer = self._http.ask("GET", f"{self._path}/records", query={"after": begin})
            records = [decode(line, where) for line in answer.body.splitlines(keepends=True)]
        except NoSuchExperiment:
            records = []
        if self._last is not None and all((each.version, each.at) != self._last for each in records):
            raise JournalReplaced(
                f"{where} is not the experiment any more that was read before: it was removed, or another "
                "one has its name\n  → look at it again"
            )
        if records:
            self._last = records[-1].version, records[-1].at
        return [each for each in records if each.version > after]

    def holder(self) -> str | None:
        """Who runs it, as the server sees it."""
        run_by = self._http.ask("GET", self._path).json().get("run_by")
        return None if run_by is None else str(run_by)

    def append(self, events: Sequence[Event], *, after: int, at: float) -> Record:  # noqa: ARG002 - the port
        self._refuse()

    def receive(self, records: Sequence[Record]) -> None:  # noqa: ARG002 - the port
        self._refuse()

    def hold(self, seconds: float = 60.0) -> AbstractContextManager[None]:  # noqa: ARG002 - the port
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise not_here(self._http.address, "this")


class ServedStore(BaseStore):
    """The experiments that a server lets one see."""

    kind: ClassVar[str] = "https"
    is_shared: ClassVar[bool] = True

    def __init__(self, http: HttpClient) -> None:
        self._http = http

    @classmethod
    def open(cls, address: str, clock: Clock) -> Self:
        """Nothing is asked of the server yet. Raises ValueError."""
        return cls(HttpClient(normal(address), clock))

    def names(self) -> Sequence[ExperimentName]:
        found, after = list[ExperimentName](), ""
        while True:
            page = self._http.ask("GET", "/v1/experiments", query={"after": after, "limit": _PAGE}).json()
            found += [ExperimentName(each["name"]) for each in page["items"]]
            if not (after := page["next"]):
                return sorted(found)

    def journal(self, name: ExperimentName) -> Journal:
        return ServedJournal(self._http, name)

    def where(self, name: str = "") -> str:
        return f"{self._http.address}/v1/experiments/{named(name)}" if name else self._http.address

    def bundle(self, name: ExperimentName, digest: str) -> bytes:
        data = self._http.ask("GET", f"/v1/experiments/{named(name)}/code").body
        return check_bundle(digest, data, self.where(name))

    def keep_bundle(self, name: ExperimentName, digest: str, data: bytes) -> None:  # noqa: ARG002 - the port
        raise not_here(self._http.address, "this")

    def forget(self, name: ExperimentName) -> None:
        self._http.ask("DELETE", f"/v1/experiments/{named(name)}")

    def documents(self) -> Documents:
        raise not_here(self._http.address, "tenants and tokens")

    def service(self) -> Service:
        return Client(self._http.address)


def not_here(address: str, what: str) -> UsageError:
    """The error for what only a machine that has the store itself can do."""
    return UsageError(
        f"{what} cannot be done through {address}, whose server alone writes there\n"
        "  → do it where the store is, with --store FOLDER or --store s3://bucket/prefix"
    )
