"""What a store is outside of its own module: a class found by the scheme of its addresses.

Rule: code that opens, lists, moves or steps experiments asks this and knows no store by name. Five methods
say where journals and code are; everything else has a default that means "nothing to say".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, Self

from trialjob.errors import StoreError, UsageError
from trialjob.model.ids import ExperimentName
from trialjob.model.job import LogLine
from trialjob.model.json import Json
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.ports import ArtifactSource, Clock, ExperimentStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """Something that a store has."""

    name: str
    #: Another one for each other content.
    etag: str
    #: When it was written, in seconds since the epoch by the store's clock.
    written: float


class Inbox:
    """What others have put into a store to be started; nothing where it takes nothing from others."""

    def waiting(self) -> Sequence[Listed]:
        """What waits, that which has waited longest first."""
        return ()

    def read(self, name: str) -> bytes | None:  # noqa: ARG002 - for those that have files
        """A file's content; None when it has left the inbox meanwhile."""
        return None

    def done(self, file: Listed) -> None:
        """It has been dealt with."""

    def failed(self, file: Listed, reason: str) -> None:
        """It cannot be dealt with; the reason is put beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document as it was read."""

    data: bytes
    #: Another one for each other content.
    etag: str


class Documents(Protocol):
    """Small files beside the experiments, for what is true of several of them: who may, and how much."""

    def read(self, key: str) -> Document | None:
        """What is there; None when nothing is."""

    def write(self, key: str, data: bytes, *, replacing: str | None) -> None:
        """Replace what has the ETag ``replacing``; None: what is not there yet. Durable when it returns.

        Raises JournalConflict, having written nothing, when something else is there. After StoreUnavailable
        it may have been written.
        """

    def names(self, folder: str) -> Sequence[str]:
        """What is directly in a folder, sorted."""


class Service(Protocol):
    """A server that runs a store's experiments in our place."""

    def send(
        self, data: bytes, *, name: str | None = None, key: str | None = None, accept_uncapped: bool = False
    ) -> str:
        """Start what an archive of spec and code asks for; returns its name."""

    def room(self, data: Callable[[], bytes]) -> Mapping[str, Json] | None:
        """What the budget says from which an archive's experiment would be paid; None where none is asked."""

    def listed(self) -> Sequence[Mapping[str, Json]]:
        """Its experiments, each as `trialjob list --format json` tells of it."""

    def stop(self, name: str) -> None:
        """Bring about its end."""

    def resume(self, name: str) -> None:
        """Let it go on."""

    def set_limits(self, name: str, **limits: Json) -> object:
        """Agree to other limits; None takes one away."""

    def lines(self, name: str, trial: int, attempt: int, cursor: str) -> Sequence[LogLine]:
        """Some lines of a log behind ``cursor``."""

    def follow(self, name: str, trial: int, attempt: int, cursor: str) -> Iterator[Sequence[LogLine]]:
        """The lines of an attempt's log behind ``cursor`` as they come, until it has ended."""

    def artifacts(self, state: State) -> ArtifactSource:
        """What the jobs of an experiment have left behind."""


class BaseStore(ExperimentStore):
    """Where experiments are kept.

    ``where`` gives the address, which ``open`` takes in any folder; with a name, where that experiment is.
    """

    #: The scheme of its addresses.
    kind: ClassVar[str] = ""
    #: Its address means the same on every machine.
    is_shared: ClassVar[bool] = False

    @classmethod
    def open(cls, address: str, clock: Clock) -> Self:
        """The store at an address, which need not exist yet. Raises ValueError, which says what is wrong."""
        raise NotImplementedError

    # What not every store has

    def has_code(self, name: ExperimentName) -> bool:  # noqa: ARG002 - for those that look
        """Whether some code was brought here for it; that comes before the journal."""
        return False

    def check_not_lost(self, name: ExperimentName) -> None:
        """Raises JournalCorrupt where an experiment was run whose journal has nothing any more."""

    def folder(self, name: ExperimentName) -> Path | None:  # noqa: ARG002 - for those that have one
        """A folder of this machine for what jobs of an experiment keep here; None where there is none."""
        return None

    def files(self) -> Sequence[Path]:
        """Its own files on this machine, which are no part of the user's code."""
        return ()

    def ahead(self) -> float:
        """How many seconds the clock that all its orchestrators go by is ahead of this machine's."""
        return 0.0

    def forget(self, name: ExperimentName) -> None:
        """Remove the journal of an experiment for good. Raises UsageError where nothing may be removed."""
        raise UsageError(f"{self.where()} removes nothing; remove {name} by its own tools")

    def clear(self, name: ExperimentName) -> None:
        """Remove what else it has of an experiment whose journal is gone."""

    # What a schedule without a machine asks

    def heads(self) -> Mapping[ExperimentName, Listed]:
        """Each experiment's newest state, that written longest ago first."""
        found: dict[ExperimentName, Listed] = {}
        for name in self.names():
            try:
                last = self.journal(name).read()[-1]
                found[name] = Listed(name=name, etag=str(last.version), written=last.at)
            except (StoreError, IndexError):  # what is wrong with it is said in its own turn
                found[name] = Listed(name=name, etag="", written=0.0)
        return dict(sorted(found.items(), key=lambda item: item[1].written))

    def inbox(self) -> Inbox:
        """What others have put there to be started."""
        return Inbox()

    # What a team needs

    def documents(self) -> Documents:
        """Files that are replaced as a whole. Raises UsageError where there are none."""
        raise UsageError(f"{self.where()} keeps no tenants; use a folder or s3://bucket/prefix")

    def beside(self, name: ExperimentName) -> str:
        """The folder of documents that go with one experiment, and are removed with it."""
        return f"experiments/{name}"

    # What is run elsewhere

    def service(self) -> Service | None:
        """The service that runs its experiments; None: the process that has opened it."""
        return None

    def close(self) -> None:
        """Give back what only this process holds, before it forks; it is opened again when it is needed."""
