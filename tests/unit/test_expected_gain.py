"""When another trial is not worth its money: the forecast against what is known, and whole experiments."""

from __future__ import annotations

import random
import statistics
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialjob.model.ids import TrialId
from trialjob.model.limits import Limits
from trialjob.model.metric import TrialScore
from trialjob.model.money import Tariff, Terms
from trialjob.model.trial import EndKind, TrialStatus
from trialjob.orchestrator.core.expected_gain import ENOUGH, _expected_least, forecast, next_gain, scores_of
from trialjob.orchestrator.core.search import StoppingRule
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial
from trialjob.orchestrator.stopping.asha import Asha
from trialjob.orchestrator.stopping.hyperband import Hyperband
from trialjob.orchestrator.stopping.none import NoStopping
from trialjob.testing.simulation import Simulation

#: Sixteenths, which add up without an error.
VALUES = st.lists(st.integers(-(2**20), 2**20).map(lambda n: n / 16), min_size=4, max_size=9).map(sorted)
DOLLAR_AN_HOUR = Tariff(terms=(Terms(price=1_000_000),))
NOTHING_AN_HOUR = Tariff(terms=(Terms(price=0),))


@given(values=VALUES, data=st.data())
def test_the_least_of_some_is_the_mean_over_all_choices_of_them(
    values: list[float], data: st.DataObject
) -> None:
    size = data.draw(st.integers(1, len(values)))
    least = statistics.mean(min(chosen) for chosen in combinations(values, size))
    assert _expected_least(values, size) == pytest.approx(least, abs=1e-6)


@given(values=VALUES, factor=st.integers(1, 1000), shift=st.integers(-1000, 1000))
def test_the_forecast_has_the_objectives_units_and_is_no_loss(
    values: list[float], factor: int, shift: int
) -> None:
    gain = next_gain(values)
    assert gain >= 0.0
    other = next_gain([factor * value + shift for value in values])
    assert other == pytest.approx(factor * gain, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("count", [16, 40, 100])
def test_of_even_draws_it_is_on_average_what_the_next_brings(count: int) -> None:
    dice = random.Random(count)  # noqa: S311
    gains = [next_gain(sorted(dice.random() for _ in range(count))) for _ in range(400)]
    # The least of n numbers between 0 and 1 is 1 / (n + 1) on average.
    known = 1 / (count + 1) - 1 / (count + 2)
    assert known < statistics.mean(gains) < 1.5 * known


def test_equal_values_promise_nothing() -> None:
    assert next_gain([0.5] * 16) == 0.0


def test_what_failed_promises_nothing() -> None:
    """A regex may have found its value in what was said of an error."""
    statuses = (TrialStatus.COMPLETED, TrialStatus.FAILED, TrialStatus.RUNNING)
    trials = [
        Trial(id=TrialId(n), config={}, status=status, proposed_at=0.0, standing=TrialScore(score=float(n)))
        for n, status in enumerate(statuses, start=1)
    ]
    assert scores_of(trials) == ((1.0, 3.0), 1)


def simulated(rule: StoppingRule, least: float | None, tariff: Tariff = DOLLAR_AN_HOUR) -> Simulation:
    limits = Limits(max_trials=120, max_concurrent_trials=4, trial_timeout=7_200.0, min_gain_per_dollar=least)
    return Simulation(limits=limits, rule=rule, tariff=tariff)


def end_of(state: State) -> EndKind | None:
    return None if state.reason is None else state.reason.kind


@pytest.mark.parametrize(
    "rule",
    [NoStopping(), Asha(max_resource=27), Hyperband(max_resource=27)],
    ids=["none", "asha", "hyperband"],
)
def test_trials_are_begun_while_a_dollar_is_worth_it_and_those_that_run_go_on(rule: StoppingRule) -> None:
    sim = simulated(rule, 0.02)
    begun: list[tuple[int, bool]] = []
    state = sim.run(lambda state, _events: begun.append((len(state.trials), _is_worth_it(state))))
    assert end_of(state) is EndKind.MIN_GAIN
    assert state.reason is not None
    assert "another dollar is expected to better accuracy by 0.0" in state.reason.detail
    assert ENOUGH <= len(state.trials) < 120
    assert TrialStatus.CANCELLED not in state.counts
    # What is begun in a step was worth it as of the step before.
    for (before, worth_it), (after, _) in pairwise(begun):
        assert after == before or worth_it
    assert sim.service.running(sim.clock.now()) == 0
    assert state == sim.stepper().state


def _is_worth_it(state: State) -> bool:
    expected = forecast(state)
    return expected is None or expected.gain_per_dollar >= 0.02


def test_it_ends_the_same_whenever_its_orchestrator_dies() -> None:
    whole = simulated(Asha(max_resource=27), 0.02).run()
    state, deaths = simulated(Asha(max_resource=27), 0.02).run_dying(40)
    assert deaths > 0
    assert (end_of(state), len(state.trials)) == (end_of(whole), len(whole.trials))


@pytest.mark.parametrize(
    ("least", "tariff"), [(None, DOLLAR_AN_HOUR), (0.02, Tariff(terms=(Terms(price=0),)))]
)
def test_it_is_not_asked_or_not_known_where_nothing_costs_anything(
    least: float | None, tariff: Tariff
) -> None:
    state = simulated(Asha(max_resource=27), least, tariff).run()
    assert (end_of(state), len(state.trials)) == (EndKind.MAX_TRIALS, 120)


def test_fewer_trials_than_it_takes_to_know_are_all_begun() -> None:
    sim = simulated(NoStopping(), 1e9)
    sizes: list[int] = []
    state = sim.run(lambda state, _events: sizes.append(len(state.trials)))
    assert end_of(state) is EndKind.MIN_GAIN
    assert ENOUGH <= len(state.trials) <= ENOUGH + 4
