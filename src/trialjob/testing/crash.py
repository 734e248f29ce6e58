"""Processes that die at a chosen call: a journal and a backend with a fuse in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from trialjob.model.ids import JobName
from trialjob.model.job import JobRequest, JobSeen, Watch
from trialjob.orchestrator.core.events import Event, Record
from trialjob.orchestrator.ports import JobBackend, Journal, Postponed, Rejected, Submitted

T = TypeVar("T")


class Crash(BaseException):
    """The process dies here; no ``except Exception`` may see it."""


class Fuse:
    """Blows at the ``blows_at``-th call that passes it (counted from 1), before or after its effect."""

    def __init__(self, blows_at: int = 0, *, after: bool = False) -> None:
        self.passed = 0
        self._blows_at = blows_at
        self._after = after

    def call(self, function: Callable[[], T]) -> T:
        self.passed += 1
        blows = self.passed == self._blows_at
        if blows and not self._after:
            raise Crash
        result = function()
        if blows:
            raise Crash
        return result


class Calls(Protocol):
    """What a call goes through: a fuse, for example."""

    def call(self, function: Callable[[], T]) -> T: ...


class FusedJournal:
    """A journal whose appends go through a fuse."""

    def __init__(self, journal: Journal, fuse: Calls) -> None:
        self._journal = journal
        self._fuse = fuse

    def read(self, after: int = 0) -> Sequence[Record]:
        return self._journal.read(after)

    def append(self, events: Sequence[Event], *, after: int, at: float) -> Record:
        return self._fuse.call(lambda: self._journal.append(events, after=after, at=at))

    def receive(self, records: Sequence[Record]) -> None:
        self._fuse.call(lambda: self._journal.receive(records))

    def hold(self, seconds: float = 60.0) -> AbstractContextManager[None]:
        return self._journal.hold(seconds)

    def holder(self) -> str | None:
        return self._journal.holder()


class FusedBackend:
    """A backend whose every call goes through a fuse."""

    def __init__(self, backend: JobBackend, fuse: Calls) -> None:
        self._backend = backend
        self._fuse = fuse

    def submit(self, request: JobRequest) -> Submitted | Postponed | Rejected:
        return self._fuse.call(lambda: self._backend.submit(request))

    def stop(self, job: JobName, digest: str = "") -> bool:
        return self._fuse.call(lambda: self._backend.stop(job, digest))

    def observe(self, watched: Sequence[Watch]) -> Sequence[JobSeen]:
        return self._fuse.call(lambda: self._backend.observe(watched))

    def end_pools(self, jobs: Sequence[JobName]) -> bool:
        return self._fuse.call(lambda: self._backend.end_pools(jobs))

    def close(self) -> None:
        self._backend.close()
