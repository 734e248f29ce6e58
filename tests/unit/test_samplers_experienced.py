from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trialjob.model.ids import TrialId
from trialjob.model.json import canonical_json
from trialjob.model.metric import Mode, Objective
from trialjob.model.space import (
    Branches,
    Choice,
    Config,
    LogNormal,
    LogRandInt,
    LogUniform,
    Ordinal,
    QUniform,
    RandInt,
    Space,
    Uniform,
)
from trialjob.orchestrator.core.events import Event, KnownResult, TrialProposed
from trialjob.orchestrator.ports import Sampler
from trialjob.orchestrator.samplers.random import ExperiencedSampler, RandomSampler

LOSS = Objective(metric="loss", mode=Mode.MIN)
LINE = Space({"x": Uniform(lower=0.0, upper=1.0)})
SPACE = Space(
    {
        "lr": LogUniform(lower=1e-4, upper=1.0),
        "hidden": LogRandInt(lower=4, upper=129),
        "size": Ordinal(values=("small", "large", None)),
        "share": QUniform(lower=0.0, upper=1.0, q=0.1),
        "weight": LogNormal(mu=0.0, sigma=3.0),
        "model": Branches(
            values=("tree", "net", "none"),
            branches={
                "tree": {"depth": RandInt(lower=1, upper=7)},
                "net": {"layers": RandInt(lower=1, upper=3), "act": Choice(values=("relu", 1, 1.0, True))},
            },
        ),
    }
)
FINITE = Space({"a": Choice(values=(1, True, "1")), "b": RandInt(lower=0, upper=2)})


def known(x: float, score: float, pruned_at: float | None = None) -> KnownResult:
    return KnownResult(config={"x": x}, score=score, pruned_at=pruned_at)


def proposed(sampler: Sampler, count: int) -> list[Config]:
    configs: list[Config] = []
    for trial in map(TrialId, range(1, count + 1)):
        config = sampler.ask(trial)
        if config is None:
            break
        configs.append(config)
        sampler.tell([TrialProposed(trial=trial, config=config)])
    return configs


def told(
    space: Space, events: Sequence[Event], seed: int = 3, objective: Objective = LOSS
) -> ExperiencedSampler:
    sampler = ExperiencedSampler(space, seed, objective)
    sampler.tell(events)
    return sampler


def near(sampler: Sampler, x: float) -> float:
    """How many of 400 are within two steps of it, on the line."""
    values = [float(str(config["x"])) for config in proposed(sampler, 400)]
    return sum(abs(value - x) < 0.2 for value in values) / len(values)


#: Half of the draws within two steps, and of the other half four tenths.
HALF = 0.5 * 0.954 + 0.5 * 0.4


def test_half_is_drawn_near_what_was_better_and_half_anywhere() -> None:
    results = [known(0.5, 0.1), known(0.1, 0.7), known(0.9, 0.8)]
    assert near(told(LINE, results), 0.5) == pytest.approx(HALF, abs=0.08)


def test_what_came_further_is_better_than_what_was_pruned() -> None:
    results = [
        known(0.1, 0.01, pruned_at=1.0),
        known(0.5, 0.9, pruned_at=9.0),
        known(0.9, 0.02, pruned_at=3.0),
    ]
    assert near(told(LINE, results), 0.5) == pytest.approx(HALF, abs=0.08)
    whole = [*results, known(0.3, math.nan), known(0.7, 2.0), known(0.1, 0.0, pruned_at=26.0)]
    values = [float(str(config["x"])) for config in proposed(told(LINE, whole), 400)]
    # The two that came to their end, of which NaN is the worse.
    assert sum(value < 0.3 for value in values) < 0.3 * 400 < sum(0.3 < value < 0.7 for value in values)


def test_more_is_better_where_it_is() -> None:
    accuracy = Objective(metric="acc", mode=Mode.MAX)
    results = [known(0.1, 0.1), known(0.5, 0.9), known(0.9, 0.2)]
    assert near(told(LINE, results, objective=accuracy), 0.5) == pytest.approx(HALF, abs=0.08)


def test_the_other_half_is_as_without_results() -> None:
    plain = proposed(RandomSampler(LINE, 3), 400)
    warm = proposed(told(LINE, [known(0.5, 0.1)]), 400)
    assert sum(a == b for a, b in zip(plain, warm, strict=True)) == pytest.approx(200, abs=40)


def test_without_results_it_is_random_search() -> None:
    assert proposed(told(SPACE, []), 20) == proposed(RandomSampler(SPACE, 3), 20)


POINTS = st.fixed_dictionaries({name: st.floats(0, 1, exclude_max=True) for name in SPACE.domains})
SCORES = st.floats() | st.sampled_from([0.0, math.nan, math.inf])


@settings(max_examples=50)
@given(
    st.lists(st.tuples(POINTS, SCORES, st.none() | st.floats(0, 100)), max_size=30),
    st.integers(0, 2**32),
    st.integers(0, 39),
)
def test_proposals_are_of_the_space_none_twice_and_a_new_process_has_the_same(
    earlier: list[tuple[dict[str, float], float, float | None]], seed: int, crash: int
) -> None:
    results = [KnownResult(config=SPACE.at(point), score=score, pruned_at=at) for point, score, at in earlier]
    configs = proposed(told(SPACE, results, seed), 40)
    for config in configs:
        assert [*SPACE.problems(config)] == []
        assert config == SPACE.active({name: config.get(name) for name in SPACE.domains})
    assert len({canonical_json(config) for config in configs}) == len(configs)
    again = told(SPACE, results, seed)
    for n, config in enumerate(configs[:crash], 1):
        again.tell([TrialProposed(trial=TrialId(n), config=config)])
    assert again.ask(TrialId(crash + 1)) == configs[crash]


@given(st.integers(0, 1000))
def test_all_of_a_finite_space_comes_once(seed: int) -> None:
    results = [KnownResult(config={"a": True, "b": 1}, score=0.5)]
    configs = proposed(told(FINITE, results, seed), 9)
    assert len({canonical_json(config) for config in configs}) == FINITE.size() == 6
