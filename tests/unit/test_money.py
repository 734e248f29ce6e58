"""The arithmetic of money, by literal tables; and its laws, over generated jobs."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialjob.model.money import NOTHING, Spend, Tariff, Terms, cap_micros, in_words, price_micros

_GPU = Terms(price=price_micros("1.408"), machine="ml.g5.xlarge", stop_grace=120, upload=300)


@pytest.mark.parametrize(
    ("given", "micros"),
    [("0.7364", 736_400), (0.7364, 736_400), (0.1, 100_000), ("25.2512860000", 25_251_286), ("0.0000001", 1)],
)
def test_a_price_is_read_as_it_is_written_and_rounded_up(given: float | str, micros: int) -> None:
    assert price_micros(given) == micros


@pytest.mark.parametrize(
    ("given", "micros"), [(10, 10_000_000), (0.1, 100_000), (1e-7, 0), (99.9999999, 99_999_999)]
)
def test_a_cap_is_rounded_down(given: float, micros: int) -> None:
    assert cap_micros(given) == micros


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        (0, "$0.00"),
        (1234.5, "$1,234.50"),
        (0.01, "$0.01"),
        (0.0042, "$0.004"),
        (3e-6, "$0.000003"),
        (-1, "$-1.00"),
    ],
)
def test_an_amount_that_is_not_nothing_is_not_written_as_nothing(amount: float, said: str) -> None:
    assert in_words(amount) == said


@pytest.mark.parametrize(
    ("terms", "max_runtime", "micros", "instance_ms"),
    [
        # An hour, 2 minutes of grace and 5 of upload: 4,020 s at 1.408 $/h.
        (_GPU, 3_600, 1_572_267, 4_020_000),
        # A second is asked for in whole ones: 0.2 is 1, and 421 s are billed at most.
        (_GPU, 0.2, 164_658, 421_000),
        (Terms(price=1_408_000, instances=4), 3_600, 5_632_000, 14_400_000),
        # The pool behind it: half an hour more.
        (Terms(price=1_408_000, keep_alive=1_800), 3_600, 2_112_000, 5_400_000),
        # Spot is counted as if nothing were saved.
        (Terms(price=1_408_000, spot=True), 3_600, 1_408_000, 3_600_000),
        (Terms(price=0), 3_600, 0, 3_600_000),
        # Nobody knows the price: hours are known all the same.
        (Terms(price=None, instances=2), 3_600, 0, 7_200_000),
    ],
)
def test_the_worst_case_of_a_job(terms: Terms, max_runtime: float, micros: int, instance_ms: int) -> None:
    assert terms.worst(max_runtime) == Spend(micros=micros, instance_ms=instance_ms)


@pytest.mark.parametrize(
    ("seconds", "pool_seconds", "micros"),
    [
        (0.0, 0.0, 0),
        (3_600.0, 0.0, 1_000_000),
        (1_800.0, 360.0, 600_000),
        (None, 0.0, 1_033_334),  # an hour and 120 s
        (1_800.0, None, 666_667),  # half an hour, and the pool's 600 s
        (None, None, 1_200_001),
    ],
)
def test_what_is_not_known_is_counted_at_its_worst(
    seconds: float | None, pool_seconds: float | None, micros: int
) -> None:
    terms = Terms(price=1_000_000, stop_grace=120, keep_alive=600)
    spent = terms.settled(3_600, seconds=seconds, pool_seconds=pool_seconds)
    assert spent.micros == micros


def test_the_terms_take_turns_when_there_is_no_capacity() -> None:
    spot_a, spot_b = Terms(price=1, spot=True), Terms(price=2, spot=True)
    a, b, c = (Terms(price=price) for price in (1, 2, 3))
    for_ever = Tariff(terms=(a, b, c))
    assert [for_ever.after(failures) for failures in range(7)] == [a, b, c, a, b, c, a]
    on_demand_after_2 = Tariff(terms=(spot_a, spot_b, a, b, c), repeat_from=2)
    assert [on_demand_after_2.after(failures) for failures in range(9)] == [
        spot_a, spot_b, a, b, c, a, b, c, a,
    ]  # fmt: skip


_SECONDS = st.floats(min_value=0, max_value=30 * 86_400, allow_nan=False)
_TERMS = st.builds(
    Terms,
    price=st.integers(min_value=0, max_value=200_000_000),
    instances=st.integers(min_value=1, max_value=64),
    stop_grace=st.sampled_from([0.0, 10.0, 120.0]),
    upload=st.floats(min_value=0, max_value=3_600),
    keep_alive=st.floats(min_value=0, max_value=3_600),
)


@given(_TERMS, _SECONDS, st.data())
def test_what_was_billed_within_the_limits_is_within_the_commitment(
    terms: Terms, max_runtime: float, data: st.DataObject
) -> None:
    longest = max_runtime + terms.stop_grace + terms.upload
    seconds = data.draw(st.none() | st.floats(min_value=0, max_value=longest))
    pool_seconds = data.draw(st.none() | st.floats(min_value=0, max_value=terms.keep_alive))
    spent = terms.settled(max_runtime, seconds=seconds, pool_seconds=pool_seconds)
    worst = terms.worst(max_runtime)
    assert spent.micros <= worst.micros
    assert spent.instance_ms <= worst.instance_ms


@given(_TERMS, st.lists(_SECONDS, max_size=50))
def test_a_sum_is_never_below_the_bill_and_a_micro_dollar_a_job_above_it_at_most(
    terms: Terms, runs: list[float]
) -> None:
    billed = [ceil(seconds) for seconds in runs]  # the service bills whole seconds
    total = sum((terms.of(seconds) for seconds in billed), start=NOTHING)
    exact = sum(Fraction(seconds * terms.instances * (terms.price or 0), 3_600) for seconds in billed)
    assert exact <= total.micros < exact + len(billed) or total.micros == exact == 0
