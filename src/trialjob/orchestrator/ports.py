"""What the engine needs of the world: Protocols of at most five methods.

Rule: an adapter implements one of these and knows nothing of the engine. Each has a contract suite in
``trialjob.testing`` that every adapter passes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeAlias, runtime_checkable

from trialjob.model.ids import ExperimentName, JobName, TrialId
from trialjob.model.job import JobRequest, JobSeen, LogLine, Watch
from trialjob.model.metric import Report
from trialjob.model.space import Config
from trialjob.model.trial import LogMatch
from trialjob.orchestrator.core.events import Event, Record
from trialjob.orchestrator.core.observations import HostedObserved, Postponed, Rejected, Submitted
from trialjob.orchestrator.core.overview import Seen
from trialjob.orchestrator.core.search import Sampler
from trialjob.orchestrator.core.state import State


class Clock(Protocol):
    """Time, which is virtual in tests and in the simulator."""

    def now(self) -> float:
        """Seconds since the epoch."""

    def sleep(self, seconds: float) -> None:
        """Return after ``seconds``, or earlier when interrupted."""


class Journal(Protocol):
    """The append-only list of records of one experiment."""

    def read(self, after: int = 0) -> Sequence[Record]:
        """Records with a version above ``after``, in order; empty when there are none.

        Raises JournalCorrupt, JournalTooNew, StoreError; JournalReplaced, from here on and from ``append``,
        when what was read here is there no more.
        """

    def append(self, events: Sequence[Event], *, after: int, at: float) -> Record:
        """Write one durable record with version ``after + 1`` and return it.

        Raises JournalConflict, having written nothing, when the journal's version is not ``after``;
        StoreError when it cannot be written.
        """

    def receive(self, records: Sequence[Record]) -> None:
        """Be the journal of an experiment that comes from another one: have all of ``records`` or none.

        What is here must be a beginning of them, or they of it, and then nothing is to be done. Raises
        JournalConflict, having written nothing, when they are of another experiment; StoreError.
        """

    def hold(self, seconds: float = 60.0) -> AbstractContextManager[None]:
        """Be the one orchestrator of this experiment for the length of a ``with`` block.

        Where a holder's death cannot be seen, another may take over once this one has neither read nor
        appended for ``seconds``; the one overtaken may not append. Raises ExperimentBusy, which says
        who holds it, here and then from ``read`` and ``append``.
        """

    def holder(self) -> str | None:
        """Who holds it, in words, or None."""


@runtime_checkable
class Recalling(Protocol):
    """A journal that keeps beside its records what they amount to."""

    def recall(self) -> Seen | None:
        """What some of its first records amount to; None when that is not known, or in doubt."""

    def remember(self, state: State) -> None:
        """Keep the state after all that was read and written here, if it is worth while and possible."""


class ExperimentStore(Protocol):
    """Where experiments are kept."""

    def names(self) -> Sequence[ExperimentName]:
        """All experiments, sorted."""

    def journal(self, name: ExperimentName) -> Journal:
        """The journal of an experiment, which need not exist yet."""

    def where(self, name: str = "") -> str:
        """Where it keeps what it has, or what it has of an experiment, for people."""

    def bundle(self, name: ExperimentName, digest: str) -> bytes:
        """The code of an experiment, as it was kept. Raises StoreError."""

    def keep_bundle(self, name: ExperimentName, digest: str, data: bytes) -> None:
        """Keep the code of an experiment durably; what is there already under this digest is the same."""


class JobBackend(Protocol):
    """Runs jobs.

    ``submit`` and ``stop`` are idempotent by the job's name: calling them again after a crash is harmless.
    Every method may raise BackendUnavailable, which the engine takes as "nothing happened, ask again", and
    BackendBusy, which says when.
    """

    def submit(self, request: JobRequest) -> Submitted | Postponed | Rejected:
        """Start the job, or find that it was started before (same name and digest).

        Raises BackendError when a job of that name exists and is not ours.
        """

    def stop(self, job: JobName, digest: str = "") -> bool:
        """Ask for the job's end: SIGTERM, and SIGKILL after a grace.

        Returns False when no such job has ever been started, and then none will be; True otherwise,
        also when it has already ended. ``digest`` is given for a job not known to be ours: one of
        that name with another digest is left alone, and is no such job.
        """

    def observe(self, watched: Sequence[Watch]) -> Sequence[JobSeen]:
        """What became of these jobs, with the log lines behind each one's cursor.

        A job about which nothing is known yet is left out. One that has vanished for good is reported
        with an end of kind LOST.
        """

    def end_pools(self, jobs: Sequence[JobName]) -> bool:
        """Give back the machines that these ended jobs have left warm, so that they cost nothing more.

        Returns True once none of them is left, False when some call is still to be made.
        """

    def close(self) -> None:
        """Give back what only this process holds. Jobs run on."""


class HostedSearch(Protocol):
    """A service that proposes the trials itself and starts their jobs.

    What it is handed has one name, a function of the experiment's, which is what makes the calls idempotent.
    Every method may raise BackendUnavailable and BackendBusy, as those of JobBackend.
    """

    @property
    def search_name(self) -> str:
        """What the service knows the search by."""

    def hand_over(self, identity: str, bundle: str) -> bool:
        """Hand it over, with the code of that digest, if any; True when it had been, by ``identity``.

        Raises BackendError when the name is taken by another's, or the service refuses it.
        """

    def call_off(self, identity: str) -> bool:
        """Have it and its jobs end. False when it was never handed over, and then it never will be."""

    def look_for_jobs(self, known: Collection[JobName]) -> HostedObserved:
        """The jobs that the service has started beside those ``known``, and whether more may come."""


class LogSource(Protocol):
    """Lets people read a job's log. Every backend of ours is one too."""

    def log(self, job: JobName, cursor: str = "") -> Sequence[LogLine]:
        """Some lines of a job's log behind ``cursor``; empty at its present end."""


class Part(Enum):
    """What a job may leave behind."""

    #: What the script wrote to SM_MODEL_DIR.
    MODEL = "model"
    #: What it wrote to SM_OUTPUT_DATA_DIR.
    OUTPUT = "output"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A file that a job has left behind."""

    #: Its place below the part's folder, with "/" between names.
    path: str
    #: Bytes.
    size: int
    #: It is a tar.gz of the part's whole folder.
    archive: bool = False
    #: Another one for another content, as far as that can be told without reading it.
    version: str = ""


class ArtifactSource(Protocol):
    """Gives out what ended jobs have left behind. Every backend of ours is one too.

    Raises BackendUnavailable when there is no answer now, BackendError when there will be none.
    """

    def location(self, job: JobName, part: Part) -> str:
        """Where a part of an ended job is kept, if it left any, for people and other tools. Makes no call."""

    def kept(self, job: JobName, part: Part) -> Sequence[Kept]:
        """The files of a part; empty when the job has left none."""

    def read(self, job: JobName, part: Part, path: str, start: int = 0) -> Iterator[bytes]:
        """The bytes of a file from ``start`` on, in pieces."""


class Estimator(Protocol):
    """Knows what a trial's job is."""

    def request(
        self,
        job: JobName,
        trial: TrialId,
        attempt: int,
        config: Config,
        max_runtime: float,
        *,
        resource: float | None = None,
    ) -> JobRequest:
        """The request for one attempt; equal arguments give an equal request.

        ``resource`` is where the script may end by itself, as it will be stopped there.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundReport:
    """A report, and the mark of the line behind which reading may go on once it has been recorded."""

    report: Report
    cursor: str


class LogReader(Protocol):
    """Turns the lines of one attempt's log into reports."""

    def feed(self, text: str, at: float, cursor: str = "") -> Sequence[FoundReport]:
        """The reports that this line, whose mark is ``cursor``, completes."""

    def end(self) -> Sequence[FoundReport]:
        """The reports that waited for another line, as none will come."""

    @property
    def waits(self) -> bool:
        """True while it has a value and waits for a line with its resource."""

    def nearest(self) -> tuple[str, ...]:
        """The lines that looked most like ones with the objective's value; none once it had one."""


#: Makes a reader for an attempt that has already made these reports.
LogReaders: TypeAlias = Callable[[Sequence[Report]], LogReader]
#: What the user wants to follow from a line of a log, whatever came before it.
LogRules: TypeAlias = Callable[[str], Sequence[LogMatch]]

__all__ = [
    "ArtifactSource",
    "Clock",
    "Estimator",
    "ExperimentStore",
    "FoundReport",
    "HostedObserved",
    "HostedSearch",
    "JobBackend",
    "Journal",
    "Kept",
    "LogReader",
    "LogReaders",
    "LogRules",
    "LogSource",
    "Part",
    "Postponed",
    "Rejected",
    "Sampler",
    "Submitted",
]
