"""Starts training jobs, and has them end: each exactly once, whatever is answered.

Rule: a job's name is its idempotency key. What is not answered may have taken effect; the name tells.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from trialjob.aws import faults
from trialjob.backends.sagemaker.checkpoints import copy_checkpoints
from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.backends.sagemaker.code import Code, Uploads
from trialjob.backends.sagemaker.doubts import Doubts
from trialjob.backends.sagemaker.job_table import JobTable
from trialjob.backends.sagemaker.request import TAG_PREFIX, Request, build
from trialjob.backends.sagemaker.settings import SageMakerSettings
from trialjob.backends.sagemaker.status import Facts
from trialjob.backends.sagemaker.tombstones import Tombstones, end_if_any
from trialjob.errors import BackendError, SpecError
from trialjob.model.ids import JobName
from trialjob.model.job import JobRequest
from trialjob.model.secret import Reveal
from trialjob.orchestrator.deadline import Deadline
from trialjob.orchestrator.ports import Clock, Postponed, Rejected, Submitted

T = TypeVar("T")

#: After a quota was found used up, no launch is tried for so many seconds.
_QUOTA_PAUSE: Final = 30.0
#: A role that SageMaker cannot take on is waited for so many seconds: IAM tells of a new one in a few.
_ROLE_PATIENCE: Final = 120.0


class Launches:
    """One experiment's jobs as they begin and are told to end."""

    def __init__(
        self,
        client: SageMakerClient,
        settings: SageMakerSettings,
        *,
        job_table: JobTable,
        tombstones: Tombstones,
        code: Code,
        clock: Clock,
        owner: str,
        check: Callable[[Request], None],
        reveal: Reveal,
    ) -> None:
        self._client, self._settings, self._clock = client, settings, clock
        self._job_table, self._tombstones = job_table, tombstones
        self._owner, self._check, self._reveal = owner, check, reveal
        self._uploads = Uploads(client, settings, code)
        self._full_until, self._full_why = float("-inf"), ""
        self._doubts = Doubts(clock)
        #: For how long yet a role that SageMaker cannot take on may only be new; None while it can.
        self._role: Deadline | None = None

    def postponed(self) -> Postponed | None:
        """The outcome of a launch that needs no call, as the quota was used up a moment ago."""
        # Further away than that it was set by a clock that has been set back since.
        is_full = 0.0 < self._full_until - self._clock.now() <= _QUOTA_PAUSE
        return Postponed(reason=self._full_why) if is_full else None

    def submit(self, request: JobRequest) -> Submitted | Postponed | Rejected:
        """Start the job, or find that it was started before (same name and digest)."""
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
        self._role = None
        return submitted

    def _without_role(self, fault: faults.RoleNotReady) -> Postponed:
        """Wait for IAM to tell of a new role; raises BackendError when that cannot be it."""
        self._role = self._role or Deadline(self._clock, _ROLE_PATIENCE)
        if not self._role.is_over:
            return Postponed(reason=f"waiting for SageMaker to be able to take the role on: {fault}")
        raise BackendError(
            f"{fault}\n    → let sagemaker.amazonaws.com take on {self._settings.role} by its trust policy "
            "(docs/iam.md), or create the role, and resume; `trialjob doctor SPEC` looks at it"
        ) from fault

    def _launch(self, job: JobRequest) -> Submitted:
        if self._client.wait("create"):
            # Found out before anything else is asked: with many workers most launches wait at first.
            raise self._client.throttled("create")
        if self._tombstones.had(job.job):
            self._end_if_ours(job.job, job.digest)
            return Submitted(adopted=True)
        code_uri = self._sent(lambda: self._uploads.uri(job)) if job.bundle else ""
        request = build(self._settings, job, code_uri=code_uri, owner=self._owner, reveal=self._reveal)
        self._check(request)
        self._sent(lambda: self._uploads.bring_values(job))
        if (source := job.source) is not None:
            self._sent(lambda: copy_checkpoints(self._client, self._settings, job, source))
        try:
            self._client.create(request)
        except faults.DuplicateName:
            self._adopt(job)
            return Submitted(adopted=True)
        except faults.Unreachable:
            self._doubts.begin(job.job)
            raise
        except (faults.Invalid, faults.QuotaExceeded, faults.RoleNotReady):
            # An earlier call, of this process or another, may have taken effect without an answer.
            if not self._is_there(job):
                raise
            return Submitted(adopted=True)
        self._job_table.started(job.job)
        self._tombstones.created(job.job)
        return Submitted()

    def _sent(self, send: Callable[[], T]) -> T:
        """What S3 refuses of ours is about the bucket, its key or its region, and no fault of a trial."""
        try:
            return send()
        except faults.Invalid as fault:
            raise BackendError(
                f"{fault}\n    → see that {self._settings.s3_uri} can be written from here, and resume; "
                "`trialjob doctor SPEC` looks at it"
            ) from fault

    def _is_there(self, job: JobRequest) -> bool:
        """Whether the job was created before. Raises Unreachable as long as that cannot be known."""
        try:
            facts = self._client.describe(job.job)
        except faults.NotFound:
            if self._doubts.hold(job.job):
                raise faults.Unreachable(f"{job.job} may have been started, and is not seen yet") from None
            return False
        self._check_ours(job, facts)
        return True

    def _adopt(self, job: JobRequest) -> None:
        """Find that the job of that name is this one; else raise BackendError."""
        try:
            self._check_ours(job, self._client.describe(job.job))
        except faults.NotFound as fault:
            # It was created a moment ago, and not all of the service knows it yet. The next step asks again.
            raise faults.Unreachable(f"{job.job} exists, and cannot be described yet") from fault

    def _check_ours(self, job: JobRequest, facts: Facts) -> None:
        """Raise BackendError unless the job that is described is this one."""
        theirs = self._digest_of(facts)
        if theirs != job.digest:
            why = "it was not started by trialjob" if theirs is None else f"its digest is {theirs}"
            raise BackendError(
                f"a training job named {job.job} exists and is not this experiment's ({why}); "
                "run under another --name"
            )

    def _digest_of(self, facts: Facts) -> str | None:
        """By which a job is told from others of its name; None of one that trialjob has not started."""
        tags = self._client.tags(facts["TrainingJobArn"])
        return tags.get(f"{TAG_PREFIX}digest")

    def stop(self, job: JobName, digest: str = "") -> bool:
        """Ask for the job's end. A job that was never started gets a tombstone, so that it never will run."""
        # Of two stop calls the second may have to wait for its turn. The later call must not begin
        # with the first again, or would wait for ever.
        unseen = self._job_table.facts(job) is None
        if not (unseen and self._tombstones.has(job)):
            ours = self._end_if_ours(job, digest)
            if ours is not None:
                return ours
            self._tombstones.bury(job)
        # It may have been created between the two; a later creator sees the tombstone.
        ours = self._end_if_ours(job, digest)
        if ours is not None:
            return ours
        if self._doubts.hold(job):
            raise faults.Unreachable(f"{job} may have been started, and is not seen yet")
        return False

    def _end_if_ours(self, job: JobName, digest: str) -> bool | None:
        """Have a job end; None when there is none of that name, False when it is another's, which runs on."""
        if digest:
            try:
                facts = self._client.describe(job)
            except faults.NotFound:
                return None
            if self._digest_of(facts) != digest:
                return False
        return end_if_any(self._client, job) or None
