"""Whether one more job may be paid for, by worst-case commitment.

Rule 1: what all jobs have cost, with everything that is not known at its worst, and the next job at its
worst are together within the limits, or it is not started. So the limits hold even if no process looks again.
Rule 2: only the state is asked. What the worst of a job is, ``model.money`` says.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from trialjob.model.job import JobEnd
from trialjob.model.money import NOTHING, Spend, Terms, cap_instance_ms, cap_micros, exact_dollars
from trialjob.model.trial import AttemptStatus, EndKind, EndReason
from trialjob.orchestrator.core import early_abort, expected_gain, waits
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Attempt, Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What the next job of a trial is given."""

    #: By what it is paid; None if unknown.
    terms: Terms | None
    #: Seconds that it may run.
    runtime: float

    @property
    def worst(self) -> Spend:
        return NOTHING if self.terms is None else self.terms.worst(self.runtime)


def offer(state: State, trial: Trial | None, *, now: float | None = None) -> Offer:
    """What the next job of ``trial`` is given, or the first of a new one: the most that can be paid for.

    All that is asked for; or else no warm pool behind it; or else, once nothing runs and no bill is awaited
    ``now``, less time, as long as a trial can make something of it.
    """
    failures = 0 if trial is None else trial.capacity_failures
    terms = None if state.tariff is None else state.tariff.after(failures)
    whole = Offer(terms=terms, runtime=next_runtime(state, trial))
    if terms is None or _pays(state, whole):
        return whole
    bare = replace(whole, terms=replace(terms, keep_alive=0.0))
    if _pays(state, bare) or now is None or not _is_last(state, now):
        return bare
    return _shortened(state, bare)


#: A job is of use when it may run so many times as long as the longest that a whole trial had no report.
_OF_USE: Final = 2.0


def _is_last(state: State, now: float) -> bool:
    """True when nothing can free money any more, so that waiting would only leave it unused."""
    runs = bool(state.live or state.draining)
    return not runs and not state.pools and not awaits_bills(state, now)


def _shortened(state: State, bare: Offer) -> Offer:
    """The longest job that can be paid for; ``bare`` when that is no use, or unknown."""
    if state.longest_silence is None:
        return bare
    low, high = 0, math.floor(bare.runtime)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (
            (middle, high) if _pays(state, replace(bare, runtime=float(middle))) else (low, middle - 1)
        )
    return replace(bare, runtime=float(low)) if low >= max(1.0, _OF_USE * state.longest_silence) else bare


def _pays(state: State, offered: Offer) -> bool:
    return _is_within(state, state.committed + offered.worst)


def is_cut(state: State, trial: Trial, attempt: Attempt) -> bool:
    """True when a job was given less time than its trial had left, as more could not be paid for."""
    has_cap = state.limits.max_cost is not None or state.limits.max_instance_hours is not None
    return has_cap and attempt.max_runtime < next_runtime(state, _before(trial, attempt))


def timeout_of(state: State, trial: Trial, attempt: Attempt) -> float:
    """The ``trial_timeout`` by which a job was given its time; it may have been changed since."""
    earlier = _before(trial, attempt)
    if attempt.max_runtime == next_runtime(state, earlier):
        return state.limits.trial_timeout
    return round(attempt.max_runtime + _used(earlier), 3)


def _before(trial: Trial, attempt: Attempt) -> Trial:
    return replace(trial, attempts=trial.attempts[: attempt.number - 1])


def next_runtime(state: State, trial: Trial | None) -> float:
    """Seconds that the next job may take; earlier ones have used up part of the trial's time."""
    return max(1.0, state.limits.trial_timeout - (_used(trial) if trial is not None else 0.0))


def _used(trial: Trial) -> float:
    return sum(_ran_for(attempt.end) for attempt in trial.attempts if attempt.end is not None)


def _ran_for(end: JobEnd) -> float:
    # Not the seconds paid for, of which spot capacity has fewer; nor its waiting for another machine.
    if end.training_seconds is not None:
        return max(end.training_seconds, end.seconds or 0.0)
    if end.started_at is None or end.ended_at is None:
        return end.seconds or 0.0
    return max(0.0, end.ended_at - end.started_at)


def fits(state: State, trial: Trial | None, now: float) -> bool:
    """True when the next job of ``trial``, or the first of a new one, may be started now."""
    return shortage(state, trial, now) is None


def shortage(state: State, trial: Trial | None, now: float | None = None) -> EndReason | None:
    """Which limit stands in the way of the next job, in words; None when none does.

    With ``now`` also less than a whole job will do, once there is nothing to wait for.
    """
    limits = state.limits
    if limits.max_cost is None and limits.max_instance_hours is None:
        return None
    offered = offer(state, trial, now=now)
    worst = offered.worst
    total = state.committed + worst
    terms = offered.terms
    if limits.max_cost is not None and terms is not None and terms.price is None:
        cap = exact_dollars(cap_micros(limits.max_cost))
        detail = f"max_cost of {cap} cannot be held: no price of another job is known"
        return EndReason(kind=EndKind.MAX_COST, detail=detail)
    if limits.max_cost is not None and total.micros > cap_micros(limits.max_cost):
        detail = f"max_cost of {exact_dollars(cap_micros(limits.max_cost))}: {_held(state)}"
        return EndReason(
            kind=EndKind.MAX_COST, detail=f"{detail}, and another job may cost {exact_dollars(worst.micros)}"
        )
    hours = limits.max_instance_hours
    if hours is not None and total.instance_ms > cap_instance_ms(hours):
        used = f"{state.committed.instance_hours:g} are used"
        detail = f"max_instance_hours of {hours:g}: {used}, and another job may take {worst.instance_hours:g}"
        return EndReason(kind=EndKind.MAX_INSTANCE_HOURS, detail=detail)
    return None


def overdrawn(state: State) -> list[Trial]:
    """The newest trials whose jobs must not be started any more, for the rest to be within the limits.

    A cap may be lowered while launches that were decided under the old one wait for their turn or a quota.
    """
    held, chosen = state.committed, list[Trial]()
    if _is_within(state, held):
        return chosen
    waiting = [
        (trial, live)
        for trial in reversed(state.live_trials())
        if (live := trial.live) is not None and live.status is AttemptStatus.INTENDED
    ]
    held -= sum((live.committed for _, live in waiting if live.stop is not None), NOTHING)
    for trial, live in waiting:
        if live.stop is None and not _is_within(state, held):
            held -= live.committed
            chosen.append(trial)
    return chosen


def _is_within(state: State, total: Spend) -> bool:
    cost, hours = state.limits.max_cost, state.limits.max_instance_hours
    return (cost is None or total.micros <= cap_micros(cost)) and (
        hours is None or total.instance_ms <= cap_instance_ms(hours)
    )


def _held(state: State) -> str:
    unknown = state.committed - state.spent
    held = f" and {exact_dollars(unknown.micros)} held for what is not known" if unknown != NOTHING else ""
    return f"{exact_dollars(state.spent.micros)} are spent{held}"


def stuck(state: State, promoted: Trial | None, now: float) -> EndReason | None:
    """The limit that keeps every trial that wants a job from one; None when one can have it or none wants it.

    ``promoted`` is the paused trial that the stopping rule would resume.
    """
    reason: EndReason | None = None
    for trial in (*_wanting(state), *([promoted] if promoted is not None else [])):
        reason = shortage(state, trial, now)
        if reason is None:
            return None
    return reason


def can_start(state: State) -> bool:
    """True when a trial that waits for a job, or a new one, could have it as far as the limits go."""
    return any(shortage(state, trial) is None for trial in _wanting(state))


def _wanting(state: State) -> Iterator[Trial | None]:
    """What could have a job now or later: trials that wait for one, and None for a new trial."""
    for trial in sorted(state.open - state.paused_trials - state.draining):
        yield state.trials[trial]
    if expected_gain.proposes(state) and not early_abort.holds(state):
        yield None


def awaits_bills(state: State, now: float) -> bool:
    """True while more may become known of what ended jobs cost."""
    return any(waits.is_to_come(each.until, now) for each in state.pending_bills)
