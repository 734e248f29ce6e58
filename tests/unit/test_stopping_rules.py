"""Bandit, median, truncation and the user's own function: the published examples, and the laws of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialjob.model.ids import TrialId
from trialjob.model.job import JobEnd, JobState, Outcome
from trialjob.model.json import Json
from trialjob.model.limits import Limits
from trialjob.model.metric import Mode, NanPolicy, Objective, Report
from trialjob.model.trial import EndKind, Phase, StopKind, TrialStatus
from trialjob.orchestrator.core.decide import decide
from trialjob.orchestrator.core.events import (
    AttemptIntended,
    Event,
    JobSubmitted,
    RungReached,
    TrialProposed,
)
from trialjob.orchestrator.core.evolve import apply
from trialjob.orchestrator.core.observations import JobObserved
from trialjob.orchestrator.core.search import StoppingRule
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.stopping.asha import Asha
from trialjob.orchestrator.stopping.bandit import Bandit
from trialjob.orchestrator.stopping.early_stop import FunctionRule
from trialjob.orchestrator.stopping.intervals import IntervalRule, running_averages
from trialjob.orchestrator.stopping.median import MedianStopping
from trialjob.orchestrator.stopping.none import NoStopping
from trialjob.orchestrator.stopping.truncation import TruncationSelection
from trialjob.testing.histories import beginning

MAX = Objective(metric="acc", mode=Mode.MAX)
MIN = Objective(metric="acc", mode=Mode.MIN)
COMPLETED = JobEnd(outcome=Outcome.COMPLETED, seconds=1.0, dollars=0.0)


class Play:
    """An experiment whose jobs report what a test says; every verdict is the core's own."""

    def __init__(
        self, rule: StoppingRule, trials: int = 1, objective: Objective = MAX, **limits: float
    ) -> None:
        self.rule = rule
        self.events: list[Event] = []
        given = Limits(max_trials=trials + 1, max_concurrent_trials=trials, **limits)  # type: ignore[arg-type]
        self.state = apply(None, beginning("e", objective, given), 0.0)
        for number in range(1, trials + 1):
            trial = TrialId(number)
            self._apply(TrialProposed(trial=trial, config={"x": number}))
            self._apply(AttemptIntended(trial=trial, attempt=1, max_runtime=1.0))
            self._apply(JobSubmitted(trial=trial, attempt=1))

    def _apply(self, event: Event) -> None:
        self.state = apply(self.state, event, 0.0)
        self.events.append(event)

    def see(
        self, trial: int, reports: Sequence[tuple[float, float]] = (), *, end: JobEnd | None = None
    ) -> str | None:
        """What the trial is to be stopped for after these reports, each a resource and a value."""
        made = tuple(Report(resource=resource, metrics={"acc": value}, at=0.0) for resource, value in reports)
        observation = JobObserved(
            trial=TrialId(trial), attempt=1, state=JobState.TRAINING, reports=made, cursor="", end=end
        )
        for event in decide(self.state, [observation], self.rule, 0.0).events:
            self._apply(event)
        stop = self.state.trials[TrialId(trial)].attempts[0].stop
        return None if stop is None else stop.detail

    def at(self, resource: float, values: Sequence[float]) -> list[bool]:
        """One report of each trial, in order; which of them are stopped."""
        return [
            self.see(trial, [(resource, value)]) is not None for trial, value in enumerate(values, start=1)
        ]


def every(interval: int = 1, *, delay: int = 0) -> IntervalRule:
    return IntervalRule(evaluation_interval=interval, delay_evaluation=delay)


# Bandit


@pytest.mark.parametrize(("value", "stopped"), [(0.66, True), (0.6666, True), (0.6667, False), (0.7, False)])
def test_bandit_azures_example(value: float, stopped: bool) -> None:
    """At interval 10 the best is 0.8; a slack_factor of 0.2 ends what is below 0.8 / 1.2 = 0.66."""
    play = Play(Bandit(slack_factor=0.2, evaluation_interval=10), trials=2)
    assert play.at(10, [0.8, value]) == [False, stopped]


def test_a_sum_of_tenths_is_a_whole_interval() -> None:
    steps = [sum([0.1] * count) for count in range(1, 21)]
    curve = [(resource, 0.5) for resource in steps]
    reached = [IntervalRule().reached(curve, place) for place in range(len(curve))]
    assert [(place, level) for place, level in enumerate(reached, 1) if level] == [(10, 1.0), (20, 2.0)]


def test_bandit_by_amount_azures_example() -> None:
    """The best is 0.8 after 100 iterations; a slack_amount of 0.2 ends what is below 0.6."""
    play = Play(Bandit(slack_amount=0.2, evaluation_interval=100), trials=3)
    assert play.at(100, [0.8, 0.59, 0.61]) == [False, True, False]


def test_bandit_minimising() -> None:
    assert Play(Bandit(slack_factor=0.5), 3, MIN).at(1, [1.0, 1.5, 1.51]) == [False, False, True]
    assert Play(Bandit(slack_amount=0.5), 3, MIN).at(1, [-1.0, -0.5, -0.4]) == [False, False, True]


def test_bandit_compares_best_values_at_the_same_interval_only() -> None:
    play = Play(Bandit(slack_amount=0.1), trials=2)
    assert play.see(1, [(1, 0.5), (2, 0.95), (3, 0.1)]) is None
    assert play.see(2, [(1, 0.45)]) is None
    assert play.see(2, [(2, 0.4)]) == "acc was 0.45 at epoch 2; the best there, 0.95, allows 0.85"


def test_bandit_evaluation_interval_and_delay() -> None:
    """With interval 2 and delay 5 the policy applies at 6, 8, and so on."""
    play = Play(Bandit(slack_amount=0.0, evaluation_interval=2, delay_evaluation=5), trials=2)
    play.see(1, [(epoch, 1.0) for epoch in range(1, 11)])
    for epoch in range(1, 6):
        assert play.see(2, [(epoch, 0.0)]) is None
    assert "at epoch 6" in (play.see(2, [(6, 0.0)]) or "")


def test_a_ratio_on_a_negative_best_ends_the_experiment_with_the_remedy() -> None:
    play = Play(Bandit(slack_factor=0.2), trials=3)
    assert play.at(1, [-0.5, -0.9, -0.7]) == [True, True, True]
    assert play.state.reason is not None
    assert play.state.reason.kind is EndKind.STOPPING_RULE
    assert play.state.reason.kind.is_failure
    assert play.state.reason.detail == (
        "the best acc is -0.5, and a slack_factor makes no sense below 0; start a new experiment with "
        "stopping.slack_amount in place of slack_factor 0.2"
    )
    assert Play(Bandit(slack_factor=0.2), 2).at(1, [0.0, -1.0]) == [False, True]


@pytest.mark.parametrize(("objective", "worst"), [(MAX, -5.0), (MIN, 5.0)])
def test_what_is_infinite_does_not_lead(objective: Objective, worst: float) -> None:
    """One model that diverges to the good side ends no other trial, and not the experiment."""
    infinite = objective.value_of(math.inf)
    for rule in (Bandit(slack_amount=0.5), Bandit(slack_factor=0.5)):
        assert Play(rule, 4, objective).at(1, [infinite, 1.0, 1.0, worst]) == [False, False, False, True]


# The last epoch


def last_epoch_play(document: dict[str, Json], configs: Sequence[dict[str, Json]]) -> Play:
    play = Play(MedianStopping(variant="amt"), trials=len(configs))
    trials = play.state.trials
    for trial, config in zip(list(trials), configs, strict=True):
        trials = trials.put(replace(trial, config=config))
    play.state = replace(play.state, document=document, trials=trials)
    return play


@pytest.mark.parametrize("name", ["epochs", "num_epochs", "num_train_epochs", "max-epochs"])
@pytest.mark.parametrize("searched", [False, True])
def test_a_trial_that_reaches_its_last_epoch_is_completed(name: str, *, searched: bool) -> None:
    document: dict[str, Json] = {} if searched else {"estimator": {"hyperparameters": {name: 3}}}
    play = last_epoch_play(document, [{name: 3} if searched else {"x": 1}] * 2)
    play.see(1, [(1, 0.9), (2, 0.9), (3, 0.9)], end=COMPLETED)
    assert play.see(2, [(1, 0.95), (2, 0.95), (3, 0.1)]) is None
    play.see(2, end=COMPLETED)
    assert play.state.trials[TrialId(2)].status is TrialStatus.COMPLETED


def test_before_its_last_epoch_it_is_pruned() -> None:
    play = last_epoch_play({"estimator": {"hyperparameters": {"epochs": 3}}}, [{}, {}])
    play.see(1, [(1, 0.9), (2, 0.9), (3, 0.9)], end=COMPLETED)
    assert play.see(2, [(1, 0.95), (2, 0.1)]) is not None


def test_one_that_was_stopped_as_it_reached_its_last_epoch_is_completed() -> None:
    play = last_epoch_play({"estimator": {"hyperparameters": {"epochs": 3}}}, [{}, {}])
    play.see(1, [(1, 0.9), (2, 0.9), (3, 0.9)])
    assert play.see(2, [(1, 0.95), (2, 0.1)]) is not None
    play.see(2, [(3, 0.2)], end=JobEnd(outcome=Outcome.STOPPED, seconds=1.0))
    trial = play.state.trials[TrialId(2)]
    assert (trial.status, trial.reason) == (
        TrialStatus.COMPLETED,
        "it had reached its last epoch when it was stopped",
    )


# Median


def test_median_azures_example() -> None:
    """Ended at interval 5: the best value is worse than the median of the averages over intervals 1 to 5."""
    play = Play(MedianStopping(delay_evaluation=5), trials=3)
    play.see(1, [(epoch, 0.1 * epoch) for epoch in range(1, 6)])  # average 0.3
    play.see(2, [(epoch, 0.2 * epoch) for epoch in range(1, 6)])  # average 0.6
    low = [0.1, 0.2, 0.29, 0.1, 0.1]  # average 0.158, and the median of the three is 0.3
    assert play.see(3, list(enumerate(low[:4], start=1))) is None
    assert play.see(3, [(5, low[4])]) == (
        "its best acc was 0.29 at epoch 5; the median of 3 running averages is 0.3"
    )


def test_median_azure_lets_a_best_above_the_median_go_on() -> None:
    play = Play(MedianStopping(), trials=3)
    play.see(1, [(1, 0.5), (2, 0.5)])
    play.see(2, [(1, 0.6), (2, 0.6)])
    assert play.see(3, [(1, 0.9), (2, 0.0)]) is None


def test_median_amts_example() -> None:
    """The current value against the median of the running averages of the trials before it."""
    play = Play(MedianStopping(variant="amt"), trials=4)
    play.see(1, [(1, 0.2), (2, 0.4)])  # averages 0.2, 0.3
    play.see(2, [(1, 0.6), (2, 0.8)])  # averages 0.6, 0.7
    play.see(3, [(1, 0.4), (2, 0.6)])  # averages 0.4, 0.5
    assert play.see(4, [(1, 0.9)]) is None
    assert play.see(4, [(2, 0.49)]) == (
        "its acc was 0.49 at epoch 2; the median of 3 running averages is 0.5"
    )


def test_median_amt_minimising_and_exactly_the_median() -> None:
    play = Play(MedianStopping(variant="amt"), 3, MIN)
    assert play.at(1, [1.0, 1.0, 1.1]) == [False, False, True]


def test_median_of_an_even_number_is_the_mean_of_the_two_in_the_middle() -> None:
    play = Play(MedianStopping(variant="amt"), trials=4)
    assert play.at(1, [0.9, 0.95, 0.95, 0.9249])[3]
    play = Play(MedianStopping(variant="amt"), trials=3)
    assert play.at(1, [0.2, 0.1, 0.14])[2]


@pytest.mark.parametrize("variant", ["azure", "amt"])
def test_a_median_is_not_infinite_for_one_infinite_value_of_two(variant: Literal["azure", "amt"]) -> None:
    values = [0.2, math.inf, 0.3] if variant == "amt" else [math.inf, 0.2, 0.3]
    assert not any(Play(MedianStopping(variant=variant), 3).at(1, values))


def test_median_viziers_compares_with_completed_trials() -> None:
    play = Play(MedianStopping(variant="vizier"), trials=3)
    assert play.see(1, [(1, 0.5), (2, 0.7), (3, 0.9)]) is None
    assert play.see(2, [(1, 0.1)]) is None, "nobody has completed yet"
    play.see(1, end=COMPLETED)
    assert {level: rung.keys for level, rung in play.state.rungs.items()} == {
        1: (0.5,),
        2: (pytest.approx(0.6),),
        3: (pytest.approx(0.7),),
    }
    assert "the median of 1 running averages is 0.6" in (play.see(2, [(2, 0.2)]) or "")
    assert play.see(3, [(1, 0.5)]) is None


@given(st.lists(st.floats(allow_nan=True), min_size=1, max_size=20), st.sampled_from(Mode))
def test_running_averages_lie_between_the_least_and_the_greatest(values: list[float], mode: Mode) -> None:
    objective = Objective(metric="acc", mode=mode)
    averages = running_averages(list(enumerate(values, start=1)), objective)
    for count, average in enumerate(averages, start=1):
        keys = [objective.key(value) for value in values[:count]]
        assert min(keys) <= average <= max(keys)


# Truncation


def test_truncation_azures_example() -> None:
    """At interval 5, ended when among the lowest 20 % of all at interval 5."""
    play = Play(TruncationSelection(truncation_percentage=20, delay_evaluation=5), trials=5)
    assert play.at(4, [0.5, 0.4, 0.3, 0.2, 0.1]) == [False] * 5
    # Four have no fifth part; of five the lowest one is ended.
    assert play.at(5, [0.5, 0.6, 0.7, 0.8, 0.4]) == [False, False, False, False, True]


def test_truncation_ends_the_lowest_fifth() -> None:
    play = Play(TruncationSelection(truncation_percentage=20), trials=10)
    stopped = play.at(1, [0.5, 0.6, 0.7, 0.8, 0.4, 0.45, 0.55, 0.65, 0.42, 0.41])
    # 0.4 is the lowest of five. Of nine, one fifth is one, which 0.4 is; of ten it is two, 0.4 and 0.41.
    assert stopped == [False, False, False, False, True, False, False, False, False, True]


@pytest.mark.parametrize("exclude", [False, True])
def test_truncation_takes_equals_in_their_order(*, exclude: bool) -> None:
    """Where nine of ten are at chance, none of them is the lowest fifth; what has no number is."""
    rule = TruncationSelection(truncation_percentage=20, exclude_finished_jobs=exclude)
    assert Play(rule, trials=10).at(1, [0.9, *[0.1] * 9]) == [False] * 10
    assert Play(rule, trials=10).at(1, [0.9, *[math.nan] * 9]) == [False] * 4 + [True] * 6


@pytest.mark.parametrize(("percentage", "stopped"), [(1, 1), (99, 99)])
def test_truncation_at_its_bounds(percentage: int, stopped: int) -> None:
    """In descending order each is the last so far. 1 % of 99 is none; and the first leads."""
    values = [1 - place / 100 for place in range(100)]
    assert sum(Play(TruncationSelection(truncation_percentage=percentage), 100).at(1, values)) == stopped


def test_truncation_can_leave_out_finished_jobs() -> None:
    for exclude in (False, True):
        play = Play(TruncationSelection(truncation_percentage=50, exclude_finished_jobs=exclude), trials=3)
        play.see(1, [(1, 0.1)], end=COMPLETED)
        play.see(2, [(1, 0.9)])
        # Of all three 0.5 is second to last and half of three is one; of the two that run it is last.
        assert (play.see(3, [(1, 0.5)]) is not None) is exclude


def test_truncation_compares_with_what_others_had_at_the_interval() -> None:
    for exclude in (False, True):
        play = Play(TruncationSelection(truncation_percentage=50, exclude_finished_jobs=exclude), trials=2)
        play.see(1, [(1, 0.1), (2, 0.9)])
        assert play.see(2, [(1, 0.2)]) is None
        assert play.see(2, [(2, 0.3)]) is not None


# The user's own


def test_a_function_is_given_the_reports_and_the_best_value() -> None:
    calls: list[tuple[list[float], float | None]] = []

    def hopeless(reports: tuple[Report, ...], best: float | None) -> bool:
        calls.append(([report.metrics["acc"] for report in reports], best))
        return len(reports) == 2

    play = Play(FunctionRule(name="mine:hopeless", function=hopeless), trials=2)
    play.see(1, [(1, 0.9)])
    assert play.see(2, [(1, 0.1), (2, 0.2), (3, 0.3)]) == "ended by mine:hopeless at epoch 2"
    assert calls == [([0.9], 0.9), ([0.1], 0.9), ([0.1, 0.2], 0.9)]


def _misses_a_file(_reports: object, _best: object) -> bool:
    """One whose name is no UTF-8, which no journal holds."""
    raise OSError("no caf\udce9")


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda _reports, _best: 1 / 0, "raised ZeroDivisionError: division by zero (trial 1); correct it"),
        (lambda _reports, _best: "no", "returned 'no', which is neither True nor False"),
        (_misses_a_file, "raised OSError: no caf\\udce9 (trial 1); correct it"),
    ],
)
def test_a_function_that_fails_ends_the_experiment(
    function: Callable[[object, object], object], words: str
) -> None:
    play = Play(FunctionRule(name="mine:broken", function=function), trials=1)
    play.see(1, [(1, 0.5)])
    assert play.state.phase is not Phase.RUNNING
    assert play.state.reason is not None
    assert words in play.state.reason.detail


# Completion and NaN


def test_the_target_ends_the_experiment() -> None:
    play = Play(NoStopping(), trials=2, target=0.9)
    assert play.see(1, [(1, 0.899)]) is None
    assert play.see(2, [(1, 0.9), (2, 0.1)]) == "acc reached 0.9; the target was 0.9"
    assert play.state.reason is not None
    assert play.state.reason.kind is EndKind.TARGET
    assert not play.state.reason.kind.is_failure
    assert [stop.kind for trial in play.state.trials if (stop := trial.attempts[0].stop)] == (
        [StopKind.CANCELLED] * 2
    )


def test_the_target_minimising_and_nan() -> None:
    play = Play(NoStopping(), 1, MIN, target=0.1)
    assert play.see(1, [(1, math.nan), (2, 0.2)]) is None
    assert play.see(1, [(3, 0.05)]) is not None


def test_trials_without_improvement() -> None:
    play = Play(NoStopping(), trials=6, max_trials_without_improvement=3)
    for trial, value in enumerate([0.5, 0.4, 0.6, 0.6, 0.1], start=1):
        play.see(trial, [(1, value)], end=COMPLETED)
        assert play.state.phase is Phase.RUNNING
    play.see(6, [(1, 0.59)], end=COMPLETED)
    assert play.state.reason is not None
    assert play.state.reason.kind is EndKind.NO_IMPROVEMENT
    assert play.state.reason.detail == "3 trials in a row ended without a score better than 0.6"


def test_an_infinite_score_is_no_improvement_and_hides_none() -> None:
    play = Play(NoStopping(), trials=5, max_trials_without_improvement=2)
    for trial, value in enumerate([math.inf, 0.5, 0.6, math.inf], start=1):
        play.see(trial, [(1, value)], end=COMPLETED)
        assert play.state.phase is Phase.RUNNING
    play.see(5, [(1, 0.6)], end=COMPLETED)
    assert play.state.reason is not None
    assert play.state.reason.detail == "2 trials in a row ended without a score better than 0.6"


@pytest.mark.parametrize("end", [None, COMPLETED])
def test_nan_can_be_a_failure(end: JobEnd | None) -> None:
    play = Play(NoStopping(), 1, Objective(metric="acc", mode=Mode.MAX, nan=NanPolicy.FAIL))
    assert play.see(1, [(1, 0.5), (2, math.nan)], end=end) == "acc is NaN at epoch 2"
    if end is None:
        play.see(1, end=JobEnd(outcome=Outcome.STOPPED, seconds=1.0, dollars=0.0))
    trial = play.state.trials[TrialId(1)]
    assert trial.status is TrialStatus.FAILED
    assert len(trial.attempts) == 1
    assert play.state.failures == 1


def test_nan_can_be_ignored() -> None:
    play = Play(NoStopping(), 2, Objective(metric="acc", mode=Mode.MAX, nan=NanPolicy.IGNORE))
    play.see(1, [(1, math.nan), (2, 0.5), (3, math.nan)], end=COMPLETED)
    play.see(2, [(1, math.nan)], end=COMPLETED)
    trials = list(play.state.trials)
    assert [trial.status for trial in trials] == [TrialStatus.COMPLETED, TrialStatus.METRICS_UNAVAILABLE]
    assert trials[0].score == 0.5
    assert trials[0].curve == ((2, 0.5),)


# Laws

VALUES = st.floats(-1e308, 1e308) | st.sampled_from([0.0, 0.5, 1.0, math.nan, math.inf, -math.inf])
RULES: st.SearchStrategy[StoppingRule] = st.one_of(
    st.floats(0, 1e6).map(lambda amount: Bandit(slack_amount=amount)),
    st.floats(0, 1e6).map(lambda factor: Bandit(slack_factor=factor)),
    st.just(MedianStopping()),
    st.just(MedianStopping(variant="vizier")),
    st.tuples(st.integers(1, 99), st.booleans()).map(
        lambda given: TruncationSelection(truncation_percentage=given[0], exclude_finished_jobs=given[1])
    ),
)


@given(
    RULES,
    st.lists(st.lists(VALUES, min_size=3, max_size=3), min_size=1, max_size=8),
    st.sampled_from(Mode),
    st.data(),
)
def test_the_leader_is_never_pruned(
    rule: StoppingRule, curves: list[list[float]], mode: Mode, data: st.DataObject
) -> None:
    objective = Objective(metric="acc", mode=mode)
    play = Play(rule, len(curves), objective)
    stopped: set[int] = set()
    epochs = dict.fromkeys(range(1, len(curves) + 1), 0)
    for trial in data.draw(st.permutations([*epochs] * 3)):
        epochs[trial] += 1
        epoch, curve = epochs[trial], curves[trial - 1]
        play.see(trial, [(epoch, curve[epoch - 1])], end=COMPLETED if epoch == len(curve) else None)
        stop = play.state.trials[TrialId(trial)].attempts[0].stop
        if trial not in stopped and stop is not None and stop.kind is StopKind.PRUNED:
            stopped.add(trial)
            mine = max(objective.key(value) for value in curve[:epoch])
            others = [
                objective.key(value)
                for other in play.state.trials
                if len(other.curve) >= epoch
                for _, value in other.curve[:epoch]
            ]
            assert mine < max(others)


@given(st.lists(VALUES, min_size=1, max_size=8), st.sampled_from(Mode))
def test_amt_never_prunes_a_value_that_no_average_beats(values: list[float], mode: Mode) -> None:
    objective = Objective(metric="acc", mode=mode)
    play = Play(MedianStopping(variant="amt"), len(values), objective)
    best = -math.inf
    for stopped, value in zip(play.at(1, values), values, strict=True):
        if objective.key(value) >= best:
            assert not stopped
            best = objective.key(value)


def third_is_low(reports: tuple[Report, ...], _best: float | None) -> bool:
    return len(reports) == 3 and reports[-1].metrics["acc"] < 0.5


EVERY_RULE = [
    Bandit(slack_amount=0.05, evaluation_interval=2),
    Bandit(slack_factor=0.1),
    MedianStopping(delay_evaluation=2),
    MedianStopping(variant="amt"),
    MedianStopping(variant="vizier"),
    TruncationSelection(truncation_percentage=40),
    TruncationSelection(truncation_percentage=40, exclude_finished_jobs=True),
]
EVERY_OTHER = [Asha(max_resource=5, reduction_factor=2), FunctionRule(name="mine:low", function=third_is_low)]
CURVES = st.lists(st.lists(st.integers(0, 9), min_size=6, max_size=6), min_size=2, max_size=5)


def told(play: Play) -> object:
    """All that a rule has done and remembers."""
    return (
        play.state.rungs,
        [(trial.attempts[0].stop, trial.curve, trial.rung) for trial in play.state.trials],
        play.state.reason,
    )


@pytest.mark.parametrize("rule", [*EVERY_RULE, *EVERY_OTHER], ids=lambda rule: type(rule).__name__)
@given(curves=CURVES, data=st.data())
def test_repeated_epochs_and_batches_change_nothing(
    rule: StoppingRule, curves: list[list[int]], data: st.DataObject
) -> None:
    once, again = Play(rule, len(curves)), Play(rule, len(curves))
    for epoch in range(1, 7, 2):
        for trial, values in enumerate(curves, start=1):
            reports = [(float(at), values[at - 1] / 10) for at in (epoch, epoch + 1)]
            for report in reports:
                once.see(trial, [report])
            earlier = [(float(at), data.draw(st.integers(0, 9)) / 10) for at in range(1, epoch)]
            again.see(
                trial, [*data.draw(st.lists(st.sampled_from(earlier))), *reports] if earlier else reports
            )
    assert told(again) == told(once)


@pytest.mark.parametrize("rule", EVERY_RULE[1:], ids=lambda rule: type(rule).__name__)
@given(curves=CURVES, missing=st.sets(st.integers(1, 5)))
def test_an_epoch_that_is_missing_shifts_no_comparison(
    rule: StoppingRule, curves: list[list[int]], missing: set[int]
) -> None:
    """A trial that never reported some epochs is judged at the others, against what was there."""
    play = Play(rule, len(curves))
    for trial, values in enumerate(curves, start=1):
        for epoch in range(1, 7):
            if trial > 1 or epoch not in missing:
                play.see(trial, [(epoch, values[epoch - 1] / 10)])
    for event in play.events:
        if isinstance(event, RungReached):
            assert event.trial != 1 or event.rung not in missing
    for level, rung in play.state.rungs.items():
        assert len(rung) <= len(curves) - (level in missing)


@pytest.mark.parametrize("rule", [*EVERY_RULE, EVERY_OTHER[0]], ids=lambda rule: type(rule).__name__)
@given(curves=CURVES, later=CURVES, epoch=st.integers(1, 5), end=st.sampled_from([None, COMPLETED]))
def test_what_others_had_later_changes_no_verdict(
    rule: StoppingRule, curves: list[list[int]], later: list[list[int]], epoch: int, end: JobEnd | None
) -> None:
    """Whoever has come further is compared by what it had at the same interval, or rung."""
    verdicts = []
    for changed in (False, True):
        play = Play(rule, len(curves))
        for trial, values in enumerate(curves[:-1], start=1):
            behind = later[trial % len(later)] if changed else values
            reports = [*enumerate(values[:epoch], start=1), *enumerate(behind[epoch:], start=epoch + 1)]
            play.see(trial, [(at, value / 10) for at, value in reports], end=end)
        mine = enumerate(curves[-1][:epoch], start=1)
        verdicts.append(play.see(len(curves), [(at, value / 10) for at, value in mine]))
    assert verdicts[0] == verdicts[1]


def test_levels_are_those_of_the_resource() -> None:
    assert every().reached([(1, 0.0)]) == 1
    assert every().reached([(0.98, 0.0)]) is None
    assert every().reached([(0.98, 0.0), (1.97, 0.0)]) == 1
    assert every(1000).reached([(999, 0.0), (2500, 0.0)]) == 2000
    assert every(1000).reached([(2100, 0.0), (2500, 0.0)]) is None
    assert every(2, delay=5).reached([(5, 0.0)]) is None
    assert every(2, delay=5).reached([(5, 0.0), (6, 0.0)]) == 6
    assert every().reached([(1e300, 0.0)]) == 1e300


def test_the_first_report_is_the_first_interval_also_at_epoch_0() -> None:
    """Azure ML counts reports: of a script that counts from 0, epoch 4 is the fifth interval."""
    from_0 = [(float(epoch), 0.0) for epoch in range(10)]
    assert [every().reached(from_0, place) for place in range(3)] == [0, 1, 2]
    assert [place for place in range(10) if every(5).reached(from_0, place) is not None] == [4, 9]
    assert [place for place in range(10) if every(2, delay=5).reached(from_0, place) is not None] == [5, 7, 9]
    assert every().reached([(0.0, 0.0), (0.5, 0.0)]) is None
    assert every().reached([(0.0, 0.0), (1.0, 0.0)]) == 1


@pytest.mark.parametrize(
    "rule",
    [Bandit(slack_amount=0.1), MedianStopping(), MedianStopping(variant="amt")]
    + [
        TruncationSelection(truncation_percentage=50, exclude_finished_jobs=exclude)
        for exclude in (False, True)
    ],
    ids=lambda rule: type(rule).__name__,
)
def test_a_trial_is_judged_by_its_report_of_epoch_0(rule: StoppingRule) -> None:
    assert Play(rule, trials=2).at(0, [0.9, 0.1]) == [False, True]


def test_completed_trials_have_an_average_at_epoch_0() -> None:
    play = Play(MedianStopping(variant="vizier"), trials=2)
    play.see(1, [(0, 0.9), (1, 0.9)], end=COMPLETED)
    assert (
        play.see(2, [(0, 0.1)]) == "its best acc was 0.1 at epoch 0; the median of 1 running averages is 0.9"
    )


def test_a_lost_line_of_epoch_0_shifts_no_other_comparison() -> None:
    play = Play(Bandit(slack_amount=0.1), trials=2)
    play.see(1, [(0, 0.9), (1, 0.5)])
    play.see(2, [(1, 0.5)])
    assert [len(play.state.rungs[level]) for level in (0, 1)] == [1, 2]


def test_nothing_is_best_at_first() -> None:
    state: State = Play(NoStopping(), 1).state
    assert (state.best, state.best_score, state.without_improvement) == (None, None, 0)
