from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialjob.model.json import canonical_json
from trialjob.model.space import Choice, Domain, LogUniform, RandInt, Space, Uniform

UNIT = st.floats(0, 1, exclude_max=True)
REALS = st.tuples(st.floats(-1e308, 1e308), st.floats(-1e308, 1e308)).filter(lambda ends: ends[0] < ends[1])
POSITIVE = st.tuples(st.floats(1e-308, 1e308), st.floats(1e-308, 1e308)).filter(
    lambda ends: ends[0] < ends[1]
)
VALUES = st.none() | st.booleans() | st.integers() | st.floats(-1e9, 1e9) | st.text(max_size=5)
DOMAINS: st.SearchStrategy[Domain] = st.one_of(
    REALS.map(lambda ends: Uniform(lower=ends[0], upper=ends[1])),
    POSITIVE.map(lambda ends: LogUniform(lower=ends[0], upper=ends[1])),
    st.tuples(st.integers(-(2**63), 2**63), st.integers(1, 2**63)).map(
        lambda given: RandInt(lower=given[0], upper=given[0] + given[1])
    ),
    st.lists(VALUES, min_size=1, max_size=5, unique_by=canonical_json).map(lambda v: Choice(values=tuple(v))),
)


@given(DOMAINS, UNIT)
def test_every_quantile_is_in_the_domain(domain: Domain, u: float) -> None:
    assert domain.contains(domain.at(u))


@given(DOMAINS)
def test_both_ends_are_in_the_domain(domain: Domain) -> None:
    assert domain.contains(domain.at(0.0))
    assert domain.contains(domain.at(1 - 2**-53))


@given(st.dictionaries(st.text(max_size=3), st.integers(1, 4), min_size=1, max_size=3))
def test_a_grid_lists_each_configuration_once(sizes: dict[str, int]) -> None:
    space = Space({name: RandInt(lower=0, upper=size) for name, size in sizes.items()})
    size = space.size() or 0
    grid = [canonical_json(space.nth(index)) for index in range(size)]
    assert len(grid) == len(set(grid)) == math.prod(sizes.values())
    with pytest.raises(IndexError):
        space.nth(size)
