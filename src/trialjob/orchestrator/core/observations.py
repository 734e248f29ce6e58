"""What the engine brings in from the world: the only input of ``decide`` besides state and time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from trialjob.model.ids import JobName, TrialId
from trialjob.model.job import Bill, JobEnd, JobState
from trialjob.model.metric import Report
from trialjob.model.space import Config
from trialjob.model.trial import EndReason, LogMatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """The backend has the job; ``adopted`` when it had it before this call."""

    adopted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Postponed:
    """The backend cannot take the job now (throttled, no quota, no free GPU); try again after ``seconds``."""

    reason: str
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """The backend will never take this job."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitAnswered:
    """The backend answered a submission."""

    trial: TrialId
    attempt: int
    answer: Submitted | Postponed | Rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class StopAnswered:
    """The backend answered a stop; ``known`` is False when the job had never been started."""

    trial: TrialId
    attempt: int
    known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class JobObserved:
    """What became of a job since the last look."""

    trial: TrialId
    attempt: int
    state: JobState
    reports: tuple[Report, ...] = ()
    #: The backend's mark behind the line that made the last of ``reports``.
    cursor: str = ""
    end: JobEnd | None = None
    #: How its job ended, while its log may not have been read to its end.
    over: JobEnd | None = None
    #: What new lines matched of the user's patterns.
    matches: tuple[LogMatch, ...] = ()
    #: How many seconds its log spans, as far as it has been read; 0 while more of it is ready.
    logged: float = 0.0
    #: What tells the newest line behind its last report from all others; "" when there is none.
    newest: str = ""
    #: How many seconds of its log may still come; None when a look at it says nothing (``JobSeen.behind``).
    behind: float | None = None
    #: The lines that looked most like ones with the objective's value, while it has reported none.
    nearest: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BillObserved:
    """The backend said what an ended job cost."""

    trial: TrialId
    attempt: int
    bill: Bill


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggested:
    """The sampler's answer for the next trial; None when it has nothing left for ever."""

    config: Config | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolsAnswered:
    """None of the machines that were to be given back is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedJob:
    """A job that a service has started for a configuration which it proposed."""

    job: JobName
    config: Config


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedOffered:
    """The search is to be handed to a service, which will know it by this name."""

    name: str
    #: The service may stop jobs whose values are hopeless.
    prunes: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedStarted:
    """The service has been handed the search; ``adopted`` when it had it before this call."""

    adopted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedStopped:
    """The service was asked to end; ``known`` is False when it never had the search, and never will."""

    known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedObserved:
    """What a service has made of a search."""

    #: Jobs that were not known, in the order in which they were started.
    started: tuple[HostedJob, ...] = ()
    #: Why no more jobs come; None while some may.
    end: EndReason | None = None


Hosted: TypeAlias = HostedOffered | HostedStarted | HostedStopped | HostedObserved
Observation: TypeAlias = (
    SubmitAnswered | StopAnswered | JobObserved | BillObserved | Suggested | PoolsAnswered | Hosted
)
