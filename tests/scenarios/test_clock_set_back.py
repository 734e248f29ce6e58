"""A process whose clock was ahead and is set right in mid-experiment goes on as if nothing had been."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from trialjob.backends.sagemaker.machines import Spot
from trialjob.model.limits import Limits
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.engine.loop import Loop
from trialjob.testing.chaos_orchestrator import SkewedClock
from trialjob.testing.fake_aws import Faults
from trialjob.testing.sagemaker_checks import check
from trialjob.testing.sagemaker_simulation import SETTINGS, SageMakerSimulation

HOUR, DAY = 3600.0, 86_400.0
_KINDS = {
    "pool": replace(SETTINGS, keep_alive=240.0),
    "spot": replace(SETTINGS, spot=Spot(max_wait=HOUR, on_demand_after=1)),
}


def run(folder: Path, kind: str, set_at: int) -> tuple[SageMakerSimulation, State, float]:
    """An experiment whose clock is set after so many calls to the service, and how long it took."""
    folder.mkdir()
    faults = Faults(
        seed=1, throttle=1.0, lost_after=0.1, capacity_error=0.2, internal_server_error=0.1, quota_taken=0.2
    )
    limits = Limits(max_trials=6, max_concurrent_trials=2, trial_timeout=HOUR, max_failures=6)
    simulated = SageMakerSimulation(
        limits=limits, folder=folder, settings=_KINDS[kind], faults=faults, by_pace=True
    )
    began = simulated.clock.now()
    clock = SkewedClock(simulated.clock, DAY)
    calls = 0

    def hook(when: str, _operation: str) -> None:
        nonlocal calls
        calls += when == "before"
        if calls == set_at:
            clock.skew = 0.0

    faults.hook = hook
    stepper = simulated.stepper(clock=clock)
    state = Loop(stepper, clock, 10.0, by_pace=True).run(lambda _state, _events: None)
    return simulated, state, simulated.clock.now() - began


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("part", range(4))
def test_nothing_waits_for_what_the_clock_has_shown_before(tmp_path: Path, kind: str, part: int) -> None:
    for set_at in range(3 + part, 60, 16):
        simulated, state, took = run(tmp_path / f"{set_at}", kind, set_at)
        check(simulated, state)
        assert took < 3 * HOUR, f"set at call {set_at}, it took {took / HOUR:.1f} hours"
