"""What can happen to an experiment. The journal is a list of these and nothing else is ever stored.

Rule 1: an event says what happened, in the past tense; it is never a command.
Rule 2: an event is never changed once released. A field may be added with a default; a meaning stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from trialjob.model.ids import ExperimentName, TrialId
from trialjob.model.job import JobEnd
from trialjob.model.json import Json
from trialjob.model.limits import Limits
from trialjob.model.metric import Objective, Report
from trialjob.model.money import Tariff, Terms
from trialjob.model.trial import AttemptStatus, EndReason, LogMatch, StopReason, TrialStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentCreated:
    """The first event of every journal."""

    name: ExperimentName
    #: The whole spec as it was resolved, seed included; opaque to the core.
    document: Mapping[str, Json]
    objective: Objective
    limits: Limits
    #: Digest of the code that every trial runs.
    bundle: str
    #: The version of trialjob that created the experiment.
    trialjob: str
    #: Digest of the request that it was created for, where the same one may come again; else "".
    request: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownResult:
    """An earlier experiment, or a table, has the score of a configuration; samplers learn from it."""

    __pydantic_config__: ClassVar = {"ser_json_inf_nan": "strings", "extra": "forbid"}

    config: Mapping[str, Json]
    score: float
    #: The values of the further objectives, in their order.
    others: tuple[float, ...] = ()
    #: The resource at which it was cut short, or None when it ran to its end.
    pruned_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsChanged:
    """The user agreed to other limits; ``document`` is the spec with them in it."""

    limits: Limits
    document: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class PricesLearned:
    """What jobs cost from now on. Jobs that were asked for when no price was known get these, too."""

    tariff: Tariff


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentResumed:
    """An experiment that had ended goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialProposed:
    """The sampler proposed a configuration. This is what counts against ``max_trials``."""

    trial: TrialId
    config: Mapping[str, Json]
    #: The trial whose checkpoint it begins with; None when it begins from nothing.
    source: TrialId | None = None
    #: The name of its job, where a service has proposed it and named that; else "".
    job: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceExhausted:
    """The sampler has nothing new to propose, now or ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedIntended:
    """The search is about to be handed to a service, which proposes the trials and starts their jobs.

    Journaled before the call, so that none is unknown.
    """

    #: What the service knows it by.
    name: str
    #: The service may stop jobs whose values are hopeless.
    prunes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedAccepted:
    """The service has the search."""

    #: It already had it: an earlier call had taken effect, although we did not learn of it.
    adopted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedEnded:
    """The service starts no more jobs, and all that it has started are known."""

    reason: EndReason


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptIntended:
    """A job for the trial is about to be submitted. Journaled before the call, so that no job is unknown."""

    trial: TrialId
    attempt: int
    #: Seconds after which the backend ends the job by itself.
    max_runtime: float
    #: The resource at which the trial is to pause or end; None when it runs to its own end.
    resource: float | None = None
    #: By what it is paid; its worst case is committed from now on. None when no prices had been learned.
    terms: Terms | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSubmitted:
    """The backend has the job."""

    trial: TrialId
    attempt: int
    #: It already had it: an earlier call had taken effect, although we did not learn of it.
    adopted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitPostponed:
    """The backend cannot take the job now; nothing is wrong with it."""

    trial: TrialId
    attempt: int
    reason: str
    #: Not to be tried again before this time.
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class JobProgressed:
    """A job was seen in another state than before."""

    trial: TrialId
    attempt: int
    status: AttemptStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportsRead:
    """New reports of a job, in the order of its log; each report is in exactly one such event."""

    trial: TrialId
    attempt: int
    reports: tuple[Report, ...]
    #: The backend's mark behind the last line that made these reports.
    cursor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RungReached:
    """A trial entered a rung of the stopping rule with a value; it is compared with those already there."""

    __pydantic_config__: ClassVar = {"ser_json_inf_nan": "strings", "extra": "forbid"}

    trial: TrialId
    rung: float
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LogMatched:
    """A line of a job's log has, for the first time, matched one of the user's patterns."""

    trial: TrialId
    attempt: int
    match: LogMatch


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSilent:
    """A job that trains has made no report for a part of its ``stall_timeout``; see ``core.stall``."""

    trial: TrialId
    attempt: int
    #: What tells the newest line behind its last report from all others; "" when there is none.
    newest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopIntended:
    """A job is about to be stopped. Journaled before the call."""

    trial: TrialId
    attempt: int
    reason: StopReason


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEnded:
    """A job is over at its backend and its slot is free, while lines of its log may still come."""

    trial: TrialId
    attempt: int
    end: JobEnd
    #: The stopping rule may resume the trial once its log has been read, and it will want a machine then.
    may_resume: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnded:
    """A job is over and every line of its log has been read."""

    trial: TrialId
    attempt: int
    end: JobEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class BillLearned:
    """What an ended job cost became known after its end. None says that it is as unknown as before."""

    trial: TrialId
    attempt: int
    #: Seconds that are paid for, on each instance: of the job, and of keeping its machine warm.
    seconds: float | None = None
    pool_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolsEnded:
    """The machines that ended jobs had left warm are given back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPlanned:
    """The trial will be attempted again, not before ``not_before``."""

    trial: TrialId
    not_before: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialPaused:
    """The trial's job is over, and the stopping rule may resume it as a new attempt with more resource."""

    trial: TrialId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEnded:
    """The trial has its final status."""

    trial: TrialId
    status: TrialStatus
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentEnding:
    """No new trials; what runs is being cancelled."""

    reason: EndReason


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentEnded:
    """Nothing runs any more."""

    reason: EndReason


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentMoved:
    """It goes on in another store. In this one nothing follows, unless it comes back."""

    #: The other store, in words.
    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentArrived:
    """It has come from another store, and goes on in this one."""

    #: This store, in words.
    at_store: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeSent:
    """The notification that the experiment has ended was sent."""

    #: How: sns or webhook.
    to: str
    #: The version of the record with the end that this was about.
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeFailed:
    """They could not be told now."""

    to: str
    end: int
    problem: str


Event: TypeAlias = (
    ExperimentCreated
    | KnownResult
    | LimitsChanged
    | PricesLearned
    | ExperimentResumed
    | TrialProposed
    | SpaceExhausted
    | HostedIntended
    | HostedAccepted
    | HostedEnded
    | AttemptIntended
    | JobSubmitted
    | SubmitPostponed
    | JobProgressed
    | ReportsRead
    | RungReached
    | LogMatched
    | JobSilent
    | StopIntended
    | JobEnded
    | AttemptEnded
    | BillLearned
    | PoolsEnded
    | RetryPlanned
    | TrialPaused
    | TrialEnded
    | ExperimentEnding
    | ExperimentEnded
    | ExperimentMoved
    | ExperimentArrived
    | NoticeSent
    | NoticeFailed
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Events appended together: all of them are in the journal, or none."""

    #: 1 for the first record; the journal's version is that of its last record.
    version: int
    #: When it was appended, in seconds since the epoch.
    at: float
    events: tuple[Event, ...]
