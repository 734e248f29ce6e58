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
from trialjob.backends.sagemaker.answers import Answers
from trialjob.backends.sagemaker.artifacts import PIECE, archive, archive_uri
from trialjob.backends.sagemaker.checkpoints import copy_checkpoints
from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.backends.sagemaker.code import Code, Uploads
from trialjob.backends.sagemaker.job_table import Roster
from trialjob.backends.sagemaker.log_follower import Ended, Follower, read_log
from trialjob.backends.sagemaker.request import TAG_PREFIX, Request, build, folder
from trialjob.backends.sagemaker.settings import SageMakerSettings
from trialjob.backends.sagemaker.status import Facts, PoolFacts
from trialjob.errors import BackendError, SpecError
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

#: After a quota was found used up, no launch is tried for so many seconds.
_QUOTA_PAUSE: Final = 30.0
#: The first look of a process waits so many seconds for the turns of its calls, if it must.
_FIRST_LOOK: Final = 20.0
#: A download waits so often for a bucket that is asked too much.
_PATIENCE: Final = 10
#: A job whose creation was not answered may exist and not be seen yet for so many seconds.
_DOUBT: Final = 60.0
#: A role that SageMaker cannot take on is waited for so many seconds: IAM tells of a new one in a few.
_ROLE_PATIENCE: Final = 120.0
#: The graves are listed so often, in seconds, while jobs are launched.
_GRAVES: Final = 60.0
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
        log_overlap: float = 30.0,
        log_settle: float = 10.0,
    ) -> None:
        """``prefix`` begins the names of the jobs where it is not the experiment's own."""
        self._client = client
        self._settings = settings
        self._experiment = experiment
        self._clock = clock
        self._owner = owner
        self._check = check
        self._reveal = reveal
        self._uploads = Uploads(client, settings, code)
        self._roster = Roster(client, clock, prefix or experiment, is_ours=not prefix)
        self._follower = Follower(client, prefix or experiment, overlap=log_overlap, settle=log_settle)
        self._full_until, self._full_why = float("-inf"), ""
        self._answers = Answers(clock, settings.s3_uri)
        #: How long the next look may wait for the turns of its calls.
        self._patience = _FIRST_LOOK
        #: When a job was created without an answer: it may exist.
        self._unanswered: dict[JobName, float] = {}
        #: Since when SageMaker has not been able to take the role on.
        self._no_role_since: float | None = None
        #: Jobs that are never to run, and when they were listed.
        self._buried: set[str] = set()
        self._graves_at = float("-inf")
        #: Jobs that were created here and have not been watched since, as the journal has those that count.
        self._unwatched: set[JobName] = set()
        #: Jobs whose pools are gone for certain.
        self._given_back: set[JobName] = set()

    # Launching

    def submit(self, request: JobRequest) -> Submitted | Postponed | Rejected:
        """Start the job, or find that it was started before (same name and digest)."""
        # Further away than that it was set by a clock that has been set back since.
        if 0.0 < self._full_until - self._clock.now() <= _QUOTA_PAUSE:
            return Postponed(reason=self._full_why)
        with self._answers.taken():
            try:
                submitted = self._launch(request)
            except faults.QuotaExceeded as fault:
                if fault.for_ever:
                    return Rejected(reason=f"{fault}\n    → ask for a higher quota, or for fewer instances")
                self._full_until, self._full_why = self._clock.now() + _QUOTA_PAUSE, str(fault)
                return Postponed(reason=self._full_why)
            except faults.RoleNotReady as fault:
                return self._without_role(fault)
            except (faults.Invalid, SpecError) as fault:
                return Rejected(reason=str(fault))
        self._no_role_since = None
        return submitted

    def _without_role(self, fault: faults.RoleNotReady) -> Postponed:
        """Wait for IAM to tell of a new role; raises BackendError when that cannot be it."""
        now = self._clock.now()
        if self._no_role_since is None or now < self._no_role_since:
            self._no_role_since = now
        if now - self._no_role_since < _ROLE_PATIENCE:
            return Postponed(reason=f"waiting for SageMaker to be able to take the role on: {fault}")
        raise BackendError(
            f"{fault}\n    → let sagemaker.amazonaws.com take on {self._settings.role} by its trust policy "
            "(docs/iam.md), or create the role, and resume; `trialjob doctor SPEC` looks at it"
        ) from fault

    def _launch(self, job: JobRequest) -> Submitted:
        if self._client.wait("create"):
            # Found out before anything else is asked: with many workers most launches wait at first.
            raise self._client.throttled("create")
        if job.job in self._graves():
            self._end_if_any(job.job)
            return Submitted(adopted=True)
        code_uri = self._uploads.uri(job) if job.bundle else ""
        request = build(self._settings, job, code_uri=code_uri, owner=self._owner, reveal=self._reveal)
        self._check(request)
        self._uploads.bring_values(job)
        if job.source is not None:
            copy_checkpoints(self._client, self._settings, job, job.source)
        try:
            self._client.create(request)
        except faults.DuplicateName:
            self._adopt(job)
            return Submitted(adopted=True)
        except faults.Unreachable:
            self._unanswered[job.job] = self._clock.now()
            raise
        except (faults.Invalid, faults.QuotaExceeded, faults.RoleNotReady):
            # An earlier call, of this process or another, may have taken effect without an answer.
            if not self._is_there(job):
                raise
            return Submitted(adopted=True)
        self._roster.started(job.job)
        self._unwatched.add(job.job)
        return Submitted()

    def _is_there(self, job: JobRequest) -> bool:
        """Whether the job was created before. Raises Unreachable as long as that cannot be known."""
        try:
            facts = self._client.describe(job.job)
        except faults.NotFound:
            if self._may_be_unseen(job.job):
                raise faults.Unreachable(f"{job.job} may have been started, and is not seen yet") from None
            return False
        self._check_ours(job, facts)
        return True

    def _may_be_unseen(self, job: JobName) -> bool:
        return self._clock.now() - self._unanswered.get(job, float("-inf")) < _DOUBT

    def _adopt(self, job: JobRequest) -> None:
        """Find that the job of that name is this one; else raise BackendError."""
        try:
            self._check_ours(job, self._client.describe(job.job))
        except faults.NotFound as fault:
            # It was created a moment ago, and not all of the service knows it yet. The next step asks again.
            raise faults.Unreachable(f"{job.job} exists, and cannot be described yet") from fault

    def _check_ours(self, job: JobRequest, facts: Facts) -> None:
        """Raise BackendError unless the job that is described is this one."""
        tags = self._client.tags(facts["TrainingJobArn"])
        theirs = tags.get(f"{TAG_PREFIX}digest")
        if theirs != job.digest:
            why = "it was not started by trialjob" if theirs is None else f"its digest is {theirs}"
            raise BackendError(
                f"a training job named {job.job} exists and is not this experiment's ({why}); "
                "run under another --name"
            )

    # Stopping

    def stop(self, job: JobName) -> bool:
        """Ask for the job's end. A job that was never started gets a tombstone, so that it never will run."""
        with self._answers.taken():
            # Of two stop calls the second may have to wait for its turn. Who comes back for it must not begin
            # with the first again, or would wait for ever.
            unseen = self._roster.facts(job) is None
            if not (unseen and self._is_buried(job)):
                if self._end_if_any(job):
                    return True
                self._client.put(self._grave(job), b"")
                self._buried.add(job)
            # It may have been created between the two; whoever creates it later sees the tombstone.
            if self._end_if_any(job):
                return True
            if self._may_be_unseen(job):
                raise faults.Unreachable(f"{job} may have been started, and is not seen yet")
            return False

    def _end_if_any(self, job: JobName) -> bool:
        """Have a job end; False when there is none of that name."""
        try:
            self._client.stop(job)
        except faults.AlreadyEnded:
            return True
        except faults.NotFound:
            return False
        return True

    def _end_buried(self, watched: set[JobName]) -> None:
        """End what was created just after another orchestrator had found that there is no such job.

        Its journal says so then, and nobody asks for the job: all that are watched need no question.
        """
        self._unwatched -= watched
        for job in sorted(self._unwatched):
            if self._is_buried(job):
                self._end_if_any(job)
                self._unwatched.discard(job)

    def _grave(self, job: JobName) -> str:
        return folder(self._settings, self._experiment, "never-started", job)

    def _is_buried(self, job: JobName) -> bool:
        return self._client.has(self._grave(job))

    def _graves(self) -> set[str]:
        """Jobs that were buried, as of a moment ago: who is buried now is found once it has been created."""
        now = self._clock.now()
        if not 0.0 <= now - self._graves_at < _GRAVES:
            self._buried = {uri.rpartition("/")[2] for uri in self._client.keys(self._grave(JobName("")))}
            self._graves_at = now
        return self._buried

    # Watching

    def observe(self, watched: Sequence[Watch]) -> Sequence[JobSeen]:
        """What became of these jobs: one list call, one log call, and two calls for a job that has ended."""
        with self._answers.taken():
            self._roster.forget({watch.job for watch in watched})
            self._end_buried({watch.job for watch in watched})
            running = [watch for watch in watched if not watch.bill]
            self._follower.keep({watch.job for watch in running})
            # Whoever makes one look and exits is to see all of it, or what comes last would never be seen.
            patience, self._patience = self._patience, 0.0
            with self._client.patiently(patience):
                waited_for = [watch.job for watch in running if watch.prompt]
                self._roster.look([watch.job for watch in running], waited_for)
                for watch in running:
                    self._follow(watch)
                if any(self._may_have_printed(watch.job) for watch in running):
                    self._follower.read()
                bills = [self._billed(watch.job) for watch in watched if watch.bill]
                # Nothing is handed out before the last call is made, or a failure of it would lose lines.
                drained = self._drained(running)
                ends = {watch.job: self._ends_of(watch, drained) for watch in running}
        seen = [self._seen(watch.job, *ends[watch.job]) for watch in running]
        return [one for one in (*seen, *bills) if one is not None]

    def _billed(self, job: JobName) -> JobSeen | None:
        """What an ended job came to: lists tell when its pool is over, and it is asked for now and then."""
        bill = self._bill_of(job)
        if bill is None or bill.seconds is None or bill.pool_seconds is None:
            self._roster.ask_again(job)
            bill = self._bill_of(job)
        return None if bill is None else JobSeen(job=job, state=JobState.STOPPING, bill=bill)

    def _bill_of(self, job: JobName) -> Bill | None:
        facts = self._roster.facts(job)
        # A row of a list does not say whether a pool was asked for.
        if facts is None or not self._roster.is_described(job):
            return None
        return status.bill_of(facts, pool_told=self._roster.is_told(job))

    def _may_have_printed(self, job: JobName) -> bool:
        facts = self._roster.facts(job)
        return facts is not None and (
            self._follower.book.has_lines(job) or not status.waits_for_machine(facts)
        )

    def _follow(self, watch: Watch) -> None:
        facts = self._roster.facts(watch.job)
        if facts is not None:
            self._follower.watch(watch.job, watch.cursor, status.seconds_of(facts["CreationTime"]) or 0.0)

    def _drained(self, running: Sequence[Watch]) -> set[JobName]:
        """Of which ended jobs the log has been read to its end."""
        over = {
            watch.job: facts
            for watch in running
            if self._roster.has_ended(watch.job) and (facts := self._roster.facts(watch.job)) is not None
        }
        # What a failed job's log tells, its slot waits for; and where nothing runs, the experiment waits.
        is_last = len(over) == len(running)
        ended = [self._ended(job, facts, is_last=is_last) for job, facts in over.items()]
        drained = self._follower.drain(ended)
        self._roster.settle(sorted(drained))
        return {job for job in drained if self._roster.is_described(job)}

    def _ended(self, job: JobName, facts: Facts, *, is_last: bool) -> Ended:
        began = status.seconds_of(facts["CreationTime"]) or 0.0
        end = status.end_of(facts)
        failed = end is None or end.failure is not None
        ended = began if end is None or not end.ended_at else end.ended_at
        return Ended(job=job, began=began, ended=ended, urgent=failed or is_last)

    def _ends_of(self, watch: Watch, drained: set[JobName]) -> tuple[JobEnd | None, JobEnd | None]:
        """How a job that is over has ended; and the same again once its log has been read to its end."""
        job = watch.job
        if self._roster.is_unknown(job):
            return None, self._end_of_missing(watch)
        facts = self._roster.facts(job)
        warm = self._roster.was_warm(job)
        over = status.end_of(facts, reused_pool=warm) if facts is not None else None
        if facts is None or over is None or not self._roster.has_ended(job):
            return None, None
        if not self._roster.is_described(job):
            return replace(over, pool_until=status.pool_until(facts, self._settings.keep_alive)), None
        self._note_pool(facts)
        if job not in drained:
            return over, None
        return over, status.end_of(facts, self._follower.tail(job), reused_pool=warm)

    def _end_of_missing(self, watch: Watch) -> JobEnd | None:
        job = watch.job
        if not self._roster.is_missing(job, watch.submitted_at):
            return None  # whether it has a tombstone or not: it may only not be seen yet
        if self._is_buried(job):
            return _NEVER_STARTED
        message = f"SageMaker knows no training job {job}; somebody may have deleted it"
        return JobEnd(outcome=Outcome.FAILED, failure=FailureKind.LOST, message=message)

    def _seen(self, job: JobName, over: JobEnd | None, end: JobEnd | None) -> JobSeen | None:
        facts = self._roster.facts(job)
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

    def pool(self, job: JobName) -> PoolFacts | None:
        """The warm pool behind an ended job, with the seconds it has waited; None when there is none."""
        with self._answers.taken():
            return status.pool_of(self._client.describe(job))

    def end_pools(self, jobs: Sequence[JobName]) -> bool:
        """Give up the warm pools behind these ended jobs; False when some call is still to be made."""
        left = [job for job in jobs if job not in self._given_back]
        with self._answers.taken():
            # The newest have the longest to wait, and are the least likely to have been taken over.
            for job in reversed(left):
                if self._give_back(job):
                    self._given_back.add(job)
        return self._given_back.issuperset(jobs)

    def _give_back(self, job: JobName) -> bool:
        """End one pool; False when the service is not ready for that."""
        told = status.pool_of(self._roster.facts(job) or {})
        if told is not None and not told.is_kept:
            return True  # whoever took it over has it
        seen = status.pool_of(self._roster.since_launches(job) or {})
        try:
            # As it was seen last, which spares a question, or as it is: another job may have taken it over.
            if seen is not None and seen.is_kept and self._end_pool(job):
                return True
            pool = status.pool_of(self._client.describe(job))
            return pool is None or not pool.is_kept or self._end_pool(job)
        except faults.NotFound:
            return True

    def _end_pool(self, job: JobName) -> bool:
        """False when it was taken over in between, or does not wait yet: the next look tells."""
        try:
            self._client.keep_alive(job, 0)
        except faults.Invalid:
            return False
        self._roster.pool_changed(job)
        return True

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
        # Whoever makes one look and exits does not see what becomes of its launches.
        with suppress(BackendError), self._answers.taken():
            self._end_buried(set())
        self._client.close()
