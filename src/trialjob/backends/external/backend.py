"""Leases as jobs. Nothing is started: a job waits until a client takes it, and its log is what he reports."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trialjob.backends.external.lease import Lease, Said
from trialjob.backends.external.leases import Leases
from trialjob.errors import BackendError
from trialjob.in_job.report import PREFIX
from trialjob.model.ids import JobName
from trialjob.model.job import FailureKind, JobEnd, JobRequest, JobSeen, JobState, LogLine, Outcome, Watch
from trialjob.orchestrator.ports import Clock, Kept, Part, Submitted


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalBackend:
    """The jobs of one experiment."""

    leases: Leases
    clock: Clock
    #: Seconds without a word after which a client is taken to be gone.
    silence: float
    #: The metric that counts progress.
    resource: str

    def submit(self, request: JobRequest) -> Submitted:
        new = Lease(
            digest=request.digest,
            hyperparameters=request.hyperparameters,
            max_runtime=request.max_runtime,
        )
        found = self.leases.change(request.job, lambda old: new if old is None else old)
        if _is_other(found, request.digest):
            raise BackendError(f"there is a job {request.job} that is not of this experiment")
        return Submitted(adopted=found is not new)

    def stop(self, job: JobName, digest: str = "") -> bool:
        now = self.clock.now()

        def stopped(old: Lease | None) -> Lease:
            known = old or Lease(digest="")
            return known if _is_other(known, digest) else known.stopped(now)

        lease = self.leases.change(job, stopped)
        return bool(lease.digest) and not _is_other(lease, digest)

    def observe(self, watched: Sequence[Watch]) -> Sequence[JobSeen]:
        return [seen for watch in watched if not watch.bill and (seen := self._look(watch)) is not None]

    def _look(self, watch: Watch) -> JobSeen | None:
        lease = self.leases.read(watch.job)
        if lease is None:
            if watch.submitted_at is None:
                return None
            lost = JobEnd(
                outcome=Outcome.FAILED, failure=FailureKind.LOST, message="its lease is gone", seconds=0.0
            )
            return JobSeen(job=watch.job, state=JobState.STOPPING, end=lost)
        lease = self._settled(watch.job, lease)
        lines = tuple(self._lines(lease, watch.cursor))
        # A client at work is not silent: how long a client may say nothing is the lease's to say.
        return JobSeen(job=watch.job, state=_state(lease), lines=lines, end=lease.end(), behind=None)

    def _settled(self, job: JobName, lease: Lease) -> Lease:
        """The lease, which is over where its time is; that is written before it is shown."""
        now = self.clock.now()
        if lease.settled(now, self.silence) == lease:
            return lease
        return self.leases.change(job, lambda old: (old or lease).settled(now, self.silence))

    def _lines(self, lease: Lease, cursor: str) -> Iterator[LogLine]:
        start = int(cursor or 0)
        if start < 0:
            raise ValueError(f"no number of a report: {start}")
        for number, said in enumerate(lease.said[start:], start):
            yield LogLine(text=_line(number, said, self.resource), cursor=str(number + 1), at=said.at)

    def log(self, job: JobName, cursor: str = "") -> Sequence[LogLine]:
        lease = self.leases.read(job)
        return () if lease is None else tuple(self._lines(lease, cursor))

    # What there is none of

    def end_pools(self, jobs: Sequence[JobName]) -> bool:  # noqa: ARG002 - no machine is ours
        return True

    def close(self) -> None:
        """Nothing is held."""

    def notices(self) -> Sequence[str]:
        return ()

    def location(self, job: JobName, part: Part) -> str:  # noqa: ARG002 - clients keep what they make
        return ""

    def kept(self, job: JobName, part: Part) -> Sequence[Kept]:  # noqa: ARG002 - as above
        return ()

    def read(self, job: JobName, part: Part, path: str, start: int = 0) -> Iterator[bytes]:  # noqa: ARG002 - as above
        raise BackendError(f"{job} has left nothing here; its client has it")


def _is_other(lease: Lease, digest: str) -> bool:
    return bool(digest and lease.digest) and lease.digest != digest


def _state(lease: Lease) -> JobState:
    if lease.stop:
        return JobState.STOPPING
    return JobState.TRAINING if lease.client else JobState.STARTING


def _line(number: int, said: Said, resource: str) -> str:
    """A report as our reporter in a job would have printed it."""
    counted = {} if said.step is None else {resource: said.step}
    metrics = json.dumps({**counted, **said.metrics}, separators=(",", ":"))
    return f'{PREFIX}{{"seq":{number},"metrics":{metrics}}}'
