"""Hands a search to SageMaker's own tuner, and finds the training jobs that it has started.

All else that becomes of them is seen as of any training job: one list call, one log call, a description at
the end of each. Rule: the name of the tuning job is the idempotency key; whose it is, its tag says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from trialjob.aws import faults
from trialjob.backends.sagemaker.backend import SageMakerBackend
from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.backends.sagemaker.code import Code
from trialjob.backends.sagemaker.doubts import Doubts
from trialjob.backends.sagemaker.hosted.archive import archive
from trialjob.backends.sagemaker.hosted.ends import end_of, is_over
from trialjob.backends.sagemaker.hosted.tuning_request import ARCHIVE, Tuned, tuning_request
from trialjob.backends.sagemaker.request import TAG_PREFIX, folder
from trialjob.backends.sagemaker.status import Facts, seconds_of
from trialjob.errors import BackendError
from trialjob.in_job.hosted import configuration, number_of
from trialjob.model.ids import JobName, tuning_name
from trialjob.model.secret import Reveal
from trialjob.orchestrator.core.observations import HostedJob, HostedObserved
from trialjob.orchestrator.ports import Clock

#: So long after its end the list has every job that it will ever have.
_SURE: Final = 600.0
#: Seconds that one look waits for pages.
_PATIENCE: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What every backend of an experiment is made of."""

    client: SageMakerClient
    code: Code
    clock: Clock
    owner: str
    reveal: Reveal


class HostedBackend(SageMakerBackend):
    """One experiment's jobs, which SageMaker's own tuner proposes and starts."""

    def __init__(self, tuned: Tuned, parts: Parts) -> None:
        super().__init__(
            client=parts.client,
            settings=tuned.settings,
            experiment=tuned.job.experiment,
            prefix=tuning_name(tuned.job.experiment),
            code=parts.code,
            clock=parts.clock,
            owner=parts.owner,
            reveal=parts.reveal,
        )
        self._tuned = tuned
        self._code = parts.code
        self._doubts = Doubts(parts.clock)

    @property
    def search_name(self) -> str:
        return tuning_name(self._experiment)

    # Handing over

    def hand_over(self, identity: str, bundle: str) -> bool:
        """Create the tuning job, or find that it was created before."""
        with self._answers.taken():
            if self._is_called_off():
                self._end_tuning(identity)
                return True
            try:
                self._create(identity, bundle)
            except faults.DuplicateName:
                if not self._was_created(identity):
                    raise faults.Unreachable(
                        f"{self.search_name} exists, and cannot be described yet"
                    ) from None
                return True
            except (faults.Invalid, faults.QuotaExceeded, faults.RoleNotReady) as fault:
                # An earlier call may have taken effect without an answer.
                if self._was_created(identity):
                    return True
                raise BackendError(
                    f"SageMaker does not take the tuning job {self.search_name}: {fault}"
                ) from fault
            # Another orchestrator may have found that there is none just before there was one.
            if self._is_called_off():
                self._end_tuning(identity)
        return False

    def _create(self, identity: str, bundle: str) -> None:
        if self._client.wait("create"):
            raise self._client.throttled("create")
        uri = self._bring_code(bundle) if self._tuned.is_code else ""
        request = tuning_request(
            self._tuned, archive=uri, owner=self._owner, identity=identity, reveal=self._reveal
        )
        try:
            self._client.create_tuning(request)
        except faults.Unreachable:
            self._doubts.begin(self.search_name)
            raise

    def _bring_code(self, bundle: str) -> str:
        """The address of the archive, which is there when this returns."""
        files = {name: path.read_bytes() for name, path in self._code.files.items()}
        data = archive(self._tuned, self._code.bundle(bundle), files)
        uri = folder(self._settings, self._experiment, "hosted", ARCHIVE)
        self._client.put(uri, data)
        return uri

    def _describe(self, identity: str) -> Facts | None:
        """The tuning job as it is described; None when there is none. Raises BackendError for another's."""
        try:
            facts = self._client.describe_tuning(self.search_name)
        except faults.NotFound:
            return None
        tags = self._client.tags(facts["HyperParameterTuningJobArn"])
        theirs = tags.get(f"{TAG_PREFIX}digest")
        if theirs != identity:
            why = "it was not started by trialjob" if theirs is None else f"its digest is {theirs}"
            raise BackendError(
                f"a tuning job named {self.search_name} exists and is not this experiment's ({why}); "
                "run under another --name"
            )
        return facts

    def _was_created(self, identity: str) -> bool:
        """Whether it was created before. Raises Unreachable as long as that cannot be known."""
        if self._describe(identity) is not None:
            return True
        if self._doubts.hold(self.search_name):
            raise faults.Unreachable(f"{self.search_name} may have been created, and is not seen yet")
        return False

    # Calling off

    def call_off(self, identity: str) -> bool:
        """Stop the tuning job, and with it its training jobs; one that never was gets a tombstone."""
        with self._answers.taken():
            try:
                if self._end_tuning(identity):
                    return True
                self._client.put(self._tombstone(), b"")
                # It may have been created between the two; a later creator sees the tombstone.
                return self._end_tuning(identity) or self._was_created(identity)
            except BackendError:
                return False  # the name is another's, and its tuning job is none of ours

    def _end_tuning(self, identity: str) -> bool:
        facts = self._describe(identity)
        if facts is None:
            return False
        if facts["HyperParameterTuningJobStatus"] == "InProgress":
            try:
                self._client.stop_tuning(self.search_name)
            except (faults.Invalid, faults.AlreadyEnded, faults.NotFound):
                return True  # it has ended in between, which the next look tells
        return True

    def _tombstone(self) -> str:
        return folder(self._settings, self._experiment, "never-started", f"tuning-{self.search_name}")

    def _is_called_off(self) -> bool:
        return self._client.has(self._tombstone())

    # Looking

    def look_for_jobs(self, known: Collection[JobName]) -> HostedObserved:
        """What the tuning job has started beside ``known``: one call, and pages only where there is news."""
        with self._answers.taken():
            try:
                facts = self._client.describe_tuning(self.search_name)
            except faults.NotFound as fault:
                raise faults.Unreachable(
                    f"SageMaker does not show the tuning job {self.search_name}"
                ) from fault
            count = sum((facts.get("TrainingJobStatusCounters") or {}).values())
            rows = self._unknown(known, count - len(known)) if count > len(known) else []
        codec = self._tuned.ranges.codec if rows else ()
        started = tuple(_job(row, codec) for row in sorted(rows, key=_order))
        whole = len(known) + len(started) >= count or self._is_long_over(facts)
        end = end_of(facts, self._tuned.handover.search.limits) if is_over(facts) and whole else None
        return HostedObserved(started=started, end=end)

    def _unknown(self, known: Collection[JobName], missing: int) -> list[Facts]:
        """The rows of jobs that are not known, the newest first, until none is missing.

        A process that looks once and exits must see all of them, so it waits for the service between pages.
        """
        rows: dict[str, Facts] = {}  # a row that moves from page to page is one job all the same
        token: str | None = None
        waits = 0
        while True:
            try:
                page = self._client.tuning_children(self.search_name, token)
            except faults.Throttled:
                waits += 1
                if waits > _PATIENCE:
                    raise
                self._clock.sleep(1.0)
                continue
            rows |= {name: row for row in page.rows if (name := row["TrainingJobName"]) not in known}
            token = page.token
            if token is None or len(rows) >= missing:
                return [*rows.values()]

    def _is_long_over(self, facts: Facts) -> bool:
        ended = seconds_of(facts.get("HyperParameterTuningEndTime") or facts.get("LastModifiedTime"))
        return ended is not None and self._client.time() - ended >= _SURE


def _job(row: Facts, codec: Iterable[Mapping[str, Any]]) -> HostedJob:
    texts: Mapping[str, str] = row["TunedHyperParameters"]
    try:
        config = configuration(texts, codec)
    except (KeyError, ValueError, IndexError) as error:
        raise BackendError(
            f"{row['TrainingJobName']} was started with {dict(texts)!r}, which is not of this space"
        ) from error
    return HostedJob(job=JobName(row["TrainingJobName"]), config=config)


def _order(row: Facts) -> tuple[int, str]:
    """As they were started: the service numbers them in their names."""
    name = str(row["TrainingJobName"])
    return number_of(name), name
