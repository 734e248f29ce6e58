"""Syne Tune's schedulers: each fault of theirs that we know, and what keeps it from our users."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trialjob.config import parse
from trialjob.errors import SpecError, UsageError
from trialjob.model.ids import TrialId
from trialjob.model.limits import Limits
from trialjob.model.metric import MetricGoal, Mode, NanPolicy, Objective, Report
from trialjob.model.space import Choice, Config, LogUniform, RandInt, Space, Uniform
from trialjob.model.trial import StopKind, StopReason, TrialStatus
from trialjob.orchestrator.core.events import (
    Event,
    ReportsRead,
    StopIntended,
    TrialEnded,
    TrialProposed,
)
from trialjob.orchestrator.samplers import syne_models
from trialjob.orchestrator.samplers.encoding import beyond
from trialjob.orchestrator.samplers.random import RandomSampler
from trialjob.orchestrator.samplers.syne_models import quiet
from trialjob.orchestrator.samplers.syne_population import Explorer
from trialjob.orchestrator.samplers.syne_scheduler import SyneTuneScheduler
from trialjob.orchestrator.samplers.syne_schedulers import LastValues, Plan, _by_fronts
from trialjob.orchestrator.samplers.syne_space import SyneSpace
from trialjob.testing.histories import beginning

pytest.importorskip("syne_tune", reason="Syne Tune is not installed")

SPACE = Space({"x": Uniform(lower=0.0, upper=1.0), "n": RandInt(lower=1, upper=100)})
ASHA = Plan(kind="syne_asha", max_resource=27)
MO_ASHA = Plan(kind="mo_asha", max_resource=27)
PBT = Plan(kind="pbt", max_resource=30, perturbation_interval=5)
LOSS = Objective(metric="loss", mode=Mode.MIN)
TWO = Objective(metric="loss", mode=Mode.MIN, others=(MetricGoal(metric="speed", mode=Mode.MAX),))


class JobTimeline:
    """Tells a scheduler what a journal would."""

    def __init__(self, plan: Plan, objective: Objective = LOSS, trials: int = 4) -> None:
        self.scheduler = SyneTuneScheduler(SPACE, 0, plan)
        self.events: list[Event] = []
        self.tell(beginning("e", objective, Limits(max_trials=99)))
        for trial in range(1, trials + 1):
            self.propose(trial)

    def tell(self, *events: Event) -> None:
        self.events += events
        self.scheduler.tell(events)

    def propose(self, trial: int, source: TrialId | None = None) -> Config:
        config = self.scheduler.ask(TrialId(trial))
        assert config is not None
        self.tell(TrialProposed(trial=TrialId(trial), config=config, source=source))
        return config

    def report(self, trial: int, epoch: float, loss: float, **others: float) -> StopReason | None:
        """As the engine does it: judged first, and then told."""
        report = Report(resource=epoch, metrics={"loss": loss, **others}, at=0.0)
        stop = self.scheduler._deliver(TrialId(trial), report).stop
        self.tell(ReportsRead(trial=TrialId(trial), attempt=1, reports=(report,), cursor=""))
        if stop is not None:
            self.tell(StopIntended(trial=TrialId(trial), attempt=1, reason=stop))
        return stop

    def end(self, trial: int, status: TrialStatus = TrialStatus.COMPLETED) -> None:
        self.tell(TrialEnded(trial=TrialId(trial), status=status, reason=""))

    @property
    def theirs(self) -> Any:  # noqa: ANN401 - no types
        return self.scheduler._scheduler

    def rungs(self) -> dict[float, list[int]]:
        return {level: sorted(known) for level, known in self.theirs.brackets[0].rungs}


def test_the_worst_are_stopped_and_the_leader_never() -> None:
    story = JobTimeline(ASHA)
    assert story.report(1, 1, 0.5) is None
    stop = story.report(2, 1, 0.9)
    assert stop == StopReason(kind=StopKind.PRUNED, detail="not among the best 1 / 3 at epoch 1")
    for trial, loss in ((3, 0.4), (4, 0.3)):
        assert story.report(trial, 1, loss) is None


@pytest.mark.parametrize("plan", [ASHA, MO_ASHA, PBT], ids=["asha", "mo_asha", "pbt"])
@settings(max_examples=30)
@given(losses=st.lists(st.floats(-1e100, 1e100) | st.just(math.nan), min_size=1, max_size=9))
def test_the_leader_is_never_stopped(plan: Plan, losses: list[float]) -> None:
    """Whoever is better than all before it, in every objective, goes on."""
    story = JobTimeline(plan, TWO if plan is MO_ASHA else LOSS, trials=len(losses))
    best = math.inf
    for trial, loss in enumerate(losses, start=1):
        leads = not math.isnan(loss) and loss < best
        stop = story.report(trial, 5, loss, speed=-loss)
        if leads:
            assert stop is None
            best = loss


CURVE = st.lists(st.integers(0, 9), min_size=9, max_size=9)


@pytest.mark.parametrize("plan", [ASHA, PBT], ids=["asha", "pbt"])
@settings(max_examples=30)
@given(table=st.lists(CURVE, min_size=2, max_size=6), data=st.data())
def test_repeated_epochs_change_no_verdict(plan: Plan, table: list[list[int]], data: st.DataObject) -> None:
    once, again = (JobTimeline(plan, trials=len(table)) for _ in range(2))
    for epoch in range(1, 10):
        for trial, losses in enumerate(table, start=1):
            stopped = once.report(trial, epoch, losses[epoch - 1])
            assert again.report(trial, epoch, losses[epoch - 1]) == stopped
            for earlier in data.draw(st.lists(st.integers(1, epoch), max_size=2)):
                assert again.report(trial, earlier, data.draw(st.integers(0, 9))) is None
    assert again.scheduler._searcher._losses == once.scheduler._searcher._losses


def test_the_end_of_a_trial_is_not_taken_for_pruning() -> None:
    """Syne Tune answers STOP to every report at max_t."""
    story = JobTimeline(ASHA)
    assert story.report(1, 27, 0.5) is None
    stop = story.report(1, 28, 0.5)
    assert stop is not None
    assert stop.kind is StopKind.MAX_RESOURCE
    population = JobTimeline(PBT)
    assert population.report(1, 30, 9.0) is None


def test_epochs_that_are_missing_or_repeated_change_no_rung() -> None:
    """A first report at 9 leaves the lower rungs free, and epochs 10 and 11 would be compared there."""
    story = JobTimeline(ASHA)
    for trial, loss in ((1, 0.1), (2, 0.2)):
        story.report(trial, 1, loss)
    assert story.report(3, 9, 0.9) is None
    assert story.rungs() == {9: [3], 3: [3], 1: [1, 2, 3]}
    for epoch, loss in ((10, 2.0), (11, 3.0), (9, 9.0), (3, 9.0)):
        assert story.report(3, epoch, loss) is None
    assert {known[TrialId(3)]["loss"] for _, known in story.theirs.brackets[0].rungs} == {0.9}
    assert story.scheduler._searcher._losses[TrialId(3)][1] == 3.0
    story.end(3)
    assert story.rungs() == {9: [3], 3: [3], 1: [1, 2, 3]}


@pytest.mark.parametrize(
    ("lowest", "highest", "factor", "rungs"),
    [(1, 243, 3, (1, 3, 9, 27, 81)), (0.1, 2.7, 3, (0.1, 0.3, 0.9)), (1, 1000, 10, (1, 10, 100))],
)
def test_no_rung_is_lost_to_rounding(
    lowest: float, highest: float, factor: float, rungs: Sequence[float]
) -> None:
    plan = Plan(kind="syne_asha", min_resource=lowest, max_resource=highest, reduction_factor=factor)
    assert plan.rungs() == rungs
    story = JobTimeline(plan)
    for level in rungs:
        story.report(1, level, 0.5)
    assert story.rungs() == {level: [1] for level in rungs}


def test_a_sum_of_steps_reaches_its_rung() -> None:
    story = JobTimeline(Plan(kind="syne_asha", max_resource=2.7, min_resource=0.9), trials=1)
    assert story.report(1, sum([0.1] * 9), 0.5) is None
    assert story.rungs() == {0.9: [1]}


def test_every_bracket_begins_a_rung_higher() -> None:
    story = JobTimeline(Plan(kind="syne_asha", max_resource=27, brackets=3))
    assert [[level for level, _ in bracket.rungs] for bracket in story.theirs.brackets] == (
        [[9, 3, 1], [9, 3], [9]]
    )


def test_nan_is_the_worst_and_fail_is_the_engines() -> None:
    story = JobTimeline(ASHA)
    story.report(1, 1, 0.5)
    stop = story.report(2, 1, math.nan)
    assert stop is not None
    population = JobTimeline(PBT)
    for trial, loss in ((1, 0.1), (2, 0.2), (3, 0.3), (4, math.nan)):
        stop = population.report(trial, 5, loss)
    assert stop is not None
    failing = JobTimeline(ASHA, Objective(metric="loss", mode=Mode.MIN, nan=NanPolicy.FAIL))
    failing.report(1, 1, math.nan)
    failing.report(1, 3, 0.5)
    assert failing.rungs() == {9: [], 3: [], 1: []}


def test_a_trial_that_has_ended_is_not_copied() -> None:
    """Syne Tune keeps whoever failed or came to its end in the population."""
    for status in (TrialStatus.FAILED, TrialStatus.COMPLETED):
        story = JobTimeline(PBT)
        for trial, loss in ((1, 0.3), (2, 0.2), (3, 0.1)):
            story.report(trial, 5, loss)
        story.end(3, status)
        assert story.report(4, 5, 0.9) == StopReason(
            kind=StopKind.PRUNED, detail="among the worst at epoch 5; a copy of trial 2 takes its place"
        )


def test_a_copy_is_proposed_with_its_source_and_compared_an_interval_later() -> None:
    """Syne Tune compares it with its first report, as if it had never been compared."""
    story = JobTimeline(PBT)
    for trial, loss in ((1, 0.1), (2, 0.2), (3, 0.3), (4, 0.9)):
        story.report(trial, 5, loss)
    config = story.scheduler.ask(TrialId(5))
    assert story.scheduler.source(TrialId(5)) == 1
    assert story.scheduler.source(TrialId(6)) is None
    assert story.propose(5, TrialId(1)) == config
    assert story.report(5, 6, 9.0) is None
    assert story.report(5, 10, 9.0) is not None


def test_one_that_is_told_the_journal_goes_on_as_the_one_before() -> None:
    story = JobTimeline(PBT, trials=8)
    for trial in range(1, 9):
        story.report(trial, 5, trial / 10)
    story.propose(9, story.scheduler.source(TrialId(9)) if story.scheduler.ask(TrialId(9)) else None)
    again = SyneTuneScheduler(SPACE, 0, PBT)
    again.tell(story.events)
    assert again.ask(TrialId(10)) == story.scheduler.ask(TrialId(10))
    assert again.source(TrialId(10)) == story.scheduler.source(TrialId(10)) is not None
    # A configuration of the user's own takes no copy away.
    own = TrialProposed(trial=TrialId(10), config={"x": 0.5, "n": 7})
    third = SyneTuneScheduler(SPACE, 0, PBT)
    third.tell([*story.events, own])
    third.ask(TrialId(11))
    assert third.source(TrialId(11)) == story.scheduler.source(TrialId(10))


def test_failed_trials_leave_the_model() -> None:
    """Syne Tune's ASHA keeps them, and its searchers are told nothing of them."""
    searcher = LastValues(SyneSpace(SPACE), "kde")
    places = [SyneSpace(SPACE).place(RandomSampler(SPACE, 0).ask(TrialId(n)) or {}) for n in (1, 2)]
    for number, place in enumerate(places):
        searcher.on_trial_add(number, place)
        searcher.on_trial_result(number, place, 0.5, 1.0)
    searcher.on_trial_remove(0, failed=True)
    searcher.on_trial_remove(1, failed=False)
    assert list(searcher._losses) == [1]


def test_with_botorch_the_model_proposes() -> None:
    """Under Syne Tune's own ASHA, BoTorch's searcher knows none of its trials and draws at random, always."""
    story = JobTimeline(Plan(kind="syne_asha", max_resource=27, model="botorch"), trials=8)
    for trial in range(1, 9):
        config = next(e.config for e in story.events if isinstance(e, TrialProposed) and e.trial == trial)
        story.report(trial, 1, float(str(config["x"])))
    proposed = story.scheduler.ask(TrialId(9)) or {}
    assert float(str(proposed["x"])) < 0.2


def test_several_objectives_are_ranked_by_front() -> None:
    """Syne Tune takes the numbers of the sorted rows for their ranks."""
    losses = np.array([[5.0, 5.0], [1.0, 1.0], [3.0, 3.0], [4.0, 4.0], [2.0, 2.0]])
    assert _by_fronts(losses).tolist() == [4, 0, 2, 3, 1]
    from syne_tune.optimizer.schedulers.multiobjective.multiobjective_priority import (  # noqa: PLC0415 - slow
        NonDominatedPriority,
    )

    with quiet():
        assert NonDominatedPriority()(losses).tolist() != [4, 0, 2, 3, 1]


def test_each_objective_goes_its_own_way_and_a_missing_one_is_no_comparison() -> None:
    story = JobTimeline(Plan(kind="mo_asha", max_resource=27), TWO)
    assert story.report(1, 1, 0.5, speed=10.0) is None
    assert story.report(2, 1, 0.9) is None  # an AssertionError, as it comes
    assert story.report(3, 1, 0.9, speed=1.0) is not None
    assert story.report(4, 1, 0.4, speed=math.inf) is None
    assert story.rungs()[1] == [1, 3, 4]


# How a population changes


@pytest.mark.parametrize(
    ("value", "target", "expected"), [(2, 2.4, 3), (2, 1.6, 1), (1, 0.8, 1), (99, 118.8, 99), (5, 4.0, 4)]
)
def test_whole_numbers_move_by_one_at_least(value: int, target: float, expected: int) -> None:
    assert beyond(RandInt(lower=1, upper=100), value, target) == expected


def test_changes_are_of_values_not_of_quantiles_and_stay_in_the_space() -> None:
    space = Space({"lr": LogUniform(lower=1e-4, upper=1.0), "c": Choice(values=("a", "b", "c"))})
    found = {
        float(str(Explorer(space=space, resample_probability=0.0).changed({"lr": 0.01, "c": "a"})["lr"]))
        for _ in range(40)
    }
    assert sorted(found) == pytest.approx([0.008, 0.012], rel=1e-6)
    anew = [Explorer(space=space, resample_probability=1.0).changed({"lr": 0.9, "c": "a"}) for _ in range(40)]
    assert len({config["lr"] for config in anew}) == 40
    assert {config["c"] for config in anew} == {"a", "b", "c"}
    assert all(list(space.problems(config)) == [] for config in anew)


# What is refused


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syne_models, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"'pbt' needs syne-tune, .*'trialjob\[syne-tune\]'"):
        SyneTuneScheduler(SPACE, 0, PBT)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stopping": {"kind": "bohb", "max_resource": 9}, "sampler": {"kind": "tpe"}}, "leave sampler out"),
        (
            {"stopping": {"kind": "syne_asha", "max_resource": 9}, "sampler": {"kind": "grid"}},
            "'grid' is no searcher",
        ),
        (
            {
                "stopping": {"kind": "syne_asha", "max_resource": 9},
                "sampler": {"kind": "bore", "warm_start": ["other"]},
            },
            "warm_start: is nothing for a scheduler",
        ),
        ({"stopping": {"kind": "syne_asha", "max_resource": 9, "brackets": 3}}, "brackets: 3 is more than"),
        ({"stopping": {"kind": "mo_asha", "max_resource": 9}}, "objective.others: is empty"),
        (
            {"stopping": {"kind": "pbt", "max_resource": 9, "perturbation_interval": 9}},
            "perturbation_interval: 9 must be less than",
        ),
        (
            {
                "stopping": {"kind": "pbt", "max_resource": 9, "perturbation_interval": 3},
                "limits": {"max_trials": 4},
            },
            "max_concurrent_trials: 1 is the whole population",
        ),
    ],
)
def test_impossible_combinations_are_refused(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    document: dict[str, Any] = {
        "name": "e",
        "estimator": {"kind": "script", "source_dir": str(tmp_path), "entry_point": "train.py"},
        "space": {"x": {"type": "uniform", "lower": 0, "upper": 1}},
        "objective": {"metric": "loss", "mode": "min"},
        "limits": {"max_trials": 8, "max_concurrent_trials": 4},
    }
    with pytest.raises(SpecError) as refused:
        parse({**document, **changes})
    assert words in str(refused.value)
