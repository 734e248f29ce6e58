"""What was wasted and what was saved, by literal tables; and what is not known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from trialjob.backends.sagemaker.price_book import packaged
from trialjob.model.ids import TrialId
from trialjob.model.job import FailureKind, JobEnd, Outcome
from trialjob.model.limits import Limits
from trialjob.model.metric import Mode, Objective, Report
from trialjob.model.money import Tariff, Terms
from trialjob.model.trial import StopKind, StopReason, TrialStatus
from trialjob.orchestrator.core.costs import cost_of, costs_of
from trialjob.orchestrator.core.events import (
    AttemptEnded,
    AttemptIntended,
    BillLearned,
    Event,
    PricesLearned,
    Record,
    ReportsRead,
    StopIntended,
    TrialEnded,
    TrialProposed,
)
from trialjob.orchestrator.core.evolve import evolve
from trialjob.orchestrator.core.state import State
from trialjob.testing.histories import beginning

#: A dollar a second for a thousand seconds: a tenth of a cent a second.
TERMS = Terms(price=3_600_000, stop_grace=120.0, keep_alive=60.0)
SPOT = Terms(price=3_600_000, stop_grace=120.0, spot=True)
ONE = TrialId(1)
OBJECTIVE = Objective(metric="acc", mode=Mode.MAX)


def state_of(*timed: tuple[float, Event]) -> State:
    created = beginning("x", OBJECTIVE, Limits(max_trials=9, trial_timeout=1_000.0))
    state: State | None = None
    for version, (at, event) in enumerate([(0.0, created), *timed], start=1):
        state = evolve(state, Record(version=version, at=at, events=(event,)))
    assert state is not None
    return state


def trial(
    number: int,
    end: JobEnd | None,
    *,
    status: TrialStatus = TrialStatus.COMPLETED,
    terms: Terms | None = TERMS,
    stopped_at: float | None = None,
    reports: Sequence[tuple[float, float]] = (),
    name: str = "acc",
) -> list[tuple[float, Event]]:
    this = TrialId(number)
    told = tuple(Report(resource=epoch, metrics={name: 0.5}, at=at) for epoch, at in reports)
    events: list[tuple[float, Event]] = [
        (0.0, TrialProposed(trial=this, config={})),
        (0.0, AttemptIntended(trial=this, attempt=1, max_runtime=1_000.0, terms=terms)),
    ]
    if told:
        events.append((0.0, ReportsRead(trial=this, attempt=1, reports=told, cursor="")))
    if stopped_at is not None:
        reason = StopReason(kind=StopKind.PRUNED, detail="")
        events.append((stopped_at, StopIntended(trial=this, attempt=1, reason=reason)))
    if end is not None:
        events.append((end.ended_at or 0.0, AttemptEnded(trial=this, attempt=1, end=end)))
        events.append((end.ended_at or 0.0, TrialEnded(trial=this, status=status, reason="")))
    return events


def ended(
    seconds: float | None,
    outcome: Outcome = Outcome.COMPLETED,
    *,
    pool: float | None = 0.0,
    interruptions: int = 0,
    training: float | None = None,
) -> JobEnd:
    failure = FailureKind.USER_CODE if outcome is Outcome.FAILED else None
    return JobEnd(
        outcome=outcome,
        failure=failure,
        started_at=100.0,
        ended_at=100.0 + (training or seconds or 0.0),
        seconds=seconds,
        pool_seconds=pool,
        interruptions=interruptions,
        training_seconds=training,
    )


@pytest.mark.parametrize(
    ("told", "dollars", "wasted"),
    [
        (trial(1, ended(100.0)), 0.1, 0.0),
        # The pool is paid for, and no waste of the trial's.
        (trial(1, ended(100.0, pool=40.0)), 0.14, 0.0),
        (trial(1, ended(100.0, Outcome.FAILED), status=TrialStatus.FAILED), 0.1, 0.1),
        (trial(1, ended(100.0), status=TrialStatus.METRICS_UNAVAILABLE), 0.1, 0.1),
        (trial(1, ended(100.0, Outcome.STOPPED), status=TrialStatus.CANCELLED, stopped_at=150.0), 0.1, 0.1),
        # The verdict came 25 of its 100 seconds before its end.
        (trial(1, ended(100.0, Outcome.STOPPED), status=TrialStatus.PRUNED, stopped_at=175.0), 0.1, 0.025),
        # Of 200 seconds of spot, 60 are billed; after an interruption 40 were spent on epoch 2 again.
        (
            trial(
                1,
                ended(60.0, interruptions=1, training=200.0),
                terms=SPOT,
                reports=[(1, 140), (2, 180), (2, 220), (3, 260)],
            ),
            0.06,
            0.012,
        ),
        # Several values of another metric are of one epoch; none of them says that it was trained again.
        (
            trial(
                1,
                ended(60.0, interruptions=1, training=200.0),
                terms=SPOT,
                reports=[(1, 140), (1, 180), (2, 220), (2, 260)],
                name="loss",
            ),
            0.06,
            0.0,
        ),
    ],
)
def test_what_a_trial_came_to_and_what_was_of_no_use(
    told: list[tuple[float, Event]], dollars: float, wasted: float
) -> None:
    cost = cost_of(state_of(*told).trials[ONE], OBJECTIVE)
    assert cost.dollars == pytest.approx(dollars, abs=2e-6)
    assert cost.wasted_dollars == pytest.approx(wasted, abs=2e-6)


def test_what_is_not_known_is_none_and_counted_at_its_worst() -> None:
    running = state_of(*trial(1, None))
    assert cost_of(running.trials[ONE], OBJECTIVE).dollars is None
    assert running.committed.micros == TERMS.worst(1_000.0).micros == 1_180_000
    assert running.spent.micros == 0

    unknown = state_of(*trial(1, ended(None, pool=None)))
    assert cost_of(unknown.trials[ONE], OBJECTIVE).seconds is None
    assert unknown.committed == running.committed

    kept = state_of(*trial(1, ended(100.0, pool=None)))
    cost = cost_of(kept.trials[ONE], OBJECTIVE)
    assert (cost.seconds, cost.idle_seconds, cost.dollars) == (100.0, None, None)
    assert (kept.spent.micros, kept.committed.micros) == (100_000, 160_000)
    assert [(each.trial, each.until) for each in kept.pending_bills] == [(ONE, 320.0)]


@pytest.mark.parametrize("ahead", [-86_400.0, 0.0, 86_400.0])
def test_a_bill_is_awaited_as_long_as_the_machine_is_kept_however_far_the_services_clock_is(
    ahead: float,
) -> None:
    *begun, (at, ending), _ = trial(1, ended(100.0, pool=None))
    assert isinstance(ending, AttemptEnded)
    end = replace(ending.end, ended_at=at + ahead, pool_until=at + ahead + 240.0)
    state = state_of(*begun, (at, replace(ending, end=end)))
    assert [each.until - at for each in state.pending_bills] == [240.0 + 120.0]


def test_a_bill_that_comes_late_settles_it() -> None:
    learned = BillLearned(trial=ONE, attempt=1, pool_seconds=10.0)
    state = state_of(*trial(1, ended(100.0, pool=None)), (230.0, learned))
    assert state.spent == state.committed == TERMS.of(100.0) + TERMS.of(10.0)
    assert not state.pending_bills


def test_jobs_of_a_time_without_prices_get_the_first_that_are_learned() -> None:
    events = trial(1, ended(100.0), terms=None)
    before = state_of(*events)
    assert (before.spent.micros, costs_of(before).dollars) == (0, None)
    after = state_of(*events, (300.0, PricesLearned(tariff=Tariff(terms=(TERMS,)))))
    assert after.spent.micros == after.committed.micros == 100_000
    dearer = PricesLearned(tariff=Tariff(terms=(Terms(price=9_999_999),)))
    # What was paid by other terms stays.
    assert state_of(
        *events, (300.0, PricesLearned(tariff=Tariff(terms=(TERMS,)))), (301.0, dearer)
    ).spent == (after.spent)


def test_what_early_stopping_and_spot_saved() -> None:
    state = state_of(
        (0.0, PricesLearned(tariff=Tariff(terms=(TERMS,)))),
        *trial(1, ended(100.0)),
        *trial(2, ended(300.0)),
        *trial(3, ended(50.0, Outcome.STOPPED), status=TrialStatus.PRUNED),
        *trial(4, ended(250.0, Outcome.STOPPED), status=TrialStatus.PRUNED),
        *trial(5, ended(60.0, training=200.0), terms=SPOT, status=TrialStatus.PRUNED),
    )
    costs = costs_of(state)
    # Completed ones cost 0.2 on average: 0.15 and 0.14 less, and one that cost more saved nothing.
    assert costs.saved_by_stopping == pytest.approx(0.29)
    assert costs.saved_by_spot == pytest.approx(0.14)
    assert costs.dollars == pytest.approx(0.76)


def test_what_failed_is_no_part_of_what_early_stopping_saved() -> None:
    lost = AttemptEnded(trial=ONE, attempt=1, end=ended(500.0, Outcome.FAILED))
    proposed, first, *over = trial(1, ended(100.0))
    again = AttemptIntended(trial=ONE, attempt=2, max_runtime=1_000.0, terms=TERMS)
    over[0] = (over[0][0], AttemptEnded(trial=ONE, attempt=2, end=ended(100.0)))
    state = state_of(
        (0.0, PricesLearned(tariff=Tariff(terms=(TERMS,)))),
        *(proposed, first, (0.0, lost), (0.0, again), *over),
        *trial(2, ended(40.0, Outcome.STOPPED), status=TrialStatus.PRUNED),
    )
    costs = costs_of(state)
    assert costs.wasted_dollars == pytest.approx(0.5)
    assert costs.saved_by_stopping == pytest.approx(0.06)


def test_the_page_tells_the_date_and_the_size_of_the_table() -> None:
    root = Path(__file__).parents[2]
    page = (root / "docs/money.md").read_text()
    for region, table in packaged().items():
        assert region in page
        assert f"of {table.date} | {len(table.per_hour)} types" in page
