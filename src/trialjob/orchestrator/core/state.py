"""The state of an experiment: a frozen value, and the function that takes it from one event to the next.

Rule 1: state is what the journal says and nothing more; replaying the same records gives an equal state.
Rule 2: applying an event costs what it changes, not what has ever happened. ``Trials`` is a list of chunks
so that putting one of 10,000 trials copies two short tuples, and finished trials are not looked at again.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, TypeAlias, assert_never

from trialjob.errors import InvariantError
from trialjob.model.ids import ExperimentName, JobName, TrialId, job_name
from trialjob.model.job import FailureKind, JobEnd
from trialjob.model.json import Json
from trialjob.model.limits import Limits
from trialjob.model.metric import Objective, Report, Standing
from trialjob.model.money import NOTHING, Spend, Tariff, Terms
from trialjob.model.trial import AttemptStatus, EndKind, EndReason, LogMatch, Phase, StopReason, TrialStatus
from trialjob.orchestrator.core import transitions
from trialjob.orchestrator.core.events import (
    AttemptEnded,
    AttemptIntended,
    BillLearned,
    Event,
    ExperimentArrived,
    ExperimentCreated,
    ExperimentEnded,
    ExperimentEnding,
    ExperimentMoved,
    ExperimentResumed,
    JobProgressed,
    JobSubmitted,
    KnownResult,
    LimitsChanged,
    LogMatched,
    NoticeFailed,
    NoticeSent,
    PoolsEnded,
    PricesLearned,
    Record,
    ReportsRead,
    RetryPlanned,
    RungReached,
    SpaceExhausted,
    StopIntended,
    SubmitPostponed,
    TrialEnded,
    TrialPaused,
    TrialProposed,
)

if TYPE_CHECKING:
    from dataclasses import replace  # for what type checkers know of it
else:
    from trialjob.orchestrator.core.changed import changed as replace

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
    end: JobEnd | None = None
    #: By what it is paid; None while nobody has said.
    terms: Terms | None = None
    #: What is paid for on each instance, for the job and for keeping its machine warm; None: not known yet.
    billed: float | None = None
    pool_billed: float | None = None

    @property
    def committed(self) -> Spend:
        """What it is counted at: its worst case, as far as it is not known what it came to."""
        if self.terms is None:
            return NOTHING
        return self.terms.settled(self.max_runtime, seconds=self.billed, pool_seconds=self.pool_billed)

    @property
    def spent(self) -> Spend:
        """What it has come to, as far as that is known."""
        if self.terms is None:
            return NOTHING
        return self.terms.settled(
            self.max_runtime, seconds=self.billed or 0.0, pool_seconds=self.pool_billed or 0.0
        )

    @property
    def is_settled(self) -> bool:
        """True when all that it came to is known."""
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
    standing: Standing = field(default_factory=Standing)
    #: The largest resource reported.
    resource: float | None = None
    #: The highest rung entered, and the value it was entered with.
    rung: float | None = None
    rung_value: float | None = None
    #: The trial whose checkpoint it began with.
    source: TrialId | None = None
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
    def live(self) -> Attempt | None:
        """The attempt that holds a slot, if one does."""
        last = self.last
        return last if last is not None and last.status is not AttemptStatus.ENDED else None

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

    _chunks: tuple[tuple[Trial, ...], ...] = ()

    def __len__(self) -> int:
        return (len(self._chunks) - 1) * self.CHUNK + len(self._chunks[-1]) if self._chunks else 0

    def __iter__(self) -> Iterator[Trial]:
        for chunk in self._chunks:
            yield from chunk

    def __getitem__(self, trial: TrialId) -> Trial:
        chunk, place = divmod(trial - 1, self.CHUNK)
        if chunk < 0 or chunk >= len(self._chunks) or place >= len(self._chunks[chunk]):
            raise KeyError(trial)
        return self._chunks[chunk][place]

    def put(self, trial: Trial) -> Trials:
        """These trials with one replaced, or added at the end."""
        chunk, place = divmod(trial.id - 1, self.CHUNK)
        if not 1 <= trial.id <= len(self) + 1:
            raise InvariantError(f"trial {trial.id} does not follow trial {len(self)}")
        if chunk == len(self._chunks):
            return Trials((*self._chunks, (trial,)))
        old = self._chunks[chunk]
        new = (*old[:place], trial, *old[place + 1 :])
        return Trials((*self._chunks[:chunk], new, *self._chunks[chunk + 1 :]))


@dataclass(frozen=True, slots=True)
class Rung:
    """The values with which trials entered a rung, as keys where more is better, in ascending order."""

    keys: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.keys)

    def enter(self, key: float) -> Rung:
        """This rung with one more value."""
        keys = list(self.keys)
        insort(keys, key)
        return Rung(tuple(keys))

    def better_than(self, key: float) -> int:
        """How many values are strictly better."""
        return len(self.keys) - bisect_right(self.keys, key)

    def best(self) -> float:
        """The best value; -inf when there is none."""
        return self.keys[-1] if self.keys else -math.inf

    def median(self) -> float:
        """The middle value, or the mean of the two in the middle; -inf when there is none."""
        if not self.keys:
            return -math.inf
        low, high = self.keys[(len(self.keys) - 1) // 2], self.keys[len(self.keys) // 2]
        # Halved before they are added, as two large numbers may have no sum; infinities have no mean at all.
        return low if low == high or math.isinf(low) else low / 2 + high / 2

    def worse_than(self, key: float) -> int:
        """How many values are strictly worse."""
        return bisect_left(self.keys, key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A machine that an ended job may have left warm; a later job may have taken it since."""

    trial: TrialId
    attempt: int
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Unbilled:
    """An ended job of which it is not known what it came to."""

    trial: TrialId
    attempt: int
    #: After this time nobody asks any more, and it stays counted at its worst.
    until: float


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
    #: Those of them whose newest attempt has not ended; each holds a slot.
    live: frozenset[TrialId] = frozenset()
    #: How many trials have each status.
    counts: Mapping[TrialStatus, int] = field(default_factory=dict)
    rungs: Mapping[float, Rung] = field(default_factory=dict)
    #: The paused trials; and those of each rung as (key, -trial) in ascending order, the best last.
    resting: frozenset[TrialId] = frozenset()
    paused: Mapping[float, tuple[tuple[float, int], ...]] = field(default_factory=dict)
    #: Those that may still be kept.
    pools: tuple[Pool, ...] = ()
    #: What jobs cost; None while nobody has said.
    tariff: Tariff | None = None
    #: What all jobs together have come to as far as that is known; and with the rest at its worst.
    spent: Spend = NOTHING
    committed: Spend = NOTHING
    #: Those of which the backend is still to say what they came to.
    unbilled: tuple[Unbilled, ...] = ()
    exhausted: bool = False
    #: The store in which it goes on, in words; None when that is the one that this state was read from.
    moved_to: str | None = None
    #: The version of the record with its newest end; 0 before the first.
    end: int = 0
    #: Who was told of ends, or could not be.
    notices: tuple[NoticeSent | NoticeFailed, ...] = ()
    #: Digest of the request that it was created for, or "".
    request: str = ""
    #: The best value that any trial has reported; an infinite one only while there is no other.
    best: float | None = None
    #: The best score of the trials that have ended, and how many in a row have not improved on it.
    best_score: float | None = None
    without_improvement: int = 0
    #: How many trials there were when it was last resumed, and how many have ended without a score since.
    tried_before: int = 0
    fruitless: int = 0

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
        """Trials whose job has not ended, in order; the paused, who may be many, are not looked at."""
        return [self.trials[trial] for trial in sorted(self.live)]

    def open_trials(self) -> list[Trial]:
        """Trials without a final status, in the order of their numbers."""
        return [self.trials[trial] for trial in sorted(self.open)]

    def job(self, trial: TrialId, attempt: int) -> JobName:
        """The name of an attempt's job."""
        return job_name(self.name, trial, attempt)


def evolve(state: State | None, record: Record) -> State:
    """The state after ``record``. Raises InvariantError when the record cannot follow the state."""
    if record.version != (state.version if state else 0) + 1:
        raise InvariantError(f"record {record.version} cannot follow version {state.version if state else 0}")
    for event in record.events:
        state = apply(state, event, record.at)
    if state is None:
        raise InvariantError("a journal cannot begin with an empty record")
    return as_of(record, state)


def as_of(record: Record, state: State) -> State:
    """What ``record`` leaves behind, where ``state`` is what its events have made of the one before it."""
    return replace(state, version=record.version, updated_at=record.at)


def replay(records: Iterable[Record]) -> State | None:
    """The state after all of ``records``; None when there are none."""
    state: State | None = None
    for record in records:
        state = evolve(state, record)
    return state


def apply(state: State | None, event: Event, at: float) -> State:
    """The state after one event that happened at ``at``; its version is not counted up."""
    if isinstance(event, ExperimentCreated):
        if state is not None:
            raise InvariantError("an experiment is created once")
        return State(
            version=0,
            name=event.name,
            document=event.document,
            bundle=event.bundle,
            objective=event.objective,
            limits=event.limits,
            created_at=at,
            updated_at=at,
            request=event.request,
        )
    if state is None:
        raise InvariantError(f"{type(event).__name__} before the experiment was created")
    match event:
        case KnownResult():
            return state  # only the sampler learns from it
        case LimitsChanged():
            return replace(state, limits=event.limits, document=event.document)
        case SpaceExhausted():
            return replace(state, exhausted=True)
        case PoolsEnded():
            until = at + ASK_FOR_BILL
            unbilled = tuple(replace(each, until=min(each.until, until)) for each in state.unbilled)
            return replace(state, pools=(), unbilled=unbilled)
        case NoticeSent() | NoticeFailed():
            return replace(state, notices=(*state.notices, event))
        case PricesLearned():
            return _with_prices(state, event.tariff)
        case (
            ExperimentEnding()
            | ExperimentEnded()
            | ExperimentResumed()
            | ExperimentMoved()
            | ExperimentArrived()
        ):
            return _to_experiment(state, event)
        case RungReached():
            rung = state.rungs.get(event.rung, Rung()).enter(state.objective.key(event.value))
            trial = state.trials[event.trial]
            return replace(
                state,
                rungs={**state.rungs, event.rung: rung},
                trials=state.trials.put(_with_rung(trial, event)),
            )
        case TrialProposed():
            return _put(
                state,
                None,
                Trial(
                    id=event.trial,
                    config=event.config,
                    status=TrialStatus.PROPOSED,
                    proposed_at=at,
                    source=event.source,
                ),
            )
        case _:
            return _with_sums(_to_trial(state, event, at), event, at)


_Course: TypeAlias = (
    ExperimentEnding | ExperimentEnded | ExperimentResumed | ExperimentMoved | ExperimentArrived
)


def _to_experiment(state: State, event: _Course) -> State:
    match event:
        case ExperimentEnding():
            return _move(state, Phase.ENDING, event.reason)
        case ExperimentEnded():
            return replace(_move(state, Phase.ENDED, event.reason), end=state.version + 1)
        case ExperimentResumed():
            state = _move(state, Phase.RUNNING, None)
            return replace(state, tried_before=len(state.trials), fruitless=0)
        case ExperimentMoved():
            return replace(state, moved_to=event.to)
        case ExperimentArrived():
            return replace(state, moved_to=None)
        case _:
            assert_never(event)


_TrialEvent: TypeAlias = (
    AttemptIntended
    | JobSubmitted
    | SubmitPostponed
    | JobProgressed
    | ReportsRead
    | LogMatched
    | StopIntended
    | AttemptEnded
    | BillLearned
    | RetryPlanned
    | TrialPaused
    | TrialEnded
)


def _to_trial(state: State, event: _TrialEvent, at: float) -> State:
    old = state.trials[event.trial]
    new = _apply_to_trial(old, event, at, state.objective)
    state = _put(state, old, new)
    if isinstance(event, AttemptIntended | AttemptEnded | BillLearned):
        return _with_spend(state, old, new, event.attempt)
    return state


def _with_spend(state: State, old: Trial, new: Trial, attempt: int) -> State:
    """``state`` with its sums brought up to what an attempt is now counted at."""
    after = new.attempts[attempt - 1]
    spent, committed = state.spent + after.spent, state.committed + after.committed
    if attempt <= len(old.attempts):
        before = old.attempts[attempt - 1]
        spent, committed = spent - before.spent, committed - before.committed
    return replace(state, spent=spent, committed=committed)


def _with_prices(state: State, tariff: Tariff) -> State:
    """``state`` with other prices from now on, and with these for the jobs that had none."""
    state = replace(state, tariff=tariff)
    for trial in state.trials:
        if all(attempt.terms is not None and attempt.terms.price is not None for attempt in trial.attempts):
            continue
        failures = 0
        attempts = []
        for attempt in trial.attempts:
            known = attempt.terms is not None and attempt.terms.price is not None
            attempts.append(attempt if known else replace(attempt, terms=tariff.after(failures)))
            if attempt.end is not None and attempt.end.failure in NO_MACHINE:
                failures += 1
        new = replace(trial, attempts=tuple(attempts))
        state = replace(state, trials=state.trials.put(new))
        for attempt in new.attempts:
            state = _with_spend(state, trial, new, attempt.number)
    return state


def _apply_to_trial(trial: Trial, event: _TrialEvent, at: float, objective: Objective) -> Trial:
    match event:
        case AttemptIntended():
            if trial.live is not None or event.attempt != len(trial.attempts) + 1:
                raise InvariantError(f"trial {trial.id} cannot begin attempt {event.attempt}")
            attempt = Attempt(
                number=event.attempt,
                status=AttemptStatus.INTENDED,
                max_runtime=event.max_runtime,
                intended_at=at,
                resource=event.resource,
                terms=event.terms,
            )
            if trial.status is not TrialStatus.RUNNING:
                trial = _with_status(trial, TrialStatus.RUNNING)
            return replace(trial, attempts=(*trial.attempts, attempt), not_before=0.0, reason="")
        case JobSubmitted():
            return _on_attempt(
                trial,
                event.attempt,
                status=AttemptStatus.SUBMITTED,
                adopted=event.adopted,
                submitted_at=at,
            )
        case SubmitPostponed():
            return _on_attempt(trial, event.attempt, postponed_until=event.until, postponed_why=event.reason)
        case JobProgressed():
            return _on_attempt(trial, event.attempt, status=event.status)
        case LogMatched():
            matches = (*trial.attempts[event.attempt - 1].matches, event.match)
            return _on_attempt(trial, event.attempt, matches=matches)
        case StopIntended():
            return _on_attempt(trial, event.attempt, stop=event.reason, stop_at=at)
        case AttemptEnded(end=end):
            return _on_attempt(
                trial,
                event.attempt,
                status=AttemptStatus.ENDED,
                end=end,
                billed=end.seconds,
                pool_billed=end.pool_seconds,
            )
        case BillLearned():
            return _with_bill(trial, event)
        case ReportsRead():
            count = trial.attempts[event.attempt - 1].reports + len(event.reports)
            trial = _on_attempt(trial, event.attempt, cursor=event.cursor, reports=count)
            return _with_reports(trial, event.reports, objective)
        case RetryPlanned():
            return replace(trial, not_before=event.not_before, reason=event.reason)
        case TrialPaused() | TrialEnded():
            status = event.status if isinstance(event, TrialEnded) else TrialStatus.PAUSED
            return replace(_with_status(trial, status), reason=event.reason)
        case _:
            assert_never(event)


def _with_bill(trial: Trial, event: BillLearned) -> Trial:
    old = trial.attempts[event.attempt - 1]
    if old.end is None:
        raise InvariantError(f"attempt {event.attempt} of trial {trial.id} has not ended and has no bill")
    new = replace(
        old,
        billed=old.billed if event.seconds is None else event.seconds,
        pool_billed=old.pool_billed if event.pool_seconds is None else event.pool_seconds,
    )
    return replace(
        trial, attempts=(*trial.attempts[: event.attempt - 1], new, *trial.attempts[event.attempt :])
    )


def _with_rung(trial: Trial, event: RungReached) -> Trial:
    if trial.rung is not None and event.rung < trial.rung:
        return trial
    return replace(trial, rung=event.rung, rung_value=event.value)


def _with_status(trial: Trial, status: TrialStatus) -> Trial:
    transitions.check(transitions.TRIAL, trial.status, status, f"trial {trial.id}")
    return replace(trial, status=status)


def _on_attempt(
    trial: Trial, number: int, *, status: AttemptStatus | None = None, **changes: object
) -> Trial:
    live = trial.live
    if live is None or live.number != number:
        raise InvariantError(f"attempt {number} of trial {trial.id} does not run")
    if status is not None and status is not live.status:
        transitions.check(transitions.ATTEMPT, live.status, status, f"attempt {number} of trial {trial.id}")
        changes["status"] = status
    return replace(trial, attempts=(*trial.attempts[:-1], replace(live, **changes)))  # type: ignore[arg-type]


def _with_reports(trial: Trial, reports: tuple[Report, ...], objective: Objective) -> Trial:
    standing, resource = trial.standing, trial.resource
    curve = list(trial.curve)
    for report in reports:
        value = report.value(objective)
        if value is not None and (not curve or report.resource > curve[-1][0]):
            curve.append((report.resource, value))
        standing = standing.after(report, objective)
        resource = report.resource if resource is None else max(resource, report.resource)
    return replace(
        trial,
        reports=(*trial.reports, *reports),
        curve=tuple(curve) if len(curve) > len(trial.curve) else trial.curve,
        standing=standing,
        resource=resource,
    )


def _with_sums(state: State, event: _TrialEvent, at: float) -> State:
    """``state`` with what is known of all trials brought up to what happened to one."""
    match event:
        case ReportsRead():
            return _with_best(state, event.reports)
        case TrialEnded():
            return _with_improvement(state, state.trials[event.trial])
        case AttemptEnded(end=end):
            return _with_left(state, event, end, at)
        case BillLearned():
            return _with_bill_out(state, event)
        case _:
            return state


#: Seconds after a job's end, or that of its pool, in which it is asked for what is still not known.
ASK_FOR_BILL = 120.0


def _with_left(state: State, event: AttemptEnded, end: JobEnd, at: float) -> State:
    """``state`` with the machine that a job has left warm, and with what is not known of its bill."""
    if end.pool_until is not None:
        pool = Pool(trial=event.trial, attempt=event.attempt, until=end.pool_until)
        # By the clock of the service, which also says until when they are kept.
        ended = -math.inf if end.ended_at is None else end.ended_at
        kept = tuple(pool for pool in state.pools if pool.until > ended)
        state = replace(state, pools=(*kept, pool))
    attempt = state.trials[event.trial].attempts[event.attempt - 1]
    if attempt.terms is None or attempt.is_settled:
        return state
    until = max(at, end.pool_until or at) + ASK_FOR_BILL
    unbilled = Unbilled(trial=event.trial, attempt=event.attempt, until=until)
    asked = tuple(each for each in state.unbilled if each.until > at)
    return replace(state, unbilled=(*asked, unbilled))


def _with_bill_out(state: State, event: BillLearned) -> State:
    """``state`` with one bill no longer open; whose pool's seconds are known has no pool any more."""
    pools = state.pools
    if event.pool_seconds is not None:
        pools = tuple(pool for pool in pools if (pool.trial, pool.attempt) != (event.trial, event.attempt))
    unbilled = state.unbilled
    if state.trials[event.trial].attempts[event.attempt - 1].is_settled:
        unbilled = tuple(
            each for each in unbilled if (each.trial, each.attempt) != (event.trial, event.attempt)
        )
    return replace(state, pools=pools, unbilled=unbilled)


def _with_best(state: State, reports: tuple[Report, ...]) -> State:
    best = state.best
    for report in reports:
        value = report.value(state.objective)
        if value is not None and (best is None or state.objective.beats(value, best)):
            best = value
    return state if best is state.best else replace(state, best=best)


def _with_improvement(state: State, ended: Trial) -> State:
    """Count a trial with a score; failures are counted apart, and say nothing about the search."""
    if ended.score is None:
        return replace(state, fruitless=state.fruitless + 1)
    if ended.status is TrialStatus.FAILED:
        return state
    if state.best_score is None or state.objective.better(ended.score, state.best_score):
        return replace(state, best_score=ended.score, without_improvement=0)
    return replace(state, without_improvement=state.without_improvement + 1)


def _put(state: State, old: Trial | None, new: Trial) -> State:
    """``state`` with a trial put in, and the sums over all trials kept true."""
    trials = state.trials.put(new)
    live = state.live
    if (new.live is None) is (new.id in live):
        live = live - {new.id} if new.live is None else live | {new.id}
    if old is not None and old.status is new.status:
        return replace(state, trials=trials, live=live)
    counts = dict(state.counts)
    if old is not None:
        counts[old.status] -= 1
    counts[new.status] = counts.get(new.status, 0) + 1
    open_ = state.open - {new.id} if new.ended else state.open | {new.id}
    state = replace(state, trials=trials, counts=counts, open=open_, live=live)
    was_paused = old is not None and old.status is TrialStatus.PAUSED
    return _with_paused(state, new) if was_paused or new.status is TrialStatus.PAUSED else state


def _with_paused(state: State, trial: Trial) -> State:
    """``state`` with a trial that has been paused, or no longer is, in its rung's list or out of it."""
    rung = trial.rung or 0.0
    value = math.nan if trial.rung_value is None else trial.rung_value
    entry = (state.objective.key(value), -trial.id)
    waiting = state.paused.get(rung, ())
    place = bisect_left(waiting, entry)
    if trial.status is TrialStatus.PAUSED:
        waiting = (*waiting[:place], entry, *waiting[place:])
    else:
        waiting = (*waiting[:place], *waiting[place + 1 :])
    resting = state.resting - {trial.id}
    if trial.status is TrialStatus.PAUSED:
        resting |= {trial.id}
    return replace(state, paused={**state.paused, rung: waiting}, resting=resting)


def _move(state: State, phase: Phase, reason: EndReason | None) -> State:
    transitions.check(transitions.EXPERIMENT, state.phase, phase, "the experiment")
    return replace(state, phase=phase, reason=reason)
