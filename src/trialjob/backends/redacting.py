"""A backend in front of another one, from which nothing secret comes back.

Rule: a line of a log is handed on as it was written, since numbers are read off it; what is journaled and
shown of it is masked there. All other words (why a job failed, the end of its log, what was refused) are
masked here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from trialjob.errors import TrialjobError
from trialjob.model.ids import JobName
from trialjob.model.job import JobEnd, JobRequest, JobSeen, Watch
from trialjob.orchestrator.ports import JobBackend, Postponed, Rejected, Submitted


class DiscreetBackend:
    """Runs jobs elsewhere, and says what became of them in words without secrets."""

    def __init__(self, backend: JobBackend, mask: Callable[[str], str]) -> None:
        self._backend = backend
        self._mask = mask

    def submit(self, request: JobRequest) -> Submitted | Postponed | Rejected:
        with masked_errors(self._mask):
            answer = self._backend.submit(request)
        return answer if isinstance(answer, Submitted) else replace(answer, reason=self._mask(answer.reason))

    def stop(self, job: JobName, digest: str = "") -> bool:
        with masked_errors(self._mask):
            return self._backend.stop(job, digest)

    def observe(self, watched: Sequence[Watch]) -> Sequence[JobSeen]:
        with masked_errors(self._mask):
            return [self._discreet(seen) for seen in self._backend.observe(watched)]

    def end_pools(self, jobs: Sequence[JobName]) -> bool:
        with masked_errors(self._mask):
            return self._backend.end_pools(jobs)

    def close(self) -> None:
        self._backend.close()

    def _discreet(self, seen: JobSeen) -> JobSeen:
        return replace(seen, end=self._masked_end(seen.end), over=self._masked_end(seen.over))

    def _masked_end(self, end: JobEnd | None) -> JobEnd | None:
        if end is None:
            return None
        return replace(end, message=self._mask(end.message), tail=self._mask(end.tail))


@contextmanager
def masked_errors(mask: Callable[[str], str]) -> Iterator[None]:
    """Errors of ours come out of here in words without secrets."""
    try:
        yield
    except TrialjobError as error:
        error.args = tuple(mask(said) if isinstance(said, str) else said for said in error.args)
        raise
