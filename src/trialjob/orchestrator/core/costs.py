"""What trials and experiments cost, what of it was wasted, and what was saved. docs/money.md defines each.

Rule: read off the state. What is not known is None; a sum over known parts says that it is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trialjob.model.job import Outcome
from trialjob.model.metric import Objective, Report
from trialjob.model.money import NOTHING, Micros, Spend, dollars
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Attempt, Trial

#: Nothing comes of what these have cost.
_IN_VAIN = (TrialStatus.FAILED, TrialStatus.METRICS_UNAVAILABLE, TrialStatus.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialCost:
    """What one trial cost, over all attempts; None while a part of it is not known."""

    #: Billed on each instance, for the jobs and for keeping their machines warm behind them.
    seconds: float | None
    idle_seconds: float | None
    #: For both.
    dollars: float | None
    wasted_dollars: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What an experiment cost. Dollars are None when no price is known."""

    #: Of all that is known by now, warm machines included.
    dollars: float | None
    #: The most that it can be, with everything that is not known at its worst. The cap holds for this.
    committed_dollars: float | None
    instance_hours: float
    committed_instance_hours: float
    #: For keeping machines warm.
    idle_dollars: float | None
    #: By failures, after a verdict, by interruptions and by cancelling.
    wasted_dollars: float | None
    #: By ending trials early, had they cost what completed ones do; None when none has completed.
    saved_by_stopping: float | None
    #: Against the on-demand price of the same seconds.
    saved_by_spot: float | None
    #: Where the price of an hour is from.
    prices: str


def cost_of(trial: Trial, objective: Objective) -> TrialCost:
    """What one trial cost."""
    attempts = trial.attempts
    if not attempts or not all(
        attempt.end is not None and attempt.billed is not None for attempt in attempts
    ):
        return TrialCost(seconds=None, idle_seconds=None, dollars=None, wasted_dollars=None)
    settled = all(attempt.is_settled for attempt in attempts)
    priced = settled and all(_is_priced(attempt) for attempt in attempts)
    return TrialCost(
        seconds=sum(attempt.billed or 0.0 for attempt in attempts),
        idle_seconds=sum(attempt.pool_billed or 0.0 for attempt in attempts) if settled else None,
        dollars=_sum(attempt.spent for attempt in attempts).dollars if priced else _billed(attempts),
        wasted_dollars=_sum(_wasted(trial, attempt, objective) for attempt in attempts).dollars
        if priced
        else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CostPart:
    """What some of the trials add to the costs of all."""

    priced: bool
    idle: Spend
    wasted: Spend
    saved_by_spot: Spend
    #: Micro-dollars that jobs of each completed, and of each pruned, trial came to, without failed ones.
    completed: tuple[Micros, ...]
    pruned: tuple[Micros, ...]


def cost_part(trials: Sequence[Trial], objective: Objective) -> CostPart:
    """What these trials add."""
    attempts = [(trial, attempt) for trial in trials for attempt in trial.attempts]

    def jobs_of(status: TrialStatus) -> tuple[Micros, ...]:
        return tuple(
            _sum(_run(attempt) for attempt in trial.attempts if not _has_failed(attempt)).micros
            for trial in trials
            if trial.status is status
        )

    return CostPart(
        priced=all(_is_priced(attempt) for _, attempt in attempts),
        idle=_sum(_pool(attempt) for _, attempt in attempts),
        wasted=_sum(_wasted(trial, attempt, objective) for trial, attempt in attempts),
        saved_by_spot=_sum(_saved_by_spot(attempt) for _, attempt in attempts),
        completed=jobs_of(TrialStatus.COMPLETED),
        pruned=jobs_of(TrialStatus.PRUNED),
    )


def costs_of(state: State, parts: Sequence[CostPart] | None = None) -> Costs:
    """What the whole experiment has cost so far; ``parts`` are those of its trials, if they are known."""
    known = [cost_part(tuple(state.trials), state.objective)] if parts is None else parts
    priced = _has_prices(state) and all(part.priced for part in known)

    def dollars(spends: Iterable[Spend]) -> float | None:
        return _sum(spends).dollars if priced else None

    return Costs(
        dollars=dollars([state.spent]),
        committed_dollars=dollars([state.committed]),
        instance_hours=state.spent.instance_hours,
        committed_instance_hours=state.committed.instance_hours,
        idle_dollars=dollars(part.idle for part in known),
        wasted_dollars=dollars(part.wasted for part in known),
        saved_by_stopping=_saved_by_stopping(known) if priced else None,
        saved_by_spot=dollars(part.saved_by_spot for part in known),
        prices="" if state.tariff is None else state.tariff.source,
    )


def all_priced(state: State) -> bool:
    """Whether its cost is known in dollars."""
    attempts = (attempt for trial in state.trials for attempt in trial.attempts)
    return _has_prices(state) and all(map(_is_priced, attempts))


def _has_prices(state: State) -> bool:
    return state.tariff is not None and state.tariff.priced


def _is_priced(attempt: Attempt) -> bool:
    return attempt.terms is not None and attempt.terms.price is not None


def _billed(attempts: Iterable[Attempt]) -> float | None:
    """What journals say that know no prices."""
    bills = [attempt.end.dollars if attempt.end is not None else None for attempt in attempts]
    known = [dollars for dollars in bills if dollars is not None]
    return sum(known) if len(known) == len(bills) else None


def _sum(spends: Iterable[Spend]) -> Spend:
    return sum(spends, start=NOTHING)


def _run(attempt: Attempt) -> Spend:
    """What the job itself cost, as far as that is known."""
    return attempt.terms.of(attempt.billed or 0.0) if attempt.terms is not None else NOTHING


def _pool(attempt: Attempt) -> Spend:
    return attempt.terms.of(attempt.pool_billed or 0.0) if attempt.terms is not None else NOTHING


def _wasted(trial: Trial, attempt: Attempt, objective: Objective) -> Spend:
    """The part of a job's own cost of which nothing came."""
    end, terms = attempt.end, attempt.terms
    if end is None or terms is None:
        return NOTHING
    if _has_failed(attempt) or trial.status in _IN_VAIN:
        return _run(attempt)
    if end.started_at is None or end.ended_at is None or end.ended_at <= end.started_at:
        return NOTHING
    after_verdict = 0.0 if attempt.stop_at is None else max(0.0, end.ended_at - attempt.stop_at)
    again = _repeated(_reports(trial, attempt, objective)) if end.interruptions else 0.0
    share = min(1.0, (after_verdict + again) / (end.ended_at - end.started_at))
    return terms.of((attempt.billed or 0.0) * share)


def _has_failed(attempt: Attempt) -> bool:
    return attempt.end is not None and attempt.end.outcome is Outcome.FAILED


def _reports(trial: Trial, attempt: Attempt, objective: Objective) -> list[Report]:
    """The attempt's reports that have the objective: of what else is said, an epoch may have many."""
    before = sum(earlier.reports for earlier in trial.attempts[: attempt.number - 1])
    reports = trial.reports[before : before + attempt.reports]
    return [report for report in reports if objective.metric in report.metrics]


def _repeated(reports: Iterable[Report]) -> float:
    """Seconds between reports that went no further than an earlier one: an interruption had undone that."""
    seconds, furthest, last = 0.0, float("-inf"), None
    for report in reports:
        if report.resource <= furthest and last is not None:
            seconds += max(0.0, report.at - last)
        furthest, last = max(furthest, report.resource), report.at
    return seconds


def _saved_by_stopping(parts: Sequence[CostPart]) -> float | None:
    """Had each pruned trial cost what completed ones do on average."""
    completed = [dollars(micros) for part in parts for micros in part.completed]
    pruned = [dollars(micros) for part in parts for micros in part.pruned]
    if not pruned:
        return 0.0
    if not completed:
        return None
    mean = sum(completed) / len(completed)
    return sum(max(0.0, mean - cost) for cost in pruned)


def _saved_by_spot(attempt: Attempt) -> Spend:
    end, terms = attempt.end, attempt.terms
    if (
        terms is None
        or not terms.spot
        or end is None
        or end.training_seconds is None
        or attempt.billed is None
    ):
        return NOTHING
    return terms.of(max(attempt.billed, end.training_seconds)) - terms.of(attempt.billed)
