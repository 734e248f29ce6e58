from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialjob.model.ids import TrialId
from trialjob.model.limits import Limits
from trialjob.model.metric import Mode, Objective, Report
from trialjob.model.trial import StopKind
from trialjob.orchestrator.core.events import (
    AttemptIntended,
    JobSubmitted,
    ReportsRead,
    RungReached,
    TrialProposed,
)
from trialjob.orchestrator.core.evolve import apply
from trialjob.orchestrator.core.search import Judgement
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.stopping.asha import Asha
from trialjob.orchestrator.stopping.promotion import Promotion
from trialjob.testing.histories import beginning

MAXIMIZE = Objective(metric="acc", mode=Mode.MAX)
MINIMIZE = Objective(metric="acc", mode=Mode.MIN)


def started(trials: int, objective: Objective = MAXIMIZE) -> State:
    state = apply(
        None,
        beginning("e", objective, Limits(max_trials=trials)),
        0.0,
    )
    for number in range(1, trials + 1):
        trial = TrialId(number)
        state = apply(state, TrialProposed(trial=trial, config={"x": number}), 0.0)
        state = apply(state, AttemptIntended(trial=trial, attempt=1, max_runtime=1.0), 0.0)
        state = apply(state, JobSubmitted(trial=trial, attempt=1), 0.0)
    return state


def report(state: State, rule: Asha, trial: int, resource: float, value: float) -> tuple[State, Judgement]:
    made = Report(resource=resource, metrics={"acc": value}, at=0.0)
    state = apply(state, ReportsRead(trial=TrialId(trial), attempt=1, reports=(made,), cursor=""), 0.0)
    judgement = rule.judge(state, state.trials[TrialId(trial)], made)
    for rung, entered in judgement.enters:
        state = apply(state, RungReached(trial=TrialId(trial), rung=rung, value=entered), 0.0)
    return state, judgement


@pytest.mark.parametrize(
    ("lowest", "highest", "factor", "levels"),
    [
        (1, 27, 3, (1, 3, 9)),
        (1, 9, 3, (1, 3)),
        (1, 8, 2, (1, 2, 4)),
        (2, 100, 4, (2, 8, 32)),
        (1, 243, 3, (1, 3, 9, 27, 81)),
        (1, 1000, 10, (1, 10, 100)),
        (0.1, 2.7, 3, (0.1, 0.3, 0.9)),
        (0.3, 0.9, 3, (0.3,)),
    ],
)
def test_rungs_are_powers_below_max_resource(
    lowest: float, highest: float, factor: float, levels: tuple[float, ...]
) -> None:
    rule = Asha(min_resource=lowest, max_resource=highest, reduction_factor=factor)
    assert rule.levels() == levels


def test_only_the_best_third_goes_on() -> None:
    rule = Asha(max_resource=27)
    state = started(6)
    stopped = []
    for trial, value in enumerate([0.1, 0.5, 0.4, 0.6, 0.2, 0.55], start=1):
        state, judgement = report(state, rule, trial, 1, value)
        if judgement.stop:
            stopped.append(trial)
            assert judgement.stop.kind is StopKind.PRUNED
    # 0.1 is first and alone; 0.5 and 0.6 lead; of six, the best two go on, and 0.55 is second.
    assert stopped == [3, 5]


def test_a_trial_pauses_where_it_was_told_to() -> None:
    rule = Promotion(min_resource=0.7, max_resource=2.1)
    target = rule.first(TrialId(1))
    state = apply(None, beginning("e", MAXIMIZE, Limits(max_trials=1)), 0.0)
    state = apply(state, TrialProposed(trial=TrialId(1), config={}), 0.0)
    state = apply(state, AttemptIntended(trial=TrialId(1), attempt=1, max_runtime=1.0, resource=target), 0.0)
    state = apply(state, JobSubmitted(trial=TrialId(1), attempt=1), 0.0)
    made = Report(resource=0.7, metrics={"acc": 0.5}, at=0.0)
    assert made.resource < target  # what 2.1 / 3 is
    judgement = rule.judge(state, state.trials[TrialId(1)], made)
    assert judgement.enters == ((target, 0.5),)
    assert judgement.stop is not None
    assert judgement.stop.kind is StopKind.PAUSED


def test_minimising_mirrors_maximising() -> None:
    rule = Asha(max_resource=27)
    verdicts = []
    for objective, sign in ((MAXIMIZE, 1), (MINIMIZE, -1)):
        state = started(6, objective)
        stops = []
        for trial, value in enumerate([0.1, 0.5, 0.4, 0.6, 0.2, 0.55], start=1):
            state, judgement = report(state, rule, trial, 1, sign * value)
            stops.append(judgement.stop is not None)
        verdicts.append(stops)
    assert verdicts[0] == verdicts[1]


def test_a_report_past_several_rungs_enters_them_all_and_is_compared_in_the_highest() -> None:
    rule = Asha(max_resource=27)
    state = started(2)
    state, judgement = report(state, rule, 1, 9, 0.9)
    assert judgement.enters == ((1, 0.9), (3, 0.9), (9, 0.9))
    state, judgement = report(state, rule, 2, 10, 0.1)
    assert [rung for rung, _ in judgement.enters] == [1, 3, 9]
    assert judgement.stop is not None
    assert "epoch 9" in judgement.stop.detail


def test_at_max_resource_it_is_left_alone_and_past_it_stopped_as_complete() -> None:
    rule = Asha(max_resource=9)
    state = started(1)
    state, at_the_end = report(state, rule, 1, 9, 0.5)
    assert at_the_end.stop is None
    _, past_it = report(state, rule, 1, 10, 0.5)
    assert past_it.stop is not None
    assert past_it.stop.kind is StopKind.MAX_RESOURCE


def test_a_sum_of_steps_is_what_it_is_meant_to_be() -> None:
    rule = Asha(min_resource=0.9, max_resource=9)
    _, judgement = report(started(1), rule, 1, sum([0.1] * 9), 0.5)
    assert judgement.enters == ((0.9, 0.5),)


def test_nan_is_the_worst_of_all() -> None:
    rule = Asha(max_resource=9)
    state = started(2)
    state, _ = report(state, rule, 1, 1, -1e300)
    _, judgement = report(state, rule, 2, 1, math.nan)
    assert judgement.stop is not None


values = st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=30)


@given(values=values, factor=st.sampled_from([2.0, 3.0, 4.0, 2.5]), mode=st.sampled_from(Mode))
def test_the_leader_is_never_stopped(values: list[float], factor: float, mode: Mode) -> None:
    objective = Objective(metric="acc", mode=mode)
    rule = Asha(max_resource=100, reduction_factor=factor)
    state = started(len(values), objective)
    best = -math.inf
    for trial, value in enumerate(values, start=1):
        state, judgement = report(state, rule, trial, 1, value)
        if objective.key(value) >= best:
            assert judgement.stop is None
            best = objective.key(value)


@given(
    resources=st.lists(st.integers(1, 40), min_size=1, max_size=30),
    repeats=st.lists(st.integers(0, 3), min_size=30, max_size=30),
)
def test_repeated_epochs_change_no_rung(resources: list[int], repeats: list[int]) -> None:
    rule = Asha(max_resource=27)
    once, again = started(1), started(1)
    for place, resource in enumerate(sorted(resources)):
        once, _ = report(once, rule, 1, resource, resource / 40)
        for _ in range(1 + repeats[place]):
            again, _ = report(again, rule, 1, resource, resource / 40)
        if repeats[place] == 3:
            again, _ = report(again, rule, 1, min(resources), 0.0)
    assert again.rungs == once.rungs
    assert all(len(rung) == 1 for rung in once.rungs.values())
