"""The cap on the SageMaker backend with every fault at once, against what the service bills in the end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from trialjob.backends.sagemaker.machines import Spot
from trialjob.backends.sagemaker.settings import SageMakerSettings
from trialjob.model.limits import Limits
from trialjob.model.money import NOTHING, Spend, cap_micros
from trialjob.model.trial import EndKind, Phase
from trialjob.orchestrator.core.events import (
    AttemptEnded,
    BillLearned,
    Event,
    ExperimentEnded,
    PoolsEnded,
    PricesLearned,
)
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.journals.memory import MemoryJournal
from trialjob.testing.fake_aws import Faults
from trialjob.testing.sagemaker_simulation import SETTINGS, SageMakerSimulation

WORKERS = 3
HOUR = 3_600.0
_PRICED = replace(SETTINGS, price_per_hour=1.408, max_upload=60.0)
_KINDS = {
    "cold": _PRICED,
    "pool": replace(_PRICED, keep_alive=240.0),
    "pairs": replace(_PRICED, keep_alive=240.0, instance_count=2),
    "spot": replace(_PRICED, spot=Spot(max_wait=2 * HOUR, on_demand_after=1)),
}


def simulation(
    folder: Path, settings: SageMakerSettings, *, cap: float, **given: object
) -> SageMakerSimulation:
    limits = Limits(
        max_trials=12,
        max_concurrent_trials=WORKERS,
        trial_timeout=1_200.0,
        max_failures=12,
        max_cost=cap,
    )
    return SageMakerSimulation(limits=limits, folder=folder, settings=settings, **given)  # type: ignore[arg-type]


def billed(simulated: SageMakerSimulation) -> Spend:
    """What the service says of all jobs, at the price that was learned."""
    tariff = next(
        event.tariff
        for record in simulated.journal.read()
        for event in record.events
        if isinstance(event, PricesLearned)
    )
    terms, total = tariff.terms[0], NOTHING
    for job in simulated.service.jobs.values():
        told = job.describe(simulated.clock.now())
        pool = told.get("WarmPoolStatus") or {}
        total += terms.of(told.get("BillableTimeInSeconds") or 0)
        total += terms.of(pool.get("ResourceRetainedBillableTimeInSeconds") or 0)
    return total


def run(simulated: SageMakerSimulation) -> State:
    cap = simulated.limits.max_cost
    assert cap is not None
    steps = 0

    def watch(state: State, _events: Sequence[Event]) -> None:
        nonlocal steps
        steps += 1
        assert steps < 6_000, "it does not come to an end"
        assert state.committed.micros <= cap_micros(cap)
        assert state.spent.micros <= state.committed.micros

    return simulated.run(watch)


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_the_cap_holds_with_every_fault_at_once(tmp_path: Path, kind: str, seed: int) -> None:
    simulated = simulation(
        tmp_path,
        _KINDS[kind],
        cap=2.5 if kind == "pairs" else 1.5,
        faults=Faults.everything(seed),
        options={"log_settle": 30.0},
        seed=seed,
    )
    state = run(simulated)
    bill = billed(simulated)
    assert state.phase is Phase.ENDED
    assert bill.micros <= cap_micros(simulated.limits.max_cost or 0.0)
    assert bill.micros <= state.committed.micros
    attempts = [attempt for trial in state.trials for attempt in trial.attempts]
    if all(attempt.is_settled for attempt in attempts):
        assert state.spent == state.committed == bill
    assert simulated.service.bill().pools_left == 0


@pytest.mark.parametrize("kind", ["cold", "pool", "spot"])
def test_on_a_good_day_every_cent_is_known_in_the_end(tmp_path: Path, kind: str) -> None:
    simulated = simulation(tmp_path, _KINDS[kind], cap=99.0)
    state = run(simulated)
    assert state.reason is not None
    assert state.reason.kind is EndKind.MAX_TRIALS
    assert state.spent == state.committed == billed(simulated) != NOTHING


def test_every_cent_is_known_after_each_bill_was_slept_over(tmp_path: Path) -> None:
    """A laptop sleeps whenever a job has ended, for longer than anybody waits for a bill."""
    simulated = simulation(tmp_path, _KINDS["pool"], cap=99.0)

    def watch(_state: State, events: Sequence[Event]) -> None:
        if any(isinstance(event, AttemptEnded | PoolsEnded) for event in events):
            simulated.clock.sleep(1_200.0)

    state = simulated.run(watch)
    assert state.spent == state.committed == billed(simulated) != NOTHING


def test_a_pool_that_lists_do_not_tell_of_is_billed_all_the_same(tmp_path: Path) -> None:
    simulated = simulation(tmp_path, _KINDS["pool"], cap=99.0)
    simulated = replace(simulated, limits=replace(simulated.limits, max_cost=None), journal=MemoryJournal())

    def rewrite(operation: str, body: bytes) -> bytes:
        answer = json.loads(body)
        for row in answer["TrainingJobSummaries"] if operation == "ListTrainingJobs" else ():
            row.pop("WarmPoolStatus", None)
        return json.dumps(answer).encode()

    simulated.faults.rewrite = rewrite
    state = simulated.run()
    assert state.spent == state.committed == billed(simulated) != NOTHING


def test_a_pool_is_settled_when_its_machine_is_taken_over_or_given_back(tmp_path: Path) -> None:
    simulated = simulation(tmp_path, _KINDS["pool"], cap=99.0)
    state = run(simulated)
    events = [event for record in simulated.journal.read() for event in record.events]
    # A machine that is taken over while the log is being read is told then, at the latest with the end.
    with_end = [
        state.job(each.trial, each.attempt)
        for each in events
        if isinstance(each, AttemptEnded) and each.end.pool_seconds is not None
    ]
    later = [each for each in events if isinstance(each, BillLearned)]
    told = [state.job(each.trial, each.attempt) for each in later]
    assert len(told) == len(set(told))
    assert {*told, *with_end} == set(simulated.service.jobs)
    assert all(each.pool_seconds is not None for each in later)
    assert isinstance(events[-1], ExperimentEnded)
    assert not state.pending_bills


def test_what_is_kept_warm_is_what_was_committed(tmp_path: Path) -> None:
    # A job is 1,380 s at its worst, and 240 s more with its machine: a cap of three, and of no more than two.
    worst = 1.408 * (1_200 + 120 + 60) / 3600
    simulated = simulation(tmp_path, _KINDS["pool"], cap=2.9 * worst + 0.1)
    state = run(simulated)
    kept = {
        state.job(trial.id, attempt.number): attempt.terms is not None and attempt.terms.keep_alive > 0
        for trial in state.trials
        for attempt in trial.attempts
    }
    asked = {
        name: "KeepAlivePeriodInSeconds" in job.request["ResourceConfig"]
        for name, job in simulated.service.jobs.items()
    }
    assert set(kept.values()) == {True, False}
    assert asked.items() <= kept.items()
    assert state.spent == state.committed == billed(simulated)
