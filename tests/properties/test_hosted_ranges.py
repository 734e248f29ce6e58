"""What the tuner proposes is read back as the configuration of our own space."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialjob.backends.sagemaker.hosted.ranges import ranges, space_problems
from trialjob.in_job.hosted import configuration
from trialjob.model.json import canonical_json
from trialjob.model.space import (
    Branches,
    Choice,
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
from trialjob.testing.fake_aws.tuning_search import proposals

NESTED = Branches(
    ("sgd", "adam"),
    branches={"sgd": {"momentum": Uniform(0.0, 0.9)}, "adam": {"beta": QUniform(0.0, 1.0, 0.1)}},
)
DOMAINS: dict[str, Domain] = {
    "uniform": Uniform(-1.0, 2.0),
    "loguniform": LogUniform(1e-5, 10.0),
    "reverse": ReverseLogUniform(0.9, 0.9999),
    "normal": Normal(1.0, 2.0),
    "lognormal": LogNormal(0.0, 3.0),
    "quniform": QUniform(0.0, 1.0, 0.1),
    "qloguniform": QLogUniform(8, 512, 8),
    "qnormal": QNormal(0.0, 10.0, 0.5),
    "qlognormal": QLogNormal(0.0, 1.0, 2),
    "randint": RandInt(1, 9),
    "one": RandInt(3, 4),
    "lograndint": LogRandInt(1, 1000),
    "choice": Choice([16, 16.0, "16", None, True, {"a": [1]}]),
    "wide": Choice([*range(31)]),
    "long": Choice(["x" * 300, "y"]),
    "ordinal": Ordinal(["s", "m", "l"]),
    "grid": Grid([0.1, 0.2]),
    "optimizer": NESTED,
}


def proposed(space: Space, seed: int) -> tuple[dict[str, str], dict[str, Any]]:
    made = ranges(space)
    config = {"Strategy": "Random", "ParameterRanges": made.request, "RandomSeed": seed}
    texts = next(proposals("any", config))
    return texts, configuration(texts, json.loads(json.dumps(made.codec)))


@pytest.mark.parametrize("name", DOMAINS)
@given(seed=st.integers(0, 10_000))
def test_every_proposal_is_a_configuration_of_the_space(name: str, seed: int) -> None:
    space = Space({name: DOMAINS[name]})
    _, config = proposed(space, seed)
    assert list(space.problems(config)) == []
    assert config.keys() == space.active(dict.fromkeys(space.domains, config[name])).keys()


@pytest.mark.parametrize("name", [name for name in DOMAINS if "normal" in name or name[0] == "q"])
@given(u=st.floats(0, 1))
def test_a_quantile_means_what_it_means_to_our_own_samplers(name: str, u: float) -> None:
    made = ranges(Space({name: DOMAINS[name]}))
    value = configuration({f"trialjob_{name}": repr(u)}, made.codec)[name]
    assert canonical_json(value) == canonical_json(DOMAINS[name].at(u))


@given(data=st.data())
def test_every_listed_value_comes_back_as_it_was_written(data: st.DataObject) -> None:
    scalar = st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
    )
    values = data.draw(st.lists(scalar, min_size=1, max_size=60, unique_by=canonical_json))
    domain = data.draw(st.sampled_from([Choice, Ordinal]))(values)
    made = ranges(Space({"x": domain}))
    for place, value in enumerate(values):
        ((kind, (row,)),) = made.request.items()
        text = row["Values"][place] if kind.startswith("Categorical") else str(place)
        got = configuration({row["Name"]: text}, json.loads(json.dumps(made.codec)))["x"]
        assert canonical_json(got) == canonical_json(value)


def test_what_is_nested_is_there_with_its_parent_only() -> None:
    made = ranges(Space({"optimizer": NESTED}))
    texts = {"optimizer": '"adam"', "momentum": "0.5", "trialjob_beta": "0.31"}
    assert configuration(texts, made.codec) == {"optimizer": "adam", "beta": 0.3}
    texts["optimizer"] = '"sgd"'
    assert configuration(texts, made.codec) == {"optimizer": "sgd", "momentum": 0.5}


def test_a_name_in_two_branches_is_searched_once_and_a_coded_name_is_nobody_elses() -> None:
    both = Branches(("a", "b"), branches={"a": {"x": Normal(0.0, 1.0)}, "b": {"x": Normal(0.0, 1.0)}})
    space = Space({"kind": both, "trialjob_x": Uniform(0.0, 1.0)})
    made = ranges(space)
    names = [row["Name"] for rows in made.request.values() for row in rows]
    assert names == ["kind", "_trialjob_x", "trialjob_x"]
    texts = {"kind": '"b"', "_trialjob_x": "0.5", "trialjob_x": "0.25"}
    assert configuration(texts, made.codec) == {"kind": "b", "x": 0.0, "trialjob_x": 0.25}


def test_the_grid_takes_short_lists_and_no_nesting() -> None:
    space = Space({"n": RandInt(1, 4), "o": Ordinal(["s", "m"]), "q": QUniform(0.0, 1.0, 0.5)})
    made = ranges(space, grid=True)
    assert list(made.request) == ["CategoricalParameterRanges"]
    assert list(space_problems(space, made, grid=True)) == []
    wrong = Space({"wide": Choice([*range(31)]), "real": Uniform(0.0, 1.0), "optimizer": NESTED})
    fields = [each.field for each in space_problems(wrong, ranges(wrong, grid=True), grid=True)]
    assert fields[:2] == ["space.wide", "space.real"]
    assert fields[-1] == "space.optimizer"
