"""Laws of every domain, at the extremes of what floats can say."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from trialjob.model.ids import TrialId
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
from trialjob.orchestrator.core.events import Record, TrialProposed
from trialjob.orchestrator.journals.codec import decode, encode

UNIT = st.floats(0, 1, exclude_max=True)
ENDS = UNIT | st.sampled_from([0.0, 5e-324, 1 - 2**-53])


def ranges(numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, Any]]:
    return st.tuples(numbers, numbers).filter(lambda ends: ends[0] < ends[1])


REALS = ranges(st.floats(-1e308, 1e308))
POSITIVE = ranges(st.floats(5e-324, 1e308))
WHOLE = ranges(st.integers(-(2**63), 2**63))
Q = st.floats(1e-300, 1e308) | st.sampled_from([0.1, 0.25, 1.0, 3.0, 1e-3, 32.0])
NORMAL = st.tuples(st.floats(-1e308, 1e308), st.floats(5e-324, 1e308))
SENSIBLE = st.tuples(st.floats(-50, 50), st.floats(1e-3, 5))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(-1e300, 1e300) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)
LISTS = st.lists(VALUES, min_size=1, max_size=5, unique_by=canonical_json).map(tuple)
DOMAINS: st.SearchStrategy[Domain] = st.one_of(
    REALS.map(lambda e: Uniform(lower=e[0], upper=e[1])),
    POSITIVE.map(lambda e: LogUniform(lower=e[0], upper=e[1])),
    ranges(st.floats(0, 1, exclude_max=True)).map(lambda e: ReverseLogUniform(lower=e[0], upper=e[1])),
    NORMAL.map(lambda e: Normal(mu=e[0], sigma=e[1])),
    (NORMAL | SENSIBLE).map(lambda e: LogNormal(mu=e[0], sigma=e[1])),
    st.tuples(REALS, Q).map(lambda e: QUniform(lower=e[0][0], upper=e[0][1], q=e[1])),
    st.tuples(POSITIVE, Q).map(lambda e: QLogUniform(lower=e[0][0], upper=e[0][1], q=e[1])),
    st.tuples(NORMAL | SENSIBLE, Q).map(lambda e: QNormal(mu=e[0][0], sigma=e[0][1], q=e[1])),
    st.tuples(NORMAL | SENSIBLE, Q).map(lambda e: QLogNormal(mu=e[0][0], sigma=e[0][1], q=e[1])),
    WHOLE.map(lambda e: RandInt(lower=e[0], upper=e[1])),
    ranges(st.integers(1, 2**63)).map(lambda e: LogRandInt(lower=e[0], upper=e[1])),
    LISTS.map(lambda v: Choice(values=v)),
    LISTS.map(lambda v: Ordinal(values=v)),
    LISTS.map(lambda v: Grid(values=v)),
)


@given(DOMAINS, ENDS)
def test_every_quantile_is_a_finite_value_of_the_domain(domain: Domain, u: float) -> None:
    value = domain.at(u)
    assert domain.contains(value)
    if isinstance(value, int | float):
        assert math.isfinite(value)


@given(DOMAINS, UNIT, UNIT)
def test_quantiles_never_decrease(domain: Domain, u: float, v: float) -> None:
    assume(not isinstance(domain, Choice | Ordinal | Grid))
    low, high = domain.at(min(u, v)), domain.at(max(u, v))
    assert float(str(low)) <= float(str(high))


@given(DOMAINS, UNIT)
def test_what_is_listed_is_all_there_is(domain: Domain, u: float) -> None:
    listed = domain.listed()
    if listed is not None and len(listed) < 1000:
        texts = [canonical_json(value) for value in listed]
        assert canonical_json(domain.at(u)) in texts
        assert len(set(texts)) == len(texts)
        assert all(domain.contains(value) for value in listed)


@given(DOMAINS)
def test_nothing_else_is_contained(domain: Domain) -> None:
    for value in (math.nan, math.inf, -math.inf):
        if not isinstance(domain, Choice | Ordinal | Grid):
            assert not domain.contains(value)
            assert not domain.contains(True)  # noqa: FBT003 - the value in question
            assert not domain.contains("1")
            assert not domain.contains(None)


@given(st.dictionaries(st.text(min_size=1, max_size=3), DOMAINS, min_size=1, max_size=4), st.data())
def test_configurations_survive_the_journal_and_the_hyperparameter_strings(
    tree: dict[str, Domain], data: st.DataObject
) -> None:
    space = Space(tree)
    config = space.at({name: data.draw(UNIT) for name in space.domains})
    event = TrialProposed(trial=TrialId(1), config=config)
    record = decode(encode(Record(version=1, at=0.0, events=(event,))), "")
    (read,) = record.events
    assert isinstance(read, TrialProposed)
    assert canonical_json(read.config) == canonical_json(config)
    strings = {name: json.dumps(value) for name, value in read.config.items()}
    assert {name: repr(json.loads(text)) for name, text in strings.items()} == {
        name: repr(value) for name, value in read.config.items()
    }
    assert not list(space.problems(read.config))


SMALL = st.integers(1, 3).map(lambda size: RandInt(lower=0, upper=size))


@st.composite
def trees(draw: st.DrawFn, prefix: str = "", depth: int = 2) -> dict[str, Domain]:
    tree: dict[str, Domain] = {}
    for name in draw(st.sets(st.sampled_from("abc"), min_size=0 if prefix else 1)):
        if depth and draw(st.booleans()):
            branches = {
                value: draw(trees(f"{prefix}{name}{value}.", depth - 1))
                for value in draw(st.sets(st.sampled_from("xyz"), min_size=1))
            }
            tree[prefix + name] = Branches(values=tuple(branches), branches=branches)
        else:
            tree[prefix + name] = draw(SMALL)
    return tree


@given(trees(), st.data())
def test_nested_spaces(tree: dict[str, Domain], data: st.DataObject) -> None:
    space = Space(tree)
    size = space.size()
    assert size is not None
    assume(size <= 2000)
    grid = [canonical_json(space.nth(index)) for index in range(size)]
    assert len(set(grid)) == size
    config = space.at({name: data.draw(UNIT) for name in space.domains})
    assert canonical_json(config) in grid
    assert not list(space.problems(config))
    assert space.active({name: config.get(name, 0) for name in space.domains}) == config
    part = {name: config[name] for name in list(config)[: data.draw(st.integers(0, len(config)))]}
    whole = space.complete(part, {name: data.draw(UNIT) for name in space.domains})
    assert {name: whole[name] for name in part} == part
    assert not list(space.problems(whole))
