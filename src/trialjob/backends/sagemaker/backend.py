"""Runs every trial as one SageMaker training job.

It decides what follows from each answer of the service. It keeps nothing that another process could not find
again: a new one, on another machine, sees the same jobs and goes on in their logs where the journal is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from trialjob.aws import faults
from trialjob.backends.sagemaker import status
from trialjob.backends.sagemaker.artifacts import PIECE, archive, archive_uri
from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.backends.sagemaker.code import Code
from trialjob.backends.sagemaker.fault_handling import Answers
from trialjob.backends.sagemaker.job_table import JobTable
from trialjob.backends.sagemaker.launching import Launches
from trialjob.backends.sagemaker.log_follower import Ended, Follower, read_log
from trialjob.backends.sagemaker.pools import Pools
from trialjob.backends.sagemaker.request import Request
from trialjob.backends.sagemaker.settings import SageMakerSettings
from trialjob.backends.sagemaker.status import Facts
from trialjob.backends.sagemaker.tombstones import Tombstones
from trialjob.errors import BackendError
from trialjob.model.ids import ExperimentName, JobName
from trialjob.model.job import (
    Bill,
    FailureKind,
    JobEnd,
    JobRequest,
    JobSeen,
    JobState,
    LogLine,
    Outcome,
    Watch,
)
from trialjob.model.secret import Reveal, unknown
from trialjob.orchestrator.ports import Clock, Kept, Part, Postponed, Rejected, Submitted

#: The first look of a process waits so many seconds for the turns of its calls, if it must.
_FIRST_LOOK: Final = 20.0
#: A download waits so often for a bucket that is asked too much.
_PATIENCE: Final = 10
_NEVER_STARTED: Final = JobEnd(
    outcome=Outcome.STOPPED, message="never started", seconds=0.0, pool_seconds=0.0
)


class SageMakerBackend:
    """One experiment's jobs in one account and region."""

    def __init__(
        self,
        *,
        client: SageMakerClient,
        settings: SageMakerSettings,
        experiment: ExperimentName,
        prefix: str = "",
        code: Code,
        clock: Clock,
        owner: str,
        check: Callable[[Request], None] = lambda _request: None,
        reveal: Reveal = unknown,
        log_settle: float = 10.0,
        usual_pause: float = 0.0,
    ) -> None:
        """``prefix`` begins the names of the jobs where it is not the experiment's own.

        Looks are ``usual_pause`` seconds apart, but for those that are made sooner as something is expected.
        """
        self._client = client
        self._settings = settings
        self._experiment = experiment
        self._clock = clock
        self._owner = owner
        self._reveal = reveal
        names = prefix or experiment
        self._job_table = JobTable(client, clock, names, is_ours=not prefix, usual_pause=usual_pause)
        self._follower = Follower(client, names, settle=log_settle)
        self._tombstones = Tombstones(client, settings, experiment, clock)
        self._launches = Launches(
            client,
            settings,
            job_table=self._job_table,
            tombstones=self._tombstones,
            code=code,
            clock=clock,
            owner=owner,
            check=check,
            reveal=reveal,
        )
        self._pools = Pools(client, self._job_table)
        self._answers = Answers(clock, settings.s3_uri)
        #: How long the next look may wait for the turns of its calls.
        self._patience = _FIRST_LOOK

    # Launching and stopping

    def submit(self, request: JobRequest) -> Submitted | Postponed | Rejected:
        """Start the job, or find that it was started before (same name and digest)."""
        if postponed := self._launches.postponed():
            return postponed
        with self._answers.taken():
            return self._launches.submit(request)

    def stop(self, job: JobName, digest: str = "") -> bool:
        """Ask for the job's end. A job that was never started gets a tombstone, so that it never will run."""
        with self._answers.taken():
            return self._launches.stop(job, digest)

    # Watching

    def observe(self, watched: Sequence[Watch]) -> Sequence[JobSeen]:
        """What became of these jobs: one list call, one log call, and two calls for a job that has ended."""
        with self._answers.taken():
            self._job_table.forget({watch.job for watch in watched})
            self._tombstones.end_created({watch.job for watch in watched})
            running = [watch for watch in watched if not watch.bill]
            self._follower.keep({watch.job for watch in running})
            # A process that looks once and exits must see all of it, or what comes last would never be seen.
            patience, self._patience = self._patience, 0.0
            with self._client.patiently(patience):
                waited_for = [watch.job for watch in running if watch.prompt]
                ending = [watch.job for watch in running if watch.stopping]
                # Once all have ended and been read since, only what comes late is left, which drains bring.
                may_print = [w.job for w in running if not self._job_table.has_ended(w.job)]
                if any(watch.ends for watch in running):
                    self._job_table.look([watch.job for watch in running], waited_for, ending)
                for watch in running:
                    self._follow(watch)
                ended = self._ended_of(running)
                lines = any(watch.lines for watch in running) or any(one.urgent for one in ended)
                if lines and any(self._may_have_printed(job) for job in may_print):
                    self._follower.read()
                bills = [self._billed(watch.job) for watch in watched if watch.bill]
                # Nothing is handed out before the last call is made, or a failure of it would lose lines.
                # What an ended job printed last is read with the others' lines first: it is not late.
                drained = self._drained(ended) if lines else set()
                ends = {watch.job: self._ends_of(watch, drained) for watch in running}
        seen = [self._seen(watch.job, *ends[watch.job]) for watch in running]
        return [one for one in (*seen, *bills) if one is not None]

    def _billed(self, job: JobName) -> JobSeen | None:
        """What an ended job cost: lists tell when its pool is over, and it is asked for now and then."""
        bill = self._bill_of(job)
        if bill is None or bill.seconds is None or bill.pool_seconds is None:
            self._job_table.ask_again(job)
            bill = self._bill_of(job)
        return None if bill is None else JobSeen(job=job, state=JobState.STOPPING, bill=bill)

    def _bill_of(self, job: JobName) -> Bill | None:
        facts = self._job_table.facts(job)
        # A row of a list does not say whether a pool was asked for.
        if facts is None or not self._job_table.is_described(job):
            return None
        return status.bill_of(facts, pool_is_final=self._job_table.is_final(job))

    def _may_have_printed(self, job: JobName) -> bool:
        facts = self._job_table.facts(job)
        return facts is not None and (
            self._follower.book.has_lines(job) or not status.waits_for_machine(facts)
        )

    def _follow(self, watch: Watch) -> None:
        facts = self._job_table.facts(watch.job)
        if facts is not None:
            self._follower.watch(watch.job, watch.cursor, status.seconds_of(facts["CreationTime"]) or 0.0)

    def _ended_of(self, running: Sequence[Watch]) -> list[Ended]:
        over = {
            watch.job: facts
            for watch in running
            if self._job_table.has_ended(watch.job)
            and (facts := self._job_table.facts(watch.job)) is not None
        }
        # What a failed job's log tells, its slot waits for; and where nothing runs, the experiment waits.
        is_last = len(over) == len(running)
        return [self._ended(job, facts, is_last=is_last) for job, facts in over.items()]

    def _drained(self, ended: Sequence[Ended]) -> set[JobName]:
        """Of which ended jobs the log has been read to its end."""
        drained = self._follower.drain(ended)
        self._job_table.settle(sorted(drained))
        return {job for job in drained if self._job_table.is_described(job)}

    def _ended(self, job: JobName, facts: Facts, *, is_last: bool) -> Ended:
        began = status.seconds_of(facts["CreationTime"]) or 0.0
        end = status.end_of(facts)
        failed = end is None or end.failure is not None
        ended = began if end is None or not end.ended_at else end.ended_at
        return Ended(job=job, began=began, ended=ended, urgent=failed or is_last)

    def _ends_of(self, watch: Watch, drained: set[JobName]) -> tuple[JobEnd | None, JobEnd | None]:
        """How a job that is over has ended; and the same again once its log has been read to its end."""
        job = watch.job
        if self._job_table.is_unknown(job):
            return None, self._end_of_missing(watch)
        facts = self._job_table.facts(job)
        warm = self._job_table.was_warm(job)
        over = status.end_of(facts, reused_pool=warm) if facts is not None else None
        if facts is None or over is None or not self._job_table.has_ended(job):
            return None, None
        if not self._job_table.is_described(job):
            return replace(over, pool_until=status.pool_until(facts, self._settings.keep_alive)), None
        self._note_pool(facts)
        if job not in drained:
            return over, None
        return over, status.end_of(facts, self._follower.tail(job), reused_pool=warm)

    def _end_of_missing(self, watch: Watch) -> JobEnd | None:
        job = watch.job
        if not self._job_table.is_missing(job, watch.submitted_at):
            return None  # whether it has a tombstone or not: it may only not be seen yet
        if self._tombstones.has(job):
            return _NEVER_STARTED
        message = f"SageMaker knows no training job {job}; it may have been deleted"
        return JobEnd(outcome=Outcome.FAILED, failure=FailureKind.LOST, message=message)

    def _seen(self, job: JobName, over: JobEnd | None, end: JobEnd | None) -> JobSeen | None:
        facts = self._job_table.facts(job)
        if facts is None:
            return None if end is None else JobSeen(job=job, state=JobState.STOPPING, end=end)
        lines = self._follower.book.take(job)
        state = status.state_of(facts, has_lines=self._follower.book.has_lines(job))
        behind = self._follower.behind if status.should_print(facts) else None
        return JobSeen(job=job, state=state, lines=lines, end=end, over=over, behind=behind)

    # What jobs have left behind

    def location(self, job: JobName, part: Part) -> str:
        """The address of a part's archive."""
        return archive_uri(self._settings, self._experiment, job, part)

    def kept(self, job: JobName, part: Part) -> Sequence[Kept]:
        """The part's archive, if there is one."""
        with self._answers.taken():
            found = self._client.stored(self.location(job, part))
        if found is None:
            return []
        return [Kept(path=archive(part), size=found.size, archive=True, version=found.etag)]

    def read(self, job: JobName, part: Part, path: str, start: int = 0) -> Iterator[bytes]:  # noqa: ARG002
        """The archive from ``start`` on."""
        while True:
            piece, size = self._piece(job, part, start)
            yield piece
            start += len(piece)
            if start >= size or not piece:
                return

    def _piece(self, job: JobName, part: Part, start: int) -> tuple[bytes, int]:
        with self._answers.taken():
            for _ in range(_PATIENCE):
                with suppress(faults.Throttled):
                    return self._client.piece(self.location(job, part), start, PIECE)
                self._clock.sleep(1.0)
            return self._client.piece(self.location(job, part), start, PIECE)

    def log(self, job: JobName, cursor: str = "") -> Sequence[LogLine]:
        """Some lines of a job's log behind ``cursor``; empty at its present end."""
        with self._answers.taken():
            return read_log(self._client, job, cursor)

    # Warm pools and warnings

    def end_pools(self, jobs: Sequence[JobName]) -> bool:
        """Give up the warm pools behind these ended jobs; False when some call is still to be made."""
        with self._answers.taken():
            return self._pools.end(jobs)

    def notices(self) -> tuple[str, ...]:
        """What a person should know now, such as expired credentials or a warm pool that is not kept."""
        return tuple(self._answers.notices.values())

    def _note_pool(self, facts: Facts) -> None:
        pool = status.pool_of(facts)
        if pool is not None and (pool.is_kept or pool.reused_by):
            self._answers.notices.pop("pool", None)
        elif status.lost_its_pool(facts):
            kind = (facts.get("ResourceConfig") or {}).get("InstanceType", "the instance type")
            self._answers.notices["pool"] = (
                f"keep_alive is asked for, but no warm pool was kept after {facts['TrainingJobName']}; the "
                f"account's quota '{kind} for training warm pool usage' is probably 0 or used up. Every job "
                "starts cold until it is raised in Service Quotas"
            )

    def close(self) -> None:
        """Close the connections. Jobs run on."""
        # A process that looks once and exits does not see what becomes of its launches.
        with suppress(BackendError), self._answers.taken():
            self._tombstones.end_created(set())
        self._client.close()
