"""What a plan says: the worst case by arithmetic, the best guess by simulation, the advice."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from trialjob.backends.assumptions import NOTHING, Assumptions
from trialjob.backends.sagemaker.rates import RATES
from trialjob.backends.simulator.curves import Curve, Recorded, from_experiment, from_table
from trialjob.config.assumptions import with_assumed
from trialjob.errors import SpecError, UsageError
from trialjob.model.ids import TrialId
from trialjob.model.job import FailureKind, JobEnd, Outcome
from trialjob.model.limits import Limits
from trialjob.model.metric import Mode, Objective
from trialjob.model.money import Tariff, Terms
from trialjob.model.trial import EndKind
from trialjob.orchestrator.core.budget import next_runtime
from trialjob.orchestrator.core.events import (
    AttemptEnded,
    AttemptIntended,
    JobSubmitted,
    Record,
    TrialProposed,
)
from trialjob.orchestrator.core.evolve import evolve
from trialjob.orchestrator.core.failures import OF
from trialjob.orchestrator.samplers.random import RandomSampler
from trialjob.orchestrator.stopping.asha import Asha
from trialjob.orchestrator.stopping.hyperband import Hyperband
from trialjob.orchestrator.stopping.none import NoStopping
from trialjob.planning.advice import _bounded, advice, doubts
from trialjob.planning.estimate import SIMULATIONS, estimate, simulations
from trialjob.planning.experience import with_experience
from trialjob.planning.plan import Variant
from trialjob.planning.scale import scaled
from trialjob.planning.scenario_input import Case, Epochs
from trialjob.planning.simulated import simulate
from trialjob.planning.upper_bound import worst
from trialjob.testing.fake_aws import Durations
from trialjob.testing.histories import beginning
from trialjob.testing.sagemaker_simulation import SETTINGS, SageMakerSimulation
from trialjob.testing.simulation import OBJECTIVE, SPACE, Simulation

DOLLAR = 1_000_000
TERMS = Terms(price=DOLLAR, machine="ml.m5.large", stop_grace=120.0, upload=300.0)
CASE = Case(
    objective=OBJECTIVE,
    limits=Limits(max_trials=12, max_concurrent_trials=4, trial_timeout=3600.0),
    rule=Asha(max_resource=9),
    sampler=lambda seed: partial(RandomSampler, SPACE, seed),
    learns=False,
    tariff=Tariff(terms=(TERMS,)),
    max_wait=7200.0,
    poll_interval=10.0,
    rates=RATES,
    epochs=Epochs(count=9.0, count_from="", seconds=60.0, seconds_from=""),
    assumptions=Assumptions(),
    checkpoints=True,
)
WARM = replace(CASE, tariff=Tariff(terms=(replace(TERMS, keep_alive=240.0),)))
SPOT = replace(CASE, tariff=Tariff(terms=(replace(TERMS, spot=True),)))


def limited(case: Case, **limits: float) -> Case:
    return replace(case, limits=replace(case.limits, **limits))  # type: ignore[arg-type]


# The worst case


def test_the_worst_case_is_every_trial_at_its_longest_and_what_follows() -> None:
    found = worst(WARM)
    each = 3600 + 1 + 120 + 300 + 240
    assert found.spend.dollars == pytest.approx(12 * each / 3600, rel=1e-6)
    assert found.spend.instance_hours == pytest.approx(12 * each / 3600)
    assert found.with_retries.dollars > found.spend.dollars
    assert not found.capped


def test_a_trial_that_pauses_has_a_job_for_each_rung() -> None:
    found = worst(replace(WARM, rule=Hyperband(max_resource=9)))
    assert found.jobs_each == 3
    assert found.spend.instance_hours == pytest.approx(12 * (3600 + 3 * (1 + 120 + 300 + 240)) / 3600)


def test_jobs_that_vanish_are_in_the_worst_case_as_the_caps_count_them() -> None:
    """How long one ran is not known, so that it is counted whole, and the next has all of the time again."""
    case = limited(CASE, max_trials=1, trial_timeout=86_400.0)
    trial, gone = TrialId(1), JobEnd(outcome=Outcome.FAILED, failure=FailureKind.LOST)
    begun = (beginning("gone", OBJECTIVE, case.limits), TrialProposed(trial=trial, config={}))
    state = evolve(None, Record(version=1, at=0.0, events=begun))
    for number in range(1, OF[FailureKind.LOST].retries + 2):
        longest = next_runtime(state, state.trials[trial])
        events = (
            AttemptIntended(trial=trial, attempt=number, max_runtime=longest, terms=TERMS),
            JobSubmitted(trial=trial, attempt=number),
            AttemptEnded(trial=trial, attempt=number, end=gone),
        )
        state = evolve(state, Record(version=number + 1, at=float(number), events=events))
    committed, most = state.committed, worst(case).with_retries
    assert committed.micros == 4 * TERMS.worst(86_400.0).micros
    assert committed.micros <= most.micros
    assert committed.instance_ms <= most.instance_ms


def test_a_cap_bounds_the_worst_case() -> None:
    found = worst(limited(WARM, max_cost=5.0, max_instance_hours=3.0))
    assert (found.spend.dollars, found.spend.instance_hours, found.capped) == (5.0, 3.0, True)
    assert found.at_cap
    assert not worst(limited(WARM, max_cost=1e6)).capped
    # A cap that only retries would come to is not what the worst case without them is.
    whole = worst(WARM)
    between = (whole.spend.dollars + whole.with_retries.dollars) / 2
    found = worst(limited(WARM, max_cost=between))
    assert (found.capped, found.at_cap) == (True, False)


def test_without_a_price_hours_are_counted() -> None:
    found = worst(replace(CASE, tariff=Tariff(terms=(replace(TERMS, price=None),))))
    assert (found.spend.dollars, found.spend.instance_hours > 12) == (0.0, True)


@pytest.mark.parametrize("case", [CASE, WARM, SPOT], ids=["cold", "warm", "spot"])
@pytest.mark.parametrize("rule", [Asha(max_resource=9), Hyperband(max_resource=9), NoStopping()])
def test_no_simulated_experiment_costs_more_than_the_worst_case(case: Case, rule: object) -> None:
    hostile = replace(
        Assumptions(), interruptions_per_hour=3.0, no_capacity=0.3, capacity_wait=300.0, epoch_spread=2.0
    )
    case = replace(case, rule=rule, assumptions=hostile)  # type: ignore[arg-type]
    case = limited(case, trial_timeout=900.0)
    most = worst(case).with_retries
    for seed in range(8):
        outcome = simulate(case, seed)
        assert outcome.dollars <= most.dollars
        assert outcome.instance_hours <= most.instance_hours


# The best guess


def test_the_same_plan_twice() -> None:
    assert estimate(WARM, count=3) == estimate(WARM, count=3)


def test_without_doubt_it_is_arithmetic() -> None:
    exact = replace(NOTHING, cold_start=100.0, setup=50.0, spot_discount=0.0)
    case = replace(CASE, assumptions=exact, rule=NoStopping(), rates={})
    outcome = simulate(case, 0)
    # Three waves of four; each waits 100 s, then is set up for 50 s and trains for 540 s.
    assert outcome.instance_hours == pytest.approx(12 * 590 / 3600)
    assert outcome.time == pytest.approx(3 * 690, abs=3 * 10)
    assert (outcome.jobs, outcome.completed, outcome.epochs, outcome.end) == (12, 12, 108, EndKind.MAX_TRIALS)


def test_where_nothing_is_stopped_every_trial_makes_every_epoch_whatever_the_times_are() -> None:
    found = estimate(replace(CASE, rule=NoStopping()), count=4)
    assert (found.epochs.low, found.epochs.high) == (108, 108)


def test_a_range_holds_its_guess_and_every_outcome() -> None:
    found = estimate(WARM, count=6)
    for name in ("time", "dollars", "instance_hours", "trials", "jobs", "completed", "epochs"):
        figure = getattr(found, name)
        assert figure.low <= figure.guess <= figure.high
    assert 0 < found.warm < 1


def test_warm_machines_start_sooner_and_spot_costs_less() -> None:
    cold, warm, spot = (estimate(case, count=6) for case in (CASE, WARM, SPOT))
    assert warm.time.guess < cold.time.guess
    assert spot.dollars.guess < 0.6 * cold.dollars.guess
    assert (cold.warm, spot.warm) == (0.0, 0.0)


def test_how_long_spot_waits_for_machines_is_as_little_known_as_how_often_it_takes_them_away() -> None:
    """The waits of many jobs come to nearly the same in one world, and to another in the next."""
    quick = replace(SPOT, rule=NoStopping(), epochs=replace(SPOT.epochs, seconds=1.0))
    time = estimate(
        limited(replace(quick, assumptions=replace(NOTHING, spot_wait=120.0)), max_trials=40)
    ).time
    assert time.high > 4 * time.low


def test_a_cap_ends_a_simulated_experiment_too() -> None:
    found = estimate(limited(CASE, max_cost=3.0, trial_timeout=1200.0), count=4)
    assert found.dollars.high <= 3.0


def test_many_trials_are_simulated_less_often() -> None:
    assert simulations(CASE) == SIMULATIONS
    assert 1 < simulations(limited(CASE, max_trials=10_000)) < SIMULATIONS
    assert simulations(replace(limited(CASE, max_trials=10_000), configurations=9)) == SIMULATIONS


def test_a_small_experiment_is_simulated_as_it_is() -> None:
    case = limited(WARM, max_trials=200, max_concurrent_trials=50)
    assert (scaled(case).case, scaled(case).is_smaller) == (case, False)


@pytest.mark.parametrize("workers", [500, 5, 1, 999_999])
@pytest.mark.parametrize("trials", [10_000, 999_999])
def test_a_large_experiment_is_simulated_in_small(trials: int, workers: int) -> None:
    exact = replace(NOTHING, cold_start=100.0, setup=50.0)
    case = replace(CASE, assumptions=exact, rule=NoStopping(), rates={})
    found = estimate(limited(case, max_trials=trials, max_concurrent_trials=workers), count=1)
    assert found.scale is not None
    assert len(found.outcomes) == 1
    each = 100 + 50 + 9 * 60
    assert found.trials.guess == found.jobs.guess == trials
    assert found.epochs.guess == pytest.approx(9 * trials)
    assert found.instance_hours.guess == pytest.approx(trials * (each - 100) / 3600, rel=0.01)
    waves = math.ceil(trials / min(workers, trials))
    assert found.time.guess == pytest.approx(waves * each, rel=0.1)


def test_what_bounds_a_large_experiment_bounds_the_small_one() -> None:
    big = limited(CASE, max_trials=6_000, max_concurrent_trials=600, max_cost=100.0, timeout=6e3)
    small = scaled(big).case
    assert (small.limits.max_trials, small.limits.max_concurrent_trials) == (60, 6)
    assert small.limits.max_cost == pytest.approx(1.0)
    assert small.limits.timeout == pytest.approx(6e3)
    assert small.rates["create"] == pytest.approx(big.rates["create"] / 100)
    # A quota for few of them leaves room for as many as are simulated.
    few = scaled(replace(big, assumptions=replace(big.assumptions, training_quota=10))).case
    assert few.limits.max_concurrent_trials == 4
    assert few.assumptions.training_quota == pytest.approx(4)
    # More than are begun while one runs never run at a time.
    assert scaled(replace(big, rates={"create": 0.001})).case.limits.max_concurrent_trials == 1
    # What is not of the size stays.
    assert scaled(big).case.limits.trial_timeout == big.limits.trial_timeout


def test_the_small_one_tells_what_the_large_one_takes() -> None:
    case = limited(WARM, max_trials=300, max_concurrent_trials=30)
    found, real = estimate(case, seeds=[0, 1]), [simulate(case, seed) for seed in (0, 1)]
    for coarse, fine in zip(found.outcomes, real, strict=True):
        assert coarse.time == pytest.approx(fine.time, rel=0.35)
        assert coarse.dollars == pytest.approx(fine.dollars, rel=0.25)


def test_many_rungs_are_no_trouble() -> None:
    case = replace(
        limited(WARM, max_trials=10_000, max_concurrent_trials=500), rule=Hyperband(max_resource=1e9)
    )
    assert estimate(case, count=1).trials.guess == 10_000


def test_a_space_that_runs_out_has_fewer_trials() -> None:
    small = partial(RandomSampler, type(SPACE)({"hidden": SPACE.domains["hidden"]}))
    found = estimate(replace(CASE, sampler=lambda seed: partial(small, seed)), count=2)
    assert found.trials.guess == 3


# Earlier curves


def test_an_earlier_experiment_tells_pace_and_curves() -> None:
    state = Simulation(limits=Limits(max_trials=9, max_concurrent_trials=3)).run()
    recorded = from_experiment(state)
    assert recorded.pace == pytest.approx(60.0)
    assert recorded.end == 27
    whole = recorded.whole(27.0)
    assert len(whole) == 9
    assert all([resource for resource, _ in curve.points] == list(range(1, 28)) for curve in whole)
    for curve, trial in zip(whole, state.trials, strict=True):
        assert tuple(curve.points[: len(trial.curve)]) == trial.curve
    assert recorded.at_pace(30.0).pace == pytest.approx(30.0)
    case = replace(
        CASE, epochs=replace(CASE.epochs, count=27.0, recorded=recorded), rule=Asha(max_resource=27)
    )
    assert simulate(case, 1).epochs > 27


def test_an_earlier_experiment_tells_how_long_starts_and_stops_take(tmp_path: Path) -> None:
    world = SageMakerSimulation(
        limits=Limits(max_trials=12, max_concurrent_trials=4),
        folder=tmp_path,
        settings=replace(SETTINGS, keep_alive=240.0),
        durations=Durations(cold_start=200.0, warm_start=12.0, download=30.0, stopping=(40.0, 50.0)),
        rule=Asha(max_resource=8, reduction_factor=2),
    )
    better, said = with_experience(world.run(), Assumptions())
    assert better.cold_start == pytest.approx(200, abs=12)
    assert better.warm_start == pytest.approx(12, abs=12)
    assert better.setup == pytest.approx(10, abs=3)  # of 30 s on any machine, the plan has 10 on a warm one
    assert better.script_start == pytest.approx(20, abs=3)
    assert better.stop == pytest.approx(40, abs=12)
    assert f"stop={better.stop:g}" in said


def test_an_experiment_without_jobs_tells_nothing() -> None:
    state = Simulation(limits=Limits(max_trials=1, max_concurrent_trials=1)).run()
    assert with_experience(state, Assumptions()) == (Assumptions(), ())


def test_what_was_ended_early_goes_as_the_others_went() -> None:
    went_on = Curve(points=[(1.0, 0.1), (2.0, 0.4), (3.0, 0.5)], pace=10.0)
    stopped = Curve(points=[(1.0, 0.0)], pace=10.0)
    _, drawn = Recorded((went_on, stopped)).whole(4.0)
    assert [value for _, value in drawn.points] == pytest.approx([0.0, 0.3, 0.4, 0.4])


def test_a_table_tells_them_too() -> None:
    text = "trial,epoch,loss,seconds\n1,2,0.5,60\n1,1,0.9,30\n2,1,0.8,40\n"
    recorded = from_table(text, "old.csv", Objective(metric="loss", mode=Mode.MIN))
    assert recorded.curves == (
        Curve(points=[(1.0, 0.9), (2.0, 0.5)], pace=30.0),
        Curve(points=[(1.0, 0.8)], pace=40.0),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("trial,epoch,loss\n1,1,0.5\n", "no column seconds"),
        ("trial,epoch,loss,seconds\n1,1,good,3\n", "line 2: a cell that is no number"),
        ("trial,epoch,loss,seconds\n1,0,0.5,3\n", "above 0"),
        ("trial,epoch,loss,seconds\n", "no lines"),
        ("", "it has: none"),
    ],
)
def test_a_table_that_says_nothing_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        from_table(text, "old.csv", Objective(metric="loss", mode=Mode.MIN))


# Assumptions of the user's


def test_every_bad_assumption_is_named() -> None:
    good = with_assumed(Assumptions(), ["cold_start=5m", "spot_discount=0.5"])
    assert (good.cold_start, good.spot_discount, good.setup) == (300.0, 0.5, Assumptions().setup)
    with pytest.raises(SpecError) as error:
        with_assumed(
            Assumptions(), ["cold_strat=1", "setup=long", "spot_discount=7", "epoch_spread=0.5", "x"]
        )
    assert len(error.value.problems) == 5
    assert "cold_start" in error.value.problems[0].remedy


# What is made of it


def variant(name: str, case: Case, *, written: bool = False, count: int = 4) -> Variant:
    return Variant(
        name=name,
        written=written,
        how=f"{name}!",
        case=case,
        worst=worst(case),
        estimate=estimate(case, count=count),
    )


def test_advice_names_the_cheapest_and_the_fastest() -> None:
    three = [variant("warm pool", WARM), variant("spot", SPOT), variant("on demand", CASE, written=True)]
    said = "\n".join(advice(three))
    assert "spot is the cheapest" in said
    assert "warm pool is the fastest" in said
    assert "quota" in said
    assert list(advice(three[2:])) == []


def test_spot_without_checkpoints_is_warned_of() -> None:
    forgetful = replace(SPOT, checkpoints=False)
    assert any(
        "checkpoints" in line
        for line in advice([variant("spot", forgetful, written=True), variant("on demand", CASE)])
    )


@pytest.mark.parametrize(
    ("case", "field"),
    [
        (limited(CASE, trial_timeout=400.0), "limits.trial_timeout"),
        (limited(CASE, trial_timeout=86_400.0), "limits.trial_timeout"),
        (limited(CASE, timeout=900.0), "limits.timeout"),
        (replace(CASE, poll_interval=120.0), "backend.poll_interval"),
        (replace(WARM, tariff=Tariff(terms=(replace(TERMS, keep_alive=1.0),))), "backend.keep_alive"),
    ],
)
def test_a_choice_that_does_not_go_with_the_figures_is_doubted(case: Case, field: str) -> None:
    name = "warm pool" if field == "backend.keep_alive" else "on demand"
    assert field in [problem.field for problem in doubts(variant(name, case, written=True))]


def remedies(case: Case, field: str) -> list[str]:
    return [each.remedy for each in doubts(variant("on demand", case, written=True)) if each.field == field]


def test_a_trial_timeout_is_advised_only_where_it_helps() -> None:
    day = limited(CASE, trial_timeout=86_400.0)
    (advised,) = remedies(day, "limits.trial_timeout")
    assert re.fullmatch(r"a whole trial takes about .*: write \d+m", advised)
    short = day.limits.trial_timeout
    said = _bounded(replace(day, epochs=replace(day.epochs, seconds=short / 10)))
    assert "write" not in said
    assert said.endswith("limits.max_cost bounds it for certain")
    said = _bounded(replace(day, epochs=replace(day.epochs, count=None)))
    assert said == "lower it to what a whole trial needs, or limits.max_cost bounds it for certain"


def test_what_failed_experiments_would_have_needed_is_said_by_how_they_failed() -> None:
    written = variant("on demand", CASE, written=True)
    assert written.estimate is not None
    first, *others = written.estimate.outcomes
    for end, field in (
        (EndKind.MAX_FAILURES, "limits.max_failures"),
        (EndKind.METRIC_DEADLINE, "limits.metric_deadline"),
        (EndKind.FIRST_TRIALS, "limits.trial_timeout"),
    ):
        known = replace(written.estimate, outcomes=(replace(first, end=end), *others))
        (doubt,) = [each for each in doubts(replace(written, estimate=known)) if each.field == "limits"]
        assert doubt.message == f"1 of 4 simulated experiments ended by failures, most by {end.value}"
        assert f"raise {field}" in doubt.remedy


def test_a_sound_choice_is_not_doubted() -> None:
    assert list(doubts(variant("warm pool", limited(WARM, trial_timeout=1800.0), written=True))) == []


def test_an_experiment_that_nobody_can_simulate_still_has_a_worst_case() -> None:
    unknown = replace(CASE, epochs=Epochs(count=None, count_from="", seconds=None, seconds_from=""))
    assert math.isfinite(worst(unknown).spend.dollars)
    assert (
        list(
            doubts(
                Variant(name="spot", written=True, how="", case=unknown, worst=worst(unknown), estimate=None)
            )
        )
        == []
    )
