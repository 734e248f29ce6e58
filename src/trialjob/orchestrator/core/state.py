"""The state of an experiment: a frozen value.

Rule: state is what the journal says and nothing more; ``evolve`` takes it from one event to the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trialjob.model.ids import ExperimentName, JobName, TrialId, job_name
from trialjob.model.json import Json
from trialjob.model.limits import Limits
from trialjob.model.metric import Objective
from trialjob.model.money import NOTHING, Spend, Tariff
from trialjob.model.trial import EndKind, EndReason, Phase, TrialStatus
from trialjob.orchestrator.core.events import (
    NoticeFailed,
    NoticeSent,
)
from trialjob.orchestrator.core.rung import Rung
from trialjob.orchestrator.core.trial import Trial, Trials


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A machine that an ended job may have left warm; a later job may have taken it since."""

    trial: TrialId
    attempt: int
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingBill:
    """An ended job whose cost is not known yet."""

    trial: TrialId
    attempt: int
    #: After this time it is not asked for any more, and stays counted at its worst.
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosted:
    """A search that a service was handed, or is about to be."""

    #: What the service knows it by.
    name: str
    #: The service may stop jobs whose values are hopeless.
    prunes: bool = False
    accepted: bool = False
    #: Why it starts no more jobs; None while it may.
    end: EndReason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """An experiment after ``version`` records."""

    version: int
    name: ExperimentName
    document: Mapping[str, Json]
    #: Digest of the code that every trial runs.
    bundle: str
    objective: Objective
    limits: Limits
    created_at: float
    #: When the last record was appended.
    updated_at: float
    phase: Phase = Phase.RUNNING
    #: Why it is ending or has ended.
    reason: EndReason | None = None
    trials: Trials = field(default_factory=Trials)
    #: Trials without a final status.
    open: frozenset[TrialId] = frozenset()
    #: Those of them whose newest job is not over; each holds a slot.
    live: frozenset[TrialId] = frozenset()
    #: Those whose job is over and whose log may not be; they hold none.
    draining: frozenset[TrialId] = frozenset()
    #: How many trials have each status.
    counts: Mapping[TrialStatus, int] = field(default_factory=dict)
    rungs: Mapping[float, Rung] = field(default_factory=dict)
    #: The paused trials; and those of each rung as (key, -trial) in ascending order, the best last.
    paused_trials: frozenset[TrialId] = frozenset()
    paused: Mapping[float, tuple[tuple[float, int], ...]] = field(default_factory=dict)
    #: Those that may still be kept.
    pools: tuple[Pool, ...] = ()
    #: What jobs cost; None while unknown.
    tariff: Tariff | None = None
    #: What all jobs together have cost as far as that is known; and with the rest at its worst.
    spent: Spend = NOTHING
    committed: Spend = NOTHING
    #: Those whose cost the backend is still to say.
    pending_bills: tuple[PendingBill, ...] = ()
    exhausted: bool = False
    #: The search, where a service proposes the trials; None before it is handed over, and where none does.
    hosted: Hosted | None = None
    #: The store in which it goes on, in words; None when that is the one that this state was read from.
    moved_to: str | None = None
    #: The version of the record with its newest end; 0 before the first.
    end_version: int = 0
    #: The notices of ends that were sent, or could not be.
    notices: tuple[NoticeSent | NoticeFailed, ...] = ()
    #: Digest of the request that it was created for, or "".
    request: str = ""
    #: The best value that any trial has reported; an infinite one only while there is no other.
    best: float | None = None
    #: The best score of the trials that have ended, and how many in a row have not improved on it.
    best_score: float | None = None
    without_improvement: int = 0
    #: Seconds; the longest that a trial that has completed went without a report.
    longest_silence: float | None = None
    #: How many trials there were when it was last resumed, and how many have ended without a score since.
    trials_at_resume: int = 0
    scoreless_since_resume: int = 0

    def count(self, *statuses: TrialStatus) -> int:
        """How many trials have one of these statuses."""
        return sum(self.counts.get(status, 0) for status in statuses)

    @property
    def failures(self) -> int:
        """Trials that count against ``max_failures``."""
        return self.count(TrialStatus.FAILED, TrialStatus.METRICS_UNAVAILABLE)

    @property
    def has_failed(self) -> bool:
        """True when it was failures that it ended by, or every trial has failed, whatever ended it."""
        if self.phase is not Phase.ENDED or self.reason is None or self.reason.kind is EndKind.STOPPED:
            return False
        return self.reason.kind.is_failure or 0 < len(self.trials) == self.failures

    def live_trials(self) -> list[Trial]:
        """Trials whose job is not over, in order; the paused, which may be many, are not looked at."""
        return [self.trials[trial] for trial in sorted(self.live)]

    @property
    def idle(self) -> frozenset[TrialId]:
        """Trials that wait for a job, their first or another one; the paused wait for the rule."""
        return self.open - self.live - self.draining - self.paused_trials

    def current_trials(self) -> list[Trial]:
        """Trials of whose newest attempt more is to come, in order."""
        return [self.trials[trial] for trial in sorted(self.live | self.draining)]

    def open_trials(self) -> list[Trial]:
        """Trials without a final status, in the order of their numbers."""
        return [self.trials[trial] for trial in sorted(self.open)]

    def job(self, trial: TrialId, attempt: int) -> JobName:
        """The name of an attempt's job, also of one that is not proposed yet."""
        given = self.trials[trial].job if trial <= len(self.trials) else None
        return given or job_name(self.name, trial, attempt)
