"""Whether one more job may be paid for, by worst-case commitment.

Rule 1: what all jobs have come to, with everything that is not known at its worst, and the next job at its
worst are together within the limits, or it is not started. So the limits hold even if nobody looks again.
Rule 2: only the state is asked. What the worst of a job is, ``model.money`` says.
"""

from __future__ import annotations

from collections.abc import Iterator

from trialjob.model.job import JobEnd
from trialjob.model.money import NOTHING, Spend, Terms, cap_instance_ms, cap_micros
from trialjob.model.trial import AttemptStatus, EndKind, EndReason
from trialjob.orchestrator.core import breaker
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial


def next_terms(state: State, trial: Trial | None) -> Terms | None:
    """By what the next job of ``trial`` is paid, or the first of a new one; None when nobody has said."""
    if state.tariff is None:
        return None
    return state.tariff.after(0 if trial is None else trial.capacity_failures)


def next_runtime(state: State, trial: Trial | None) -> float:
    """Seconds that the next job may take; earlier ones have used up part of the trial's time."""
    ends = [attempt.end for attempt in trial.attempts] if trial is not None else []
    used = sum(_ran_for(end) for end in ends if end is not None)
    return max(1.0, state.limits.trial_timeout - used)


def _ran_for(end: JobEnd) -> float:
    # Not the seconds paid for: of those spot capacity takes fewer than have passed.
    if end.started_at is None or end.ended_at is None:
        return end.seconds or 0.0
    return max(0.0, end.ended_at - end.started_at)


def fits(state: State, trial: Trial | None) -> bool:
    """True when the next job of ``trial``, or the first of a new one, may be started now."""
    return shortage(state, trial) is None


def shortage(state: State, trial: Trial | None) -> EndReason | None:
    """Which limit stands in the way of the next job, in words; None when none does."""
    limits = state.limits
    if limits.max_cost is None and limits.max_instance_hours is None:
        return None
    terms = next_terms(state, trial)
    worst = NOTHING if terms is None else terms.worst(next_runtime(state, trial))
    total = state.committed + worst
    if limits.max_cost is not None and total.micros > cap_micros(limits.max_cost):
        detail = f"max_cost of {_dollars(limits.max_cost)}: {_held(state)}"
        return EndReason(
            kind=EndKind.MAX_COST, detail=f"{detail}, and another job may cost {_dollars(worst.dollars)}"
        )
    hours = limits.max_instance_hours
    if hours is not None and total.instance_ms > cap_instance_ms(hours):
        used = f"{state.committed.instance_hours:.2f} are used"
        detail = (
            f"max_instance_hours of {hours:g}: {used}, and another job may take {worst.instance_hours:.2f}"
        )
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
    held = f" and {_dollars(unknown.dollars)} held for what is not known" if unknown != NOTHING else ""
    return f"{_dollars(state.spent.dollars)} are spent{held}"


def _dollars(amount: float) -> str:
    return f"${amount:,.2f}"


def stuck(state: State, promoted: Trial | None) -> EndReason | None:
    """The limit because of which nobody who wants a job can have one; None when somebody can or nobody does.

    ``promoted`` is the paused trial that the stopping rule would resume.
    """
    reason: EndReason | None = None
    for trial in (*_wanting(state), *([promoted] if promoted is not None else [])):
        reason = shortage(state, trial)
        if reason is None:
            return None
    return reason


def can_start(state: State) -> bool:
    """True when a trial that waits for a job, or a new one, could have it as far as the limits go."""
    return any(fits(state, trial) for trial in _wanting(state))


def _wanting(state: State) -> Iterator[Trial | None]:
    """Whoever could have a job now or later: trials that wait for one, and None for a new trial."""
    for trial in sorted(state.open - state.resting - state.draining):
        yield state.trials[trial]
    if not state.exhausted and len(state.trials) < state.limits.max_trials and not breaker.holds(state):
        yield None


def awaits_bills(state: State, now: float) -> bool:
    """True while more may become known of what ended jobs came to."""
    return any(each.until > now for each in state.unbilled)
