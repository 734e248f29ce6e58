"""Pausing and promoting: the published examples, whole experiments, and a crash at every call."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trialjob.backends.simulator.job_script import JobScript
from trialjob.model.ids import TrialId
from trialjob.model.job import FailureKind, JobRequest
from trialjob.model.limits import Limits
from trialjob.model.trial import EndKind, Phase, TrialStatus
from trialjob.orchestrator.core.events import AttemptIntended, Event
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.stopping.hyperband import Hyperband
from trialjob.orchestrator.stopping.promotion import Pausing, Promotion
from trialjob.testing.crash import Crash, Fuse
from trialjob.testing.simulation import Simulation, curve

EPOCH = 60.0


def resuming(request: JobRequest, *, obeys: bool = True, values: Sequence[float] = ()) -> JobScript:
    """A job that goes on where the one before was paused, and ends where it is told to if it ``obeys``."""
    until = int(float(str(request.environment.get("TRIALJOB_MAX_RESOURCE", "81"))))
    done = 0 if until == 1 else until // 3
    last = until if obeys else 81
    lines = []
    for epoch in range(done + 1, last + 1):
        value = values[request.trial - 1] if values else curve(request.hyperparameters, epoch)
        line = json.dumps({"metrics": {"epoch": epoch, "accuracy": value}})
        lines.append((EPOCH * (epoch - done), f"[trialjob] {line}"))
    return JobScript(lines=lines, runs_for=EPOCH * (last - done) + 1.0, start_delay=20.0)


def test_the_brackets_of_the_paper() -> None:
    """R = 81, eta = 3: n = ceil((s_max + 1) / (s + 1) * eta^s), and floor(n / eta^i) at R / eta^(s - i)."""
    assert Hyperband(max_resource=81).brackets() == (
        ((81, 1), (27, 3), (9, 9), (3, 27), (1, 81)),
        ((34, 3), (11, 9), (3, 27), (1, 81)),
        ((15, 9), (5, 27), (1, 81)),
        ((8, 27), (2, 81)),
        ((5, 81),),
    )


@pytest.mark.parametrize(
    ("lowest", "highest", "factor", "levels"),
    [(1, 81, 3, (1, 3, 9, 27, 81)), (1, 9, 3, (1, 3, 9)), (2, 32, 4, (2, 8, 32)), (1, 1, 3, (1,))],
)
def test_levels(lowest: float, highest: float, factor: float, levels: tuple[float, ...]) -> None:
    rule = Promotion(min_resource=lowest, max_resource=highest, reduction_factor=factor)
    assert rule.levels() == levels


def promotions(sim: Simulation, watch_all: list[tuple[int, float]]) -> State:
    def watch(_state: State, events: Sequence[Event]) -> None:
        watch_all.extend(
            (event.trial, event.resource or 0.0) for event in events if isinstance(event, AttemptIntended)
        )

    return sim.run(watch)


def test_asha_promotes_as_in_the_papers_example() -> None:
    """One worker, r = 1, R = 9, eta = 3: bracket 0 of figure 2 grows by a promotion whenever one is due."""
    order: list[tuple[int, float]] = []
    values = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    sim = Simulation(
        limits=Limits(max_trials=9),
        rule=Promotion(max_resource=9),
        course=lambda request: resuming(request, values=values),
    )
    state = promotions(sim, order)
    assert order == [
        *((1, 1), (2, 1), (3, 1), (3, 3), (4, 1), (4, 3), (5, 1), (5, 3), (5, 9), (6, 1), (6, 3), (6, 9)),
        *((7, 1), (7, 3), (7, 9), (8, 1), (8, 3), (8, 9), (9, 1), (9, 3), (9, 9)),
    ]
    assert [trial.status for trial in state.trials][4:] == [TrialStatus.COMPLETED] * 5
    assert [trial.status for trial in state.trials][:4] == [TrialStatus.PRUNED] * 4
    assert [len(trial.attempts) for trial in state.trials] == [1, 1, 2, 2, 3, 3, 3, 3, 3]


def test_asha_promotes_no_more_equals_than_the_share() -> None:
    order: list[tuple[int, float]] = []
    sim = Simulation(
        limits=Limits(max_trials=9, max_concurrent_trials=3),
        rule=Promotion(max_resource=9),
        course=lambda request: resuming(request, values=[0.5] * 9),
    )
    promotions(sim, order)
    assert Counter(resource for _, resource in order) == {1: 9, 3: 3, 9: 1}
    assert [trial for trial, resource in order if resource == 3] == [1, 2, 3]


@pytest.mark.parametrize("workers", [1, 4, 16])
@pytest.mark.parametrize("obeys", [True, False], ids=["ends by itself", "is stopped"])
def test_hyperband_runs_its_brackets(workers: int, obeys: bool) -> None:
    rule = Hyperband(max_resource=9)
    assert rule.brackets() == (((9, 1), (3, 3), (1, 9)), ((5, 3), (1, 9)), ((3, 9),))
    order: list[tuple[int, float]] = []
    sim = Simulation(
        limits=Limits(max_trials=17, max_concurrent_trials=workers),
        rule=rule,
        course=lambda request: resuming(request, obeys=obeys),
    )
    state = promotions(sim, order)
    assert Counter(resource for trial, resource in order if trial <= 9) == {1: 9, 3: 3, 9: 1}
    assert Counter(resource for trial, resource in order if 9 < trial <= 14) == {3: 5, 9: 1}
    assert Counter(resource for trial, resource in order if trial > 14) == {9: 3}
    first = sorted(list(state.trials)[:9], key=lambda trial: -trial.curve[0][1])
    assert {trial for trial, resource in order if trial <= 9 and resource == 3} == {t.id for t in first[:3]}
    assert state.reason is not None
    assert state.reason.kind is EndKind.MAX_TRIALS
    assert {trial.status for trial in state.trials} == {TrialStatus.COMPLETED, TrialStatus.PRUNED}
    assert sim.stepper().state == state


def test_a_bracket_goes_on_without_those_that_fail_and_does_not_wait_to_use_its_slots() -> None:
    def course(request: JobRequest) -> JobScript:
        if request.trial in (2, 5):
            return JobScript(runs_for=30.0, failure=FailureKind.USER_CODE, exit_code=1)
        if request.trial == 3:
            return JobScript(runs_for=50_000.0)  # a straggler that says nothing
        return resuming(request)

    order: list[tuple[int, float]] = []
    sim = Simulation(
        limits=Limits(max_trials=17, max_concurrent_trials=4, trial_timeout=20_000.0, max_failures=9),
        rule=Hyperband(max_resource=9),
        course=course,
    )
    state = promotions(sim, order)
    assert Counter(resource for trial, resource in order if trial <= 9) == {1: 9, 3: 3, 9: 1}
    starts = [trial for trial, _ in order]
    promoted = next(place for place, (trial, resource) in enumerate(order) if trial <= 9 and resource == 3)
    assert starts.index(17) < promoted, "the other brackets have gone on meanwhile"
    assert state.trials[TrialId(3)].status is TrialStatus.CANCELLED
    assert state.trials[TrialId(2)].status is TrialStatus.FAILED
    assert state.phase is Phase.ENDED


@pytest.mark.parametrize("max_trials", [1, 2, 4, 7, 11, 16])
def test_a_bracket_that_is_cut_short_ends(max_trials: int) -> None:
    limits = Limits(max_trials=max_trials, max_concurrent_trials=min(3, max_trials))
    for rule in (Hyperband(max_resource=9), Promotion(max_resource=9)):
        state = Simulation(limits=limits, rule=rule, course=resuming).run()
        assert state.phase is Phase.ENDED
        assert len(state.trials) == max_trials
        if isinstance(rule, Hyperband):
            assert TrialStatus.COMPLETED in {trial.status for trial in state.trials}


def test_paused_trials_are_cancelled_with_the_rest() -> None:
    sim = Simulation(
        limits=Limits(max_trials=50, max_concurrent_trials=2, timeout=900.0),
        rule=Promotion(max_resource=9),
        course=resuming,
    )
    state = sim.run()
    assert state.phase is Phase.ENDED
    assert not state.open
    assert TrialStatus.CANCELLED in {trial.status for trial in state.trials}
    assert all(trial.score is not None for trial in state.trials if trial.curve)


def test_a_lost_attempt_is_tried_again_with_the_same_target() -> None:
    def course(request: JobRequest) -> JobScript:
        if request.attempt == 2:
            return JobScript(runs_for=10.0, failure=FailureKind.LOST)
        return resuming(request)

    order: list[tuple[int, float]] = []
    sim = Simulation(limits=Limits(max_trials=3), rule=Promotion(max_resource=3), course=course)
    state = promotions(sim, order)
    best = next(trial for trial in state.trials if trial.status is TrialStatus.COMPLETED)
    assert [attempt.resource for attempt in best.attempts] == [1, 3, 3]


def test_a_job_that_overshoots_its_rung_is_judged_with_its_value_there() -> None:
    """It is stopped late, and has reported beyond its rung; the next attempt repeats what it did."""
    sim = Simulation(
        limits=Limits(max_trials=9, max_concurrent_trials=2),
        rule=Promotion(max_resource=9, reduction_factor=3),
        course=lambda request: JobScript(
            lines=[
                (
                    epoch * 1.0,
                    f'[trialjob] {{"metrics": {{"epoch": {epoch}, "accuracy": 0.{request.trial}}}}}',
                )
                for epoch in range(1, 10)
            ],
            runs_for=9.5,
        ),
        poll_interval=4.0,
    )
    state = sim.run()
    assert state.phase is Phase.ENDED
    assert TrialStatus.COMPLETED in {trial.status for trial in state.trials}
    for trial in state.trials:
        assert [epoch for epoch, _ in trial.curve] == list(range(1, len(trial.curve) + 1))


# Laws

LEVELS = (1, 3, 9)
PAUSING: tuple[Pausing, ...] = (Promotion(max_resource=9), Hyperband(max_resource=9))
#: What each of some trials reports at each epoch.
TABLES = st.lists(st.lists(st.integers(0, 9), min_size=9, max_size=9), min_size=1, max_size=14)


def played(
    rule: Pausing,
    table: Sequence[Sequence[float]],
    *,
    workers: int = 1,
    saves: bool = True,
    said: Callable[[int], int] = lambda _epoch: 1,
) -> tuple[State, list[tuple[int, float]]]:
    """Jobs that go on or begin again, and report each epoch so many times."""

    def job(request: JobRequest) -> JobScript:
        until = int(float(str(request.environment["TRIALJOB_MAX_RESOURCE"])))
        done = until // 3 if saves and request.attempt > 1 else 0
        values = table[request.trial - 1]
        lines = [
            f'[trialjob] {{"metrics": {{"epoch": {epoch}, "accuracy": {values[epoch - 1]}}}}}'
            for epoch in range(done + 1, until + 1)
            for _ in range(1 if epoch in LEVELS else said(epoch))
        ]
        return JobScript(lines=[(EPOCH * n, line) for n, line in enumerate(lines)], runs_for=EPOCH * 20)

    order: list[tuple[int, float]] = []
    limits = Limits(max_trials=len(table), max_concurrent_trials=min(workers, len(table)))
    return promotions(Simulation(limits=limits, rule=rule, course=job), order), order


@pytest.mark.parametrize("rule", PAUSING, ids=["asha", "hyperband"])
@settings(max_examples=40)
@given(table=TABLES, workers=st.sampled_from([1, 4]))
def test_the_best_of_a_rung_goes_on_before_any_other(
    rule: Pausing, table: list[list[int]], workers: int
) -> None:
    state, order = played(rule, table, workers=workers)
    for level, above in pairwise(LEVELS):
        compared: dict[object, list[int]] = {}
        for trial in [trial for trial, resource in order if resource == level]:
            bracket = rule.bracket(trial) if isinstance(rule, Hyperband) else None
            compared.setdefault(bracket, []).append(trial)
        for members in compared.values():
            went_on = [trial for trial in members if (trial, above) in order]
            best = max(table[trial - 1][level - 1] for trial in members)
            if len(members) >= 3:
                assert best in [table[trial - 1][level - 1] for trial in went_on]
            if isinstance(rule, Hyperband) and went_on:
                # It decides when all are there, and so no better one is ever left behind.
                worst = min(table[trial - 1][level - 1] for trial in went_on)
                left = [trial for trial in members if trial not in went_on]
                assert all(table[trial - 1][level - 1] <= worst for trial in left)
    assert state.phase is Phase.ENDED


@pytest.mark.parametrize("rule", PAUSING, ids=["asha", "hyperband"])
@settings(max_examples=40)
@given(table=TABLES, other=TABLES)
def test_rungs_are_never_compared_with_each_other(
    rule: Pausing, table: list[list[int]], other: list[list[int]]
) -> None:
    """What is reported between rungs, and how far apart the values of two rungs are, changes nothing."""
    shifted = [
        [value + {1: 500, 3: -500}.get(epoch, 0) if epoch in LEVELS else other[n % len(other)][epoch - 1]
         for epoch, value in enumerate(values, start=1)]
        for n, values in enumerate(table)
    ]  # fmt: skip
    assert played(rule, shifted)[1] == played(rule, table)[1]


@pytest.mark.parametrize("rule", PAUSING, ids=["asha", "hyperband"])
@settings(max_examples=40)
@given(table=TABLES, times=st.lists(st.integers(0, 2), min_size=9, max_size=9))
def test_epochs_that_are_missing_or_repeated_change_no_promotion(
    rule: Pausing, table: list[list[int]], times: list[int]
) -> None:
    """A job may begin again after a pause, and what lies between two rungs may be lost or said twice."""
    plain = played(rule, table)[1]
    assert played(rule, table, saves=False)[1] == plain
    assert played(rule, table, said=lambda epoch: times[epoch - 1])[1] == plain
    assert played(rule, table, saves=False, said=lambda epoch: times[epoch - 1])[1] == plain


def outcome(sim: Simulation, state: State) -> object:
    trials = [
        (
            trial.config,
            trial.status,
            trial.score,
            trial.reason,
            trial.curve,
            [a.resource for a in trial.attempts],
        )
        for trial in state.trials
    ]
    return trials, state.reason, state.rungs, sorted(sim.service.jobs), sim.clock.now()


def crashing(rule: Pausing, *, obeys: bool) -> Simulation:
    return Simulation(
        limits=Limits(max_trials=7, max_concurrent_trials=3),
        rule=rule,
        course=lambda request: resuming(request, obeys=obeys),
        poll_interval=40.0,
    )


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("obeys", [True, False], ids=["ends by itself", "is stopped"])
@pytest.mark.parametrize(
    "rule", [Promotion(max_resource=9), Hyperband(max_resource=9)], ids=["asha", "hyperband"]
)
def test_a_crash_at_any_call_changes_nothing_of_promotions(rule: Pausing, obeys: bool, after: bool) -> None:
    sim, fuse = crashing(rule, obeys=obeys), Fuse()
    expected = outcome(sim, sim.run(fuse=fuse))
    for blows_at in range(1, fuse.passed + 1):
        sim = crashing(rule, obeys=obeys)
        with pytest.raises(Crash):
            sim.run(fuse=Fuse(blows_at, after=after))
        assert outcome(sim, sim.run()) == expected, f"crash at call {blows_at}"
