"""Whole experiments under each stopping rule, in virtual time, and with a crash at every call."""

from __future__ import annotations

import pytest

from trialjob.model.limits import Limits
from trialjob.model.metric import Report
from trialjob.model.space import Branches, Choice, QUniform, Space, Uniform
from trialjob.model.trial import EndKind, TrialStatus
from trialjob.orchestrator.core.search import StoppingRule
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.samplers.initial_points import PointsFirst
from trialjob.orchestrator.samplers.random import RandomSampler
from trialjob.orchestrator.stopping.bandit import Bandit
from trialjob.orchestrator.stopping.early_stop import FunctionRule
from trialjob.orchestrator.stopping.median import MedianStopping
from trialjob.orchestrator.stopping.none import NoStopping
from trialjob.orchestrator.stopping.truncation import TruncationSelection
from trialjob.testing.crash import Crash, Fuse
from trialjob.testing.simulation import Simulation, course


def behind(reports: tuple[Report, ...], best: float | None) -> bool:
    return len(reports) >= 2 and best is not None and reports[-1].metrics["accuracy"] < best - 0.3


RULES: dict[str, StoppingRule] = {
    "bandit-factor": Bandit(slack_factor=0.2, evaluation_interval=2),
    "bandit-amount": Bandit(slack_amount=0.1, delay_evaluation=3),
    "median-azure": MedianStopping(),
    "median-amt": MedianStopping(variant="amt"),
    "median-vizier": MedianStopping(variant="vizier"),
    "truncation": TruncationSelection(truncation_percentage=40),
    "truncation-running": TruncationSelection(truncation_percentage=40, exclude_finished_jobs=True),
    "early-stop": FunctionRule(name="mine:behind", function=behind),
}
EACH_RULE = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


@EACH_RULE
@pytest.mark.parametrize("workers", [1, 4, 16])
def test_every_trial_ends_and_the_best_has_run_to_its_end(rule: StoppingRule, workers: int) -> None:
    sim = Simulation(limits=Limits(max_trials=24, max_concurrent_trials=workers), rule=rule)
    state = sim.run()
    assert len(state.trials) == len(sim.service.jobs) == 24
    assert {trial.status for trial in state.trials} <= {TrialStatus.COMPLETED, TrialStatus.PRUNED}
    # One at a time, a trial has no other that runs; and of sixteen at once none has completed before them.
    alone = (1, RULES["truncation-running"]), (16, RULES["median-vizier"])
    if (workers, rule) not in alone:
        assert TrialStatus.PRUNED in {trial.status for trial in state.trials}
    best = max(state.trials, key=lambda trial: state.objective.key(trial.score or 0.0))
    assert best.status is TrialStatus.COMPLETED
    assert state == sim.stepper().state
    again = Simulation(limits=sim.limits, rule=rule).run()
    assert again == state


def outcome(sim: Simulation, state: State) -> object:
    """All that must not depend on crashes."""
    trials = [(trial.config, trial.status, trial.score, trial.reason, trial.curve) for trial in state.trials]
    return trials, state.reason, state.rungs, sorted(sim.service.jobs), sim.clock.now()


def crashing(rule: StoppingRule) -> Simulation:
    return Simulation(
        limits=Limits(max_trials=5, max_concurrent_trials=2),
        rule=rule,
        course=lambda request: course(request, epochs=4),
        poll_interval=40.0,
    )


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@EACH_RULE
def test_a_crash_at_any_call_changes_no_verdict(rule: StoppingRule, after: bool) -> None:
    sim, fuse = crashing(rule), Fuse()
    expected = outcome(sim, sim.run(fuse=fuse))
    for blows_at in range(1, fuse.passed + 1):
        sim = crashing(rule)
        with pytest.raises(Crash):
            sim.run(fuse=Fuse(blows_at, after=after))
        assert outcome(sim, sim.run()) == expected, f"crash at call {blows_at}"


@pytest.mark.parametrize("workers", [1, 4])
def test_a_target_ends_it_and_cancels_what_runs(workers: int) -> None:
    limits = Limits(max_trials=50, max_concurrent_trials=workers, target=0.9)
    sim = Simulation(limits=limits, rule=NoStopping())
    state = sim.run()
    assert state.reason is not None
    assert state.reason.kind is EndKind.TARGET
    assert max(trial.score or 0.0 for trial in state.trials) >= 0.9
    assert len(state.trials) < 50
    assert sim.service.running(sim.clock.now()) == 0


def test_no_improvement_ends_it() -> None:
    limits = Limits(max_trials=50, max_concurrent_trials=2, max_trials_without_improvement=4)
    sim = Simulation(limits=limits, rule=NoStopping(), course=lambda request: course(request, epochs=2))
    state = sim.run()
    assert state.reason is not None
    assert state.reason.kind is EndKind.NO_IMPROVEMENT
    assert len(state.trials) < 50
    assert sim.service.running(sim.clock.now()) == 0


def test_a_rule_that_cannot_judge_ends_it() -> None:
    sim = Simulation(
        limits=Limits(max_trials=9, max_concurrent_trials=3),
        rule=Bandit(slack_factor=0.2),
        space=Space({"lr": Uniform(lower=5.0, upper=9.0), "hidden": Choice(values=(16,))}),
    )
    state = sim.run()
    assert state.reason is not None
    assert state.reason.kind is EndKind.STOPPING_RULE
    assert "slack_amount" in state.reason.detail
    assert sim.service.running(sim.clock.now()) == 0


def test_a_nested_space_with_points_runs_to_its_end_and_again_the_same() -> None:
    space = Space(
        {
            "lr": Uniform(lower=0.0, upper=1.0),
            "hidden": Branches(
                values=("16", "32"),
                branches={"16": {"drop": QUniform(lower=0, upper=0.5, q=0.1)}, "32": {}},
            ),
        }
    )

    def simulation() -> Simulation:
        return Simulation(
            limits=Limits(max_trials=12, max_concurrent_trials=3),
            space=space,
            sampler=lambda: PointsFirst([{"lr": 0.3}], space, 1, RandomSampler(space, 1)),
        )

    state = simulation().run()
    assert next(iter(state.trials)).config["lr"] == 0.3
    for trial in state.trials:
        assert ("drop" in trial.config) is (trial.config["hidden"] == "16")
    assert simulation().run() == state
