"""A trial and its attempts: what the journal says of one configuration.

Rule: values only; what an event makes of them is in ``evolve_trial``. ``Trials`` is a list of chunks, so that
putting one of 10,000 trials copies two short tuples.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from trialjob.errors import InvariantError
from trialjob.model.ids import JobName, TrialId
from trialjob.model.job import FailureKind, JobEnd
from trialjob.model.json import Json
from trialjob.model.metric import Report, TrialScore
from trialjob.model.money import NOTHING, Spend, Terms
from trialjob.model.trial import AttemptStatus, LogMatch, StopReason, TrialStatus
from trialjob.orchestrator.core import transitions

#: After these another machine is asked for.
NO_MACHINE = (FailureKind.CAPACITY, FailureKind.SPOT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One job of a trial."""

    number: int
    status: AttemptStatus
    max_runtime: float
    intended_at: float
    #: The resource at which the trial is to pause or end.
    resource: float | None = None
    #: Not to be submitted before this time, and why.
    postponed_until: float = 0.0
    postponed_why: str = ""
    adopted: bool = False
    #: When the backend was first known to have its job.
    submitted_at: float | None = None
    #: Set once we want it stopped, and when that was.
    stop: StopReason | None = None
    stop_at: float | None = None
    #: How far its log has been turned into reports.
    cursor: str = ""
    #: How many reports this attempt has made.
    reports: int = 0
    #: What its log has matched of the user's patterns.
    matches: tuple[LogMatch, ...] = ()
    #: When it last began to train, reported or printed, as far as that was worth a record; what that line
    #: was; up to when and how often in a row it was silent for a part of its ``stall_timeout`` since.
    heard_at: float | None = None
    newest: str = ""
    silent_at: float | None = None
    silences: int = 0
    #: How its job ended, also while its log is still being read.
    end: JobEnd | None = None
    #: It may be resumed once its log has been read.
    may_resume: bool = False
    #: By what it is paid; None while unknown.
    terms: Terms | None = None
    #: What is paid for on each instance, for the job and for keeping its machine warm; None: not known yet.
    billed: float | None = None
    pool_billed: float | None = None

    @property
    def committed(self) -> Spend:
        """What it is counted at: its worst case, as far as its cost is not known."""
        if self.terms is None:
            return NOTHING
        return self.terms.settled(self.max_runtime, seconds=self.billed, pool_seconds=self.pool_billed)

    @property
    def spent(self) -> Spend:
        """What it has cost, as far as that is known."""
        if self.terms is None:
            return NOTHING
        return self.terms.settled(
            self.max_runtime, seconds=self.billed or 0.0, pool_seconds=self.pool_billed or 0.0
        )

    @property
    def is_settled(self) -> bool:
        """True when its whole cost is known."""
        return self.end is not None and self.billed is not None and not self._pool_is_open

    @property
    def _pool_is_open(self) -> bool:
        return self.pool_billed is None and self.terms is not None and self.terms.keep_alive > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One configuration and all that has become of it."""

    id: TrialId
    config: Mapping[str, Json]
    status: TrialStatus
    proposed_at: float
    attempts: tuple[Attempt, ...] = ()
    reports: tuple[Report, ...] = ()
    #: Resource and value of each report that has the objective's value and went further than all before it.
    curve: tuple[tuple[float, float], ...] = ()
    standing: TrialScore = field(default_factory=TrialScore)
    #: The largest resource reported.
    resource: float | None = None
    #: The highest rung entered, and the value it was entered with.
    rung: float | None = None
    rung_value: float | None = None
    #: The trial whose checkpoint it began with.
    source: TrialId | None = None
    #: The name of its one job, where a service has named it.
    job: JobName | None = None
    #: For a trial that waits for its next attempt.
    not_before: float = 0.0
    #: Why it has the status it has.
    reason: str = ""

    @property
    def score(self) -> float | None:
        """The objective's value that counts for this trial; None before the first."""
        return self.standing.score

    @property
    def others(self) -> tuple[float | None, ...]:
        """The values of the further objectives that go with the score; empty before the first report."""
        return self.standing.others

    @property
    def last(self) -> Attempt | None:
        """The newest attempt."""
        return self.attempts[-1] if self.attempts else None

    @property
    def current(self) -> Attempt | None:
        """The attempt of which more is to come: of its job, or only of its log."""
        last = self.last
        return last if last is not None and last.status is not AttemptStatus.ENDED else None

    @property
    def live(self) -> Attempt | None:
        """The attempt that holds a slot, if one does."""
        current = self.current
        return current if current is not None and current.status is not AttemptStatus.DRAINING else None

    @property
    def capacity_failures(self) -> int:
        """How many of its attempts found no machine."""
        ends = [attempt.end for attempt in self.attempts]
        return sum(1 for end in ends if end is not None and end.failure in NO_MACHINE)

    def curve_to(self, report: Report) -> tuple[tuple[float, float], ...]:
        """The curve up to ``report``."""
        return self.curve[: bisect_right(self.curve, report.resource, key=lambda point: point[0])]

    @property
    def ended(self) -> bool:
        """True when the trial has its final status."""
        return transitions.is_final(self.status)


@dataclass(frozen=True, slots=True)
class Trials:
    """All trials in the order of their numbers, which run from 1 without gaps."""

    CHUNK: ClassVar[int] = 64

    #: They are given where they are known as they are kept.
    chunks: tuple[Sequence[Trial], ...] = ()

    def __len__(self) -> int:
        return (len(self.chunks) - 1) * self.CHUNK + len(self.chunks[-1]) if self.chunks else 0

    def __iter__(self) -> Iterator[Trial]:
        for chunk in self.chunks:
            yield from chunk

    def __getitem__(self, trial: TrialId) -> Trial:
        chunk, place = divmod(trial - 1, self.CHUNK)
        if chunk < 0 or chunk >= len(self.chunks) or place >= len(self.chunks[chunk]):
            raise KeyError(trial)
        return self.chunks[chunk][place]

    def put(self, trial: Trial) -> Trials:
        """These trials with one replaced, or added at the end."""
        chunk, place = divmod(trial.id - 1, self.CHUNK)
        if not 1 <= trial.id <= len(self) + 1:
            raise InvariantError(f"trial {trial.id} does not follow trial {len(self)}")
        if chunk == len(self.chunks):
            return Trials((*self.chunks, (trial,)))
        old = self.chunks[chunk]
        new = (*old[:place], trial, *old[place + 1 :])
        return Trials((*self.chunks[:chunk], new, *self.chunks[chunk + 1 :]))
