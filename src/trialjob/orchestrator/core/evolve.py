"""What an event makes of the state.

Rule 1: replaying the same records gives an equal state.
Rule 2: applying an event costs what it changes, not what has ever happened; finished trials are not looked at
again.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeAlias, TypeVar, assert_never

from trialjob.errors import InvariantError, JournalCorrupt
from trialjob.model.ids import JobName
from trialjob.model.job import JobEnd
from trialjob.model.metric import Report
from trialjob.model.money import Tariff, Terms
from trialjob.model.trial import EndReason, Phase, TrialStatus
from trialjob.orchestrator.core import stall, transitions
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
    HostedAccepted,
    HostedEnded,
    HostedIntended,
    JobEnded,
    KnownResult,
    LimitsChanged,
    NoticeFailed,
    NoticeSent,
    PoolsEnded,
    PricesLearned,
    Record,
    ReportsRead,
    RungReached,
    SpaceExhausted,
    TrialEnded,
    TrialProposed,
)
from trialjob.orchestrator.core.evolve_trial import TrialEvent, apply_to_trial, with_attempt, with_rung
from trialjob.orchestrator.core.rung import Rung
from trialjob.orchestrator.core.state import Hosted, PendingBill, Pool, State
from trialjob.orchestrator.core.trial import NO_MACHINE, Attempt, Trial

if TYPE_CHECKING:
    from dataclasses import replace  # for what type checkers know of it
else:
    from trialjob.orchestrator.core.fast_replace import changed as replace

P = TypeVar("P", Pool, PendingBill)


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


def learned(state: State | None, record: Record, where: str) -> State:
    """The state after a record that was read; raises JournalCorrupt when nothing of ours has written it."""
    try:
        return evolve(state, record)
    except (InvariantError, LookupError, ArithmeticError, TypeError, ValueError) as error:
        raise JournalCorrupt(
            f"{where}: record {record.version} of its journal cannot follow those before it ({error}); "
            "something other than trialjob has changed it: restore the journal from a backup"
        ) from error


def replay(records: Iterable[Record], where: str = "a journal") -> State | None:
    """The state after all of ``records``; None when there are none. Raises as ``learned``."""
    state: State | None = None
    for record in records:
        state = learned(state, record, where)
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
        case HostedIntended() | HostedAccepted() | HostedEnded():
            return replace(state, hosted=_with_hosted(state.hosted, event))
        case SpaceExhausted():
            return replace(state, exhausted=True)
        case PoolsEnded():
            until = at + ASK_FOR_BILL
            pending_bills = tuple(replace(each, until=min(each.until, until)) for each in state.pending_bills)
            return replace(state, pools=(), pending_bills=pending_bills)
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
            return replace(
                state,
                rungs={**state.rungs, event.rung: rung},
                trials=state.trials.put(with_rung(state.trials[event.trial], event)),
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
                    job=JobName(event.job) if event.job else None,
                ),
            )
        case _:
            known = None if (last := state.trials[event.trial].last) is None else last.end
            return _with_sums(_to_trial(state, event, at), event, known, at)


def _with_hosted(hosted: Hosted | None, event: HostedIntended | HostedAccepted | HostedEnded) -> Hosted:
    if isinstance(event, HostedIntended):
        return Hosted(name=event.name, prunes=event.prunes)
    if hosted is None:
        raise InvariantError(f"{type(event).__name__} before the search was to be handed over")
    if isinstance(event, HostedAccepted):
        return replace(hosted, accepted=True)
    return replace(hosted, end=event.reason)


_Course: TypeAlias = (
    ExperimentEnding | ExperimentEnded | ExperimentResumed | ExperimentMoved | ExperimentArrived
)


def _to_experiment(state: State, event: _Course) -> State:
    match event:
        case ExperimentEnding():
            return _move(state, Phase.ENDING, event.reason)
        case ExperimentEnded():
            return replace(_move(state, Phase.ENDED, event.reason), end_version=state.version + 1)
        case ExperimentResumed():
            state = _move(state, Phase.RUNNING, None)
            return replace(state, trials_at_resume=len(state.trials), scoreless_since_resume=0)
        case ExperimentMoved():
            return replace(state, moved_to=event.to)
        case ExperimentArrived():
            return replace(state, moved_to=None)
        case _:
            assert_never(event)


def _to_trial(state: State, event: TrialEvent, at: float) -> State:
    old = state.trials[event.trial]
    new = apply_to_trial(old, event, at, state.objective)
    if isinstance(event, JobEnded | AttemptEnded) and event.end.machine and state.tariff is not None:
        new = _on_its_machine(new, event, state.tariff)
    state = _put(state, old, new)
    if isinstance(event, AttemptIntended | JobEnded | AttemptEnded | BillLearned):
        return _with_spend(state, old, new, event.attempt)
    return state


def _on_its_machine(trial: Trial, event: JobEnded | AttemptEnded, tariff: Tariff) -> Trial:
    """``trial``, whose job is paid by the machine that it had, of those that were asked for."""
    old = trial.attempts[event.attempt - 1]
    if old.terms is None:
        return trial
    return with_attempt(trial, replace(old, terms=tariff.taken(old.terms, event.end.machine)))


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
            attempts.append(attempt if known else replace(attempt, terms=_terms(tariff, attempt, failures)))
            if attempt.end is not None and attempt.end.failure in NO_MACHINE:
                failures += 1
        new = replace(trial, attempts=tuple(attempts))
        state = replace(state, trials=state.trials.put(new))
        for attempt in new.attempts:
            state = _with_spend(state, trial, new, attempt.number)
    return state


def _terms(tariff: Tariff, attempt: Attempt, failures: int) -> Terms:
    """What an attempt is paid by that had no price, after so many without a machine."""
    terms = tariff.after(failures)
    if attempt.terms is not None:  # one that was given no warm pool has none
        terms = replace(terms, keep_alive=min(terms.keep_alive, attempt.terms.keep_alive))
    return terms if attempt.end is None else tariff.taken(terms, attempt.end.machine)


def _with_sums(state: State, event: TrialEvent, known: JobEnd | None, at: float) -> State:
    """``state`` with what is known of all trials brought up to what happened to one.

    ``known`` is what was known before of how its newest job ended.
    """
    match event:
        case ReportsRead():
            return _with_best(state, event.reports)
        case TrialEnded():
            ended = state.trials[event.trial]
            return _with_improvement(_with_pace(state, ended), ended)
        case JobEnded():
            return _with_left(state, event, at)
        case AttemptEnded():
            return _with_left(state, event, at) if known is None else _with_rest(state, event, known, at)
        case BillLearned():
            return _with_bill_out(state, event, pool_is_over=event.pool_seconds is not None)
        case _:
            return state


#: Seconds after a job's end, or that of its pool, in which it is asked for what is still not known.
ASK_FOR_BILL = 120.0


def _with_pool(state: State, event: JobEnded | AttemptEnded) -> State:
    """``state`` with the machine that a job has left warm, if it has."""
    end = event.end
    if end.pool_until is None:
        return state
    pool = Pool(trial=event.trial, attempt=event.attempt, until=end.pool_until)
    # By the clock of the service, which also says until when they are kept.
    ended = -math.inf if end.ended_at is None else end.ended_at
    kept = tuple(pool for pool in state.pools if pool.until > ended)
    return replace(state, pools=(*kept, pool))


def _with_rest(state: State, event: AttemptEnded, known: JobEnd, at: float) -> State:
    """``state`` with what the end of a log tells beyond what was ``known`` when its job was over."""
    if known.pool_until is None and event.end.pool_until is not None:
        return _with_left(replace(state, pending_bills=_others(state.pending_bills, event)), event, at)
    return _with_bill_out(state, event, pool_is_over=event.end.pool_seconds is not None)


def _with_left(state: State, event: JobEnded | AttemptEnded, at: float) -> State:
    """``state`` with the machine that a job has left warm, and with what is not known of its bill."""
    state, end = _with_pool(state, event), event.end
    attempt = state.trials[event.trial].attempts[event.attempt - 1]
    if attempt.terms is None or attempt.is_settled:
        return state
    # Both are by the clock of the service, from which ours may be far away.
    ended = at if end.ended_at is None else end.ended_at
    kept = 0.0 if end.pool_until is None else end.pool_until - ended
    until = at + max(0.0, kept) + ASK_FOR_BILL
    pending_bills = PendingBill(trial=event.trial, attempt=event.attempt, until=until)
    asked = tuple(each for each in state.pending_bills if each.until > at)
    return replace(state, pending_bills=(*asked, pending_bills))


def _with_bill_out(state: State, event: BillLearned | AttemptEnded, *, pool_is_over: bool) -> State:
    """``state`` with a bill that is no longer open taken out, and a pool whose seconds are known."""
    is_settled = state.trials[event.trial].attempts[event.attempt - 1].is_settled
    return replace(
        state,
        pools=_others(state.pools, event) if pool_is_over else state.pools,
        pending_bills=_others(state.pending_bills, event) if is_settled else state.pending_bills,
    )


def _others(left: tuple[P, ...], event: BillLearned | AttemptEnded) -> tuple[P, ...]:
    return tuple(each for each in left if (each.trial, each.attempt) != (event.trial, event.attempt))


def _with_best(state: State, reports: tuple[Report, ...]) -> State:
    best = state.best
    for report in reports:
        value = report.value(state.objective)
        if value is not None and (best is None or state.objective.beats(value, best)):
            best = value
    return state if best is state.best else replace(state, best=best)


def _with_pace(state: State, ended: Trial) -> State:
    """``state`` with what a trial that went to its end shows of how long healthy jobs are silent."""
    if ended.status is not TrialStatus.COMPLETED:
        return state
    longest = max(stall.silences(ended), default=state.longest_silence)
    if longest is None or (state.longest_silence is not None and longest <= state.longest_silence):
        return state
    return replace(state, longest_silence=longest)


def _with_improvement(state: State, ended: Trial) -> State:
    """Count a trial with a score; failures are counted apart, and say nothing of the search."""
    if ended.score is None:
        return replace(state, scoreless_since_resume=state.scoreless_since_resume + 1)
    if ended.status is TrialStatus.FAILED:
        return state
    if state.best_score is None or state.objective.beats(ended.score, state.best_score):
        return replace(state, best_score=ended.score, without_improvement=0)
    # What was cut off by the end of the experiment is not to end at once what is resumed.
    was_cut = state.phase is Phase.ENDING and ended.status is TrialStatus.CANCELLED
    return state if was_cut else replace(state, without_improvement=state.without_improvement + 1)


def _put(state: State, old: Trial | None, new: Trial) -> State:
    """``state`` with a trial put in, and the sums over all trials kept true."""
    trials = state.trials.put(new)
    live, draining = state.live, state.draining
    if (new.live is None) is (new.id in live):
        live = live - {new.id} if new.live is None else live | {new.id}
    drains = new.current is not None and new.live is None
    if drains is not (new.id in draining):
        draining = draining | {new.id} if drains else draining - {new.id}
    if old is not None and old.status is new.status:
        return replace(state, trials=trials, live=live, draining=draining)
    counts = dict(state.counts)
    if old is not None:
        counts[old.status] -= 1
    counts[new.status] = counts.get(new.status, 0) + 1
    open_ = state.open - {new.id} if new.ended else state.open | {new.id}
    state = replace(state, trials=trials, counts=counts, open=open_, live=live, draining=draining)
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
        waiting, paused_trials = (*waiting[:place], entry, *waiting[place:]), state.paused_trials | {trial.id}
    else:
        waiting, paused_trials = (*waiting[:place], *waiting[place + 1 :]), state.paused_trials - {trial.id}
    return replace(state, paused={**state.paused, rung: waiting}, paused_trials=paused_trials)


def _move(state: State, phase: Phase, reason: EndReason | None) -> State:
    transitions.check(transitions.EXPERIMENT, state.phase, phase, "the experiment")
    return replace(state, phase=phase, reason=reason)
