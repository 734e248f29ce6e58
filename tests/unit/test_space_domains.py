"""The definitions of Azure ML and Hyperopt, on known quantiles."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable

import pytest

from trialjob.model.ids import TrialId
from trialjob.model.json import Json
from trialjob.model.space import (
    Branches,
    Choice,
    Config,
    Domain,
    Grid,
    LogNormal,
    LogRandInt,
    LogUniform,
    Normal,
    Ordinal,
    QLogNormal,
    QLogUniform,
    QNormal,
    QUniform,
    RandInt,
    ReverseLogUniform,
    Space,
    Uniform,
)
from trialjob.orchestrator.core.events import TrialProposed
from trialjob.orchestrator.core.search import Sampler
from trialjob.orchestrator.samplers.grid import GridSampler
from trialjob.orchestrator.samplers.initial_points import PointsFirst
from trialjob.orchestrator.samplers.random import RandomSampler


def drawn(domain: Domain, count: int = 4000) -> list[float]:
    numbers = random.Random(0)  # noqa: S311 - no secret
    return [float(str(domain.at(numbers.random()))) for _ in range(count)]


@pytest.mark.parametrize(
    ("domain", "u", "value"),
    [
        (ReverseLogUniform(lower=0.0, upper=0.99), 0.5, 0.9),
        (ReverseLogUniform(lower=0.9, upper=0.999), 0.5, 0.99),
        (Normal(mu=10, sigma=3), 0.5, 10),
        (Normal(mu=0, sigma=1), 0.8413447460685429, 1.0),
        (LogNormal(mu=0, sigma=1), 0.5, 1.0),
        (LogNormal(mu=2, sigma=0.5), 0.8413447460685429, math.exp(2.5)),
        (LogRandInt(lower=1, upper=1024), 0.5, 32),
        (QUniform(lower=0, upper=1, q=0.1), 0.31, 0.3),
        (QUniform(lower=0, upper=256, q=32), 0.26, 64),
        (QLogUniform(lower=math.exp(0), upper=math.exp(4), q=1), 0.5, 7),
        (QNormal(mu=0.32, sigma=1e-9, q=0.1), 0.5, 0.3),
        (QLogNormal(mu=math.log(0.2), sigma=1e-9, q=1), 0.5, 0),
    ],
)
def test_known_quantiles(domain: Domain, u: float, value: float) -> None:
    assert domain.at(u) == pytest.approx(value, rel=1e-12)


def test_multiples_are_written_as_people_write_them() -> None:
    listed = QUniform(lower=0, upper=1, q=0.1).listed()
    assert listed is not None
    assert [repr(value) for value in listed] == [
        *("0.0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9", "1.0")
    ]
    assert repr(QUniform(lower=32, upper=256, q=32).at(0.3)) == "96"
    assert repr(QNormal(mu=0, sigma=1e-9, q=1e-7).at(0.5)) == "0.0"


def test_half_way_cases_go_to_the_even_multiple_and_bounds_are_rounded() -> None:
    domain = QUniform(lower=2.5, upper=7.5, q=5)
    assert domain.at(0.0) == 0
    assert domain.at(1.0) == 10
    assert set(drawn(domain)) == {5}
    assert domain.contains(10)
    assert not domain.contains(15)


def test_shares_of_a_quantised_uniform() -> None:
    # Hyperopt's quniform(0, 2, 1): the two ends get half of what the middle gets.
    counts = Counter(drawn(QUniform(lower=0, upper=2, q=1)))
    assert counts[1] == pytest.approx(2000, abs=120)
    assert counts[0] == pytest.approx(1000, abs=100)


def test_moments_of_the_normal_domains() -> None:
    values = drawn(Normal(mu=5, sigma=2))
    mean = sum(values) / len(values)
    assert mean == pytest.approx(5, abs=0.1)
    assert sum((value - mean) ** 2 for value in values) / len(values) == pytest.approx(4, rel=0.1)
    logs = [math.log(value) for value in drawn(LogNormal(mu=-3, sigma=0.5))]
    assert sum(logs) / len(logs) == pytest.approx(-3, abs=0.05)


def test_whole_numbers_and_lists_keep_their_types() -> None:
    assert type(LogRandInt(lower=1, upper=9).at(0.99)) is int
    assert LogRandInt(lower=8, upper=9).at(0.0) == 8
    assert Ordinal(values=("small", "large")).at(0.9) == "large"
    assert Grid(values=(0.1, [1], None)).listed() == (0.1, [1], None)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Normal(mu=0, sigma=0), "sigma 0 must be above 0"),
        (lambda: LogNormal(mu=math.inf, sigma=1), "must both be finite"),
        (lambda: Uniform("a", 1), "lower 'a' and upper 1 must both be finite numbers"),  # type: ignore[arg-type]
        (lambda: RandInt(1.5, 3), "lower 1.5 and upper 3 must both be whole"),  # type: ignore[arg-type]
        (lambda: Choice("abc"), "values 'abc' is no list; write the values in"),
        (lambda: Choice({"adam"}), "values {'adam'} is no list"),  # type: ignore[arg-type]
        (lambda: Choice(5), "values 5 is no list"),  # type: ignore[arg-type]
        (lambda: Choice([math.nan]), "values has nan, which JSON cannot hold"),
        (lambda: Choice([range]), "values has <class 'range'>, which JSON cannot hold"),  # type: ignore[list-item]
        (lambda: ReverseLogUniform(lower=0.5, upper=1.0), "below 1 on a reverse log scale"),
        (lambda: LogRandInt(lower=0, upper=9), "above 0 on a log scale"),
        (lambda: QUniform(lower=0, upper=1, q=0), "q 0 must be above 0"),
        (lambda: QLogUniform(lower=0, upper=1, q=1), "above 0 on a log scale"),
        (lambda: RandInt(lower=3, upper=3), "the upper end is exclusive"),
        (lambda: Ordinal(values=(1, 1)), "more than once"),
    ],
)
def test_what_is_no_domain_is_refused_in_words(make: type[object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


MOMENTUM = Uniform(lower=0.0, upper=0.99)
NESTED = Space(
    {
        "lr": LogUniform(lower=1e-4, upper=1.0),
        "optimizer": Branches(
            values=("sgd", "adam", "lion"),
            branches={
                "sgd": {"momentum": MOMENTUM, "nesterov": Choice(values=(True, False))},
                "adam": {"beta1": Uniform(lower=0.8, upper=0.999)},
                "lion": {"momentum": MOMENTUM},
            },
        ),
        "batch": Choice(values=(16, 32)),
    }
)


def test_inactive_hyperparameters_are_absent_and_the_rest_is_flat() -> None:
    middle = dict.fromkeys(NESTED.domains, 0.5)
    assert list(NESTED.at({**middle, "optimizer": 0.0})) == [
        "lr",
        "optimizer",
        "momentum",
        "nesterov",
        "batch",
    ]
    assert list(NESTED.at({**middle, "optimizer": 0.5})) == ["lr", "optimizer", "beta1", "batch"]
    assert NESTED.size() is None


def test_samplers_propose_only_what_is_active() -> None:
    sampler = RandomSampler(NESTED, 0)
    configs = [sampler.ask(TrialId(number)) or {} for number in range(1, 40)]
    assert {config["optimizer"] for config in configs} == {"sgd", "adam", "lion"}
    for config in configs:
        assert ("beta1" in config) is (config["optimizer"] == "adam")
        assert not list(NESTED.problems(config))


@pytest.mark.parametrize(
    ("branches", "words"),
    [
        ({"a": {"x": MOMENTUM}, "b": {"x": Uniform(lower=0.0, upper=1.0)}}, "x has two domains in different"),
        ({"a": {"lr": MOMENTUM}}, "lr stands in the space twice"),
        ({"a": {"optimizer": MOMENTUM}}, "optimizer stands inside itself"),
        ({"a": {"x": Choice(values=(1,))}, "b": {"x": Choice(values=(True,))}}, "x has two domains"),
    ],
)
def test_a_name_has_one_meaning(branches: dict[str, dict[str, Domain]], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Space({"lr": MOMENTUM, "optimizer": Branches(values=tuple(branches), branches=branches)})


@pytest.mark.parametrize(
    ("point", "complaints"),
    [
        ({}, []),
        ({"lr": 0.1, "optimizer": "sgd", "momentum": 0.9}, []),
        ({"lr": 2.0}, [("lr", "2.0 is not in its domain")]),
        ({"lr": True, "x": 1}, [("lr", "true is not in its domain"), ("x", "is not in the space")]),
        ({"optimizer": "adam", "momentum": 0.9}, ["momentum"]),
        ({"momentum": 0.9}, ["momentum"]),
    ],
)
def test_points_are_judged_value_by_value(point: dict[str, object], complaints: list[object]) -> None:
    found = list(NESTED.problems(point))  # type: ignore[arg-type]
    assert [
        each if isinstance(want, tuple) else each[0] for each, want in zip(found, complaints, strict=True)
    ] == (complaints)


def test_points_come_first_and_what_they_leave_out_is_drawn() -> None:
    points: list[Config] = [{"optimizer": "sgd", "momentum": 0.9}, {"lr": 0.1}]

    def proposals() -> list[object]:
        sampler = PointsFirst(points, NESTED, 7, RandomSampler(NESTED, 7))
        return [sampler.ask(TrialId(number)) for number in (1, 2, 3)]

    first, second, third = proposals()
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert first["momentum"] == 0.9
    assert list(first) == ["lr", "optimizer", "momentum", "nesterov", "batch"]
    assert second["lr"] == 0.1
    assert third == RandomSampler(NESTED, 7).ask(TrialId(3))
    assert proposals() == [first, second, third]


def test_a_grid_behind_points_repeats_none_of_them() -> None:
    space = Space({"a": Grid(values=(1, 2, 3)), "b": Choice(values=(True,))})
    sampler = PointsFirst([{"a": 2}], space, 0, GridSampler(space))
    proposed = []
    for number in range(1, 6):
        config = sampler.ask(TrialId(number))
        if config is not None:
            sampler.tell([TrialProposed(trial=TrialId(number), config=config)])
        proposed.append(config and config["a"])
    assert proposed == [2, 1, 3, None, None]


@pytest.mark.parametrize("sampler", [GridSampler, lambda space: RandomSampler(space, 0)])
@pytest.mark.parametrize(("q", "point"), [(0.5, 1), (0.5, -0.0), (1, 1.0)])
def test_a_multiple_that_is_written_another_way_is_not_tried_again(
    sampler: Callable[[Space], Sampler], q: float, point: Json
) -> None:
    space = Space({"a": QUniform(0, 2 * q, q)})
    asked = PointsFirst([{"a": point}], space, 0, sampler(space))
    proposed = []
    for number in range(1, 5):
        config = asked.ask(TrialId(number))
        if config is not None:
            asked.tell([TrialProposed(trial=TrialId(number), config=config)])
            proposed.append(config["a"])
    assert proposed[0] == point
    assert sorted(map(repr, proposed)) == [repr(value) for value in space.domains["a"].listed() or ()]
