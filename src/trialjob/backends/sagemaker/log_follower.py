"""Reads the logs of all watched jobs by one call, and the log of one job to its end.

It decides when and from where on to read; ``logs`` decides what is a line and what is new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from trialjob.aws import faults
from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.backends.sagemaker.logs import LogBuffer, tail_of
from trialjob.model.ids import JobName
from trialjob.model.job import LogLine

#: Lines are waited for so long after a job's end at most, however late others came.
_LONGEST_SETTLE: Final = 120.0
#: And so long again at most while there are still new ones.
_PATIENCE: Final = 60.0
#: One log is read from so many milliseconds before its mark on: lines come out of order.
_OVERLAP_MS: Final = 60_000
#: And those of all jobs, or of one that has ended, from so many before.
_BEFORE_MS: Final = 30_000
#: Logs that nothing waits for are read together, so many seconds of ends at a time, and so many logs.
_TOGETHER: Final = 45.0
_MOST: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A job that has ended, whose log is to be read to its end; times by the service's clock."""

    job: JobName
    began: float
    ended: float
    #: Something waits for what the log may tell.
    urgent: bool = True


@dataclass(slots=True)
class _Read:
    """One read of many pages, which may take more than one step."""

    #: What the names of streams begin with, or these streams.
    streams: str | tuple[str, ...]
    jobs: frozenset[JobName]
    since: int
    is_whole: bool = False
    token: str | None = None
    rows: list[Mapping[str, Any]] = field(default_factory=list)


class Follower:
    """Keeps a book up to date."""

    def __init__(
        self,
        client: SageMakerClient,
        prefix: str,
        *,
        settle: float,
    ) -> None:
        self.book = LogBuffer()
        self._client = client
        self._prefix = prefix
        self._settle = settle
        self._shared: _Read | None = None
        #: All that there was of all jobs was read by the newest look.
        self._is_whole = False
        #: The reads of ended jobs' logs, which some have in common; and jobs that have had one so in vain.
        self._single: dict[JobName, _Read] = {}
        self._alone: set[JobName] = set()
        #: The last lines of logs that have been read to their end.
        self._tails: dict[JobName, str] = {}

    def watch(self, job: JobName, cursor: str, began: float) -> None:
        """Follow a job from ``cursor`` on; ``began`` is when it was created."""
        if self.book.watch(job, cursor, round(began * 1000)):
            self._tails.pop(job, None)
            self._single.pop(job, None)
            if self._shared is not None:
                # It began before it was known how far back this job must be read.
                self._shared.jobs -= {job}

    def read(self) -> None:
        """Read what is new of all jobs, as far as the tokens reach. Raises a Fault."""
        since = self.book.since()
        self._is_whole = False
        if self._shared is None:
            if since is None:
                return
            # The prefix ends in a hyphen, so that run1 does not read the logs of run10.
            self._shared = _Read(streams=f"{self._prefix}-", jobs=self.book.jobs, since=since - _BEFORE_MS)
        if self._pages(self._shared):
            read, self._shared = self._shared, None
            self.book.absorb(read.rows, read.jobs)
            self._is_whole = True

    @property
    def behind(self) -> float | None:
        """How many seconds of the logs may not have come yet; None while unknown.

        That is so until a first line shows that there are logs at all, and how late they come.
        """
        return self._settling() if self._is_whole and self.book.is_begun else None

    def drain(self, ended: Sequence[Ended]) -> set[JobName]:
        """Read the logs of ended jobs once more, from their beginnings; of which nothing can be new any more.

        Raises a Fault.
        """
        due = [one for one in ended if one.job not in self._tails and self._is_due(one)]
        self._share([one for one in due if one.job not in self._single])
        for one in due:
            self._drain(one)
        return {one.job for one in ended if one.job in self._tails}

    def _is_due(self, one: Ended) -> bool:
        # Both by the service's clock: ours may be ahead, and lines that come late would be lost.
        settled, now = one.ended + self._settling(), self._client.time()
        if one.urgent or now < settled:
            return now >= settled
        return now // _TOGETHER > settled // _TOGETHER

    def _share(self, due: Sequence[Ended]) -> None:
        """Have one call read the logs of several jobs, each of which has one stream that is known."""
        streams = {one: stream for one in due if (stream := self.book.stream(one.job))}
        chosen = [one for one in streams if one.job not in self._alone][:_MOST]
        if len(chosen) > 1:
            read = _Read(
                streams=tuple(f"{one.job}/{streams[one]}" for one in chosen),
                jobs=frozenset(one.job for one in chosen),
                since=self._beginning(min(one.began for one in chosen)),
            )
            self._single |= dict.fromkeys(read.jobs, read)

    def _beginning(self, began: float) -> int:
        return round(began * 1000) - _BEFORE_MS

    def _drain(self, one: Ended) -> None:
        job = one.job
        alone = _Read(streams=f"{job}/", jobs=frozenset([job]), since=self._beginning(one.began))
        read = self._single.setdefault(job, alone)
        try:
            if not self._pages(read):
                return
        except faults.NotFound:
            # A stream that was removed; the others' logs are all there.
            self._alone |= read.jobs
            self._single = {other: kept for other, kept in self._single.items() if kept is not read}
            return
        del self._single[job]
        rows = [row for row in read.rows if row.get("logStreamName", "").startswith(f"{job}/")]
        # Where one line comes this late, more may follow; but a process that makes one step and exits would
        # find the same lines new for ever.
        is_new = self.book.absorb(rows, [job])
        # The lines themselves tell how late they come, and this process may not have seen any before.
        if self._client.time() - one.ended < self._settling() + (_PATIENCE if is_new else 0.0):
            return
        self.book.release(job)
        self._tails[job] = tail_of(rows)

    def _settling(self) -> float:
        """How long after its end new lines of a job may still come."""
        return min(_LONGEST_SETTLE, max(self._settle, self.book.lag / 1000 * 1.5))

    def tail(self, job: JobName) -> str:
        """The end of a drained log."""
        return self._tails.get(job, "")

    def keep(self, jobs: set[JobName]) -> None:
        """Forget all others."""
        self.book.keep(jobs)
        for job in self._tails.keys() - jobs:
            del self._tails[job]
        for job in self._single.keys() - jobs:
            del self._single[job]
        self._alone &= jobs

    def _pages(self, read: _Read) -> bool:
        """Read on; True at the last page. A throttle or a lost answer leaves the rest to the next step."""
        while not read.is_whole:
            try:
                page = self._client.log_events(read.streams, since=read.since, token=read.token)
            except faults.Throttled:
                return False
            except faults.Invalid:
                if read.token is None:
                    raise
                # The token has grown too old: begin again.
                read.token, read.rows = None, []
                return False
            read.rows += page.rows
            read.token = page.token
            read.is_whole = page.token is None
        return True


def read_log(client: SageMakerClient, job: JobName, cursor: str) -> Sequence[LogLine]:
    """Some lines of a job's log behind ``cursor``; empty at its present end."""
    book = LogBuffer()
    book.watch(job, cursor, 0)
    since = (book.since() or 0) - _OVERLAP_MS
    page = client.log_events(f"{job}/", since=since)
    rows = list(page.rows)
    while page.token is not None:
        page = client.log_events(f"{job}/", since=since, token=page.token)
        rows += page.rows
    book.absorb(rows, [job])
    book.release(job)
    return book.take(job)
