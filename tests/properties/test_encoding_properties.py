from __future__ import annotations

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from trialjob.model.ids import TrialId
from trialjob.model.json import canonical_json
from trialjob.model.space import (
    Branches,
    Choice,
    Domain,
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
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core.events import TrialEnded, TrialProposed
from trialjob.orchestrator.ports import Sampler
from trialjob.orchestrator.samplers.encoding import Categories, Integers, Unit, axis_of
from trialjob.orchestrator.samplers.optuna import OptunaSampler
from trialjob.orchestrator.samplers.sobol import SobolSampler

UNIT = st.floats(0, 1, exclude_max=True)


def ends(least: float, most: float) -> st.SearchStrategy[tuple[float, float]]:
    bound = st.floats(least, most, allow_subnormal=False)
    return st.tuples(bound, bound).filter(lambda both: both[0] < both[1])


VALUES = st.none() | st.booleans() | st.integers() | st.floats(-1e9, 1e9) | st.text(max_size=5)
LISTED = st.lists(VALUES, min_size=1, max_size=5, unique_by=canonical_json).map(tuple)
SPREADS = st.tuples(st.floats(-50, 50), st.floats(0.01, 5))
QUANTA = st.sampled_from([0.1, 0.25, 1.0, 3.0])
DOMAINS: st.SearchStrategy[Domain] = st.one_of(
    ends(-1e308, 1e308).map(lambda both: Uniform(lower=both[0], upper=both[1])),
    ends(1e-300, 1e300).map(lambda both: LogUniform(lower=both[0], upper=both[1])),
    ends(0.0, 0.999).map(lambda both: ReverseLogUniform(lower=both[0], upper=both[1])),
    SPREADS.map(lambda both: Normal(mu=both[0], sigma=both[1])),
    SPREADS.map(lambda both: LogNormal(mu=both[0], sigma=both[1])),
    st.tuples(ends(-1e3, 1e3), QUANTA).map(lambda g: QUniform(lower=g[0][0], upper=g[0][1], q=g[1])),
    st.tuples(ends(0.1, 1e3), QUANTA).map(lambda g: QLogUniform(lower=g[0][0], upper=g[0][1], q=g[1])),
    st.tuples(SPREADS, QUANTA).map(lambda g: QNormal(mu=g[0][0], sigma=g[0][1], q=g[1])),
    st.tuples(st.tuples(st.floats(-3, 3), st.floats(0.1, 1)), QUANTA).map(
        lambda g: QLogNormal(mu=g[0][0], sigma=g[0][1], q=g[1])
    ),
    st.sampled_from([10, 2**40, 2**63])
    .flatmap(lambda most: st.tuples(st.integers(-most, most), st.integers(1, most)))
    .map(lambda given: RandInt(lower=given[0], upper=given[0] + given[1])),
    st.tuples(st.integers(1, 2**40), st.integers(1, 2**40)).map(
        lambda given: LogRandInt(lower=given[0], upper=given[0] + given[1])
    ),
    LISTED.map(lambda values: Choice(values=values)),
    LISTED.map(lambda values: Ordinal(values=values)),
)


@given(DOMAINS, UNIT)
def test_every_place_is_a_value_of_the_domain(domain: Domain, u: float) -> None:
    axis = axis_of(domain)
    match axis:
        case Categories():
            place = float(int(u * len(axis.values)))
        case Integers():
            place = float(axis.lower + int(u * (axis.upper - axis.lower)))
        case Unit():
            place = u
    assert domain.contains(axis.value(place))


@given(DOMAINS)
def test_a_model_may_touch_the_ends(domain: Domain) -> None:
    axis = axis_of(domain)
    if isinstance(axis, Unit):
        assert domain.contains(axis.value(0.0))
        assert domain.contains(axis.value(1.0))


@given(DOMAINS, UNIT)
def test_every_value_has_a_place_that_gives_it_back(domain: Domain, u: float) -> None:
    # A float in [0, 1) has no more than 53 digits to tell whole numbers apart.
    assume(not isinstance(domain, RandInt) or max(abs(domain.lower), abs(domain.upper)) < 2**45)
    axis, value = axis_of(domain), domain.at(u)
    place = axis.place(value)
    back = axis.value(place)
    if isinstance(axis, Unit):
        assert 0.0 <= place <= 1.0
    if domain.listed() is None and isinstance(value, float) and isinstance(back, float):
        # A real number is found again as exactly as its quantile can say it.
        most = max(abs(float(str(domain.at(end)))) for end in (0.0, 1 - 2**-53))
        assert math.isclose(back, value, rel_tol=1e-9, abs_tol=1e-9 * most)
    else:
        assert canonical_json(back) == canonical_json(value)


SPACES = st.dictionaries(st.sampled_from("abcd"), DOMAINS, min_size=1, max_size=3).map(Space)


@pytest.mark.parametrize("kind", ["tpe", "cmaes", "nsga2", "qmc", "sobol"])
@settings(max_examples=12, deadline=None)
@given(space=SPACES, nested=st.booleans())
def test_every_proposal_is_in_the_space_and_new(kind: str, space: Space, nested: bool) -> None:
    if nested:
        branches = {"with": dict(space.tree), "without": {}}
        space = Space({"top": Branches(values=tuple(branches), branches=branches)})
    sampler: Sampler = SobolSampler(space, 0) if kind == "sobol" else OptunaSampler(space, 0, kind=kind)  # type: ignore[arg-type]
    seen: set[str] = set()
    for number in range(1, 8):
        trial = TrialId(number)
        config = sampler.ask(trial)
        if config is None:
            # An uncounted space may have so few likely values that no new one is found.
            assert space.size() in (None, len(seen))
            break
        assert not list(space.problems(config))
        assert space.active({**dict.fromkeys(space.domains), **config}) == config
        assert canonical_json(config) not in seen
        seen.add(canonical_json(config))
        sampler.tell([TrialProposed(trial=trial, config=config)])
        sampler.tell([TrialEnded(trial=trial, status=TrialStatus.FAILED, reason="")])
