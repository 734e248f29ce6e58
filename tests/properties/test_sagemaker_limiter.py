"""The token buckets: never above the rate, never idle when there is a token."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trialjob.backends.limiter import Limiter
from trialjob.backends.sagemaker.rates import RATES
from trialjob.testing.fake_aws import VirtualClock


@given(st.lists(st.floats(0, 3), max_size=60), st.sampled_from([0.5, 1.0, 2.0, 10.0]))
def test_no_window_holds_more_than_its_seconds_worth_and_a_bucket(waits: list[float], rate: float) -> None:
    clock = VirtualClock()
    limiter = Limiter(clock, {"list": rate})
    granted = []
    for wait in waits:
        clock.sleep(wait)
        if limiter.take("list"):
            granted.append(clock.now())
    for first in range(len(granted)):
        for last in range(first, len(granted)):
            assert last - first + 1 <= max(1.0, rate) + (granted[last] - granted[first]) * rate + 1e-3


@given(st.lists(st.floats(0, 0.4), max_size=30))
def test_whoever_waits_as_long_as_told_is_granted(waits: list[float]) -> None:
    clock = VirtualClock()
    limiter = Limiter(clock, {"create": 1.0})
    for wait in waits:
        clock.sleep(wait)
        limiter.take("create")
        clock.sleep(limiter.wait("create"))
        assert limiter.take("create")


def test_buckets_are_apart_and_an_unknown_operation_is_free() -> None:
    limiter = Limiter(VirtualClock(), RATES)
    assert [limiter.take("create") for _ in range(2)] == [True, False]
    assert limiter.take("stop")
    assert all(limiter.take("s3") for _ in range(100))


def test_a_throttle_of_the_service_empties_the_bucket() -> None:
    clock = VirtualClock()
    limiter = Limiter(clock, RATES)
    limiter.drain("describe")
    assert not limiter.take("describe")
    clock.sleep(0.2)
    assert limiter.take("describe")


def test_a_clock_set_back_neither_makes_nor_takes_tokens() -> None:
    clock = VirtualClock()
    limiter = Limiter(clock, RATES)
    limiter.take("create")
    clock._now -= 3600
    assert not limiter.take("create")
    clock.sleep(1)
    assert limiter.take("create")


def test_nor_does_it_make_anybody_wait_who_only_asks_how_long() -> None:
    clock = VirtualClock()
    limiter = Limiter(clock, RATES)
    limiter.take("create")
    clock._now -= 3600
    assert limiter.wait("create") == 1.0
    clock.sleep(1)
    assert limiter.wait("create") == 0.0
