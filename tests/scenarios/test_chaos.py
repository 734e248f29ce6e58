"""Thousands of schedules of every fault, and the laws that hold after every call."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from trialjob.testing.chaos import Schedule, play
from trialjob.testing.schedules import schedules

#: ``make soak`` asks for more of them, and for others each time.
SCHEDULES = int(os.environ.get("TRIALJOB_SCHEDULES", "2000"))
SEED = int(os.environ.get("TRIALJOB_SEED", "1"))


@pytest.mark.timeout(0)
@seed(SEED)
@settings(
    max_examples=SCHEDULES,
    deadline=None,
    database=None,
    print_blob=False,
    report_multiple_bugs=False,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
@given(schedules())
def test_every_law_holds_whatever_goes_wrong(schedule: Schedule) -> None:
    play(schedule)
