"""Looks that would see nothing may be left out, and nothing comes out different."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from trialjob.backends.assumptions import Assumptions
from trialjob.backends.limiter import Limiter
from trialjob.backends.sagemaker.rates import RATES
from trialjob.backends.simulator.backend import SimulatorBackend
from trialjob.backends.simulator.service import SimulatedService
from trialjob.model.limits import Limits
from trialjob.model.money import Tariff, Terms
from trialjob.orchestrator.core.events import PricesLearned, Record
from trialjob.orchestrator.core.search import StoppingRule
from trialjob.orchestrator.engine.loop import Loop
from trialjob.orchestrator.stopping.asha import Asha
from trialjob.orchestrator.stopping.hyperband import Hyperband
from trialjob.testing.simulation import Simulation, course

LIMITS = Limits(max_trials=24, max_concurrent_trials=5, trial_timeout=3600.0)
TERMS = Terms(price=1_000_000, machine="ml.m5.large")


def run(
    limits: Limits, tariff: Tariff, rule: StoppingRule, *, quietly: bool, seed: int
) -> tuple[list[Record], int]:
    """What is journaled, and how many steps it took."""
    sim = Simulation(limits=limits, rule=rule)
    sim.journal.append([PricesLearned(tariff=tariff)], after=1, at=sim.clock.now())
    assume = replace(Assumptions(), interruptions_per_hour=1.0, no_capacity=0.2)
    sim.service = SimulatedService(
        partial(course, seconds=170.0), assume, tariff=tariff, seed=seed, max_wait=3000.0
    )
    backend = SimulatorBackend(sim.service, sim.clock, Limiter(sim.clock, RATES))
    quiet_until: Callable[[], float] | None = backend.quiet_until if quietly else None
    steps: list[int] = []
    loop = Loop(sim.stepper(backend=backend), sim.clock, 10.0, quiet_until=quiet_until)
    loop.run(lambda _state, _events: steps.append(1))
    return list(sim.journal.read()), len(steps)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rule", [Asha(max_resource=9), Hyperband(max_resource=9)], ids=["asha", "hyperband"])
@pytest.mark.parametrize(
    "terms",
    [TERMS, replace(TERMS, keep_alive=240.0), replace(TERMS, spot=True)],
    ids=["cold", "warm", "spot"],
)
@pytest.mark.parametrize(
    "limits",
    [LIMITS, replace(LIMITS, timeout=4000.0), replace(LIMITS, max_cost=6.0)],
    ids=["", "timeout", "max_cost"],
)
def test_the_same_is_journaled(limits: Limits, terms: Terms, rule: StoppingRule, seed: int) -> None:
    tariff = Tariff(terms=(terms,))
    every, steps = run(limits, tariff, rule, quietly=False, seed=seed)
    some, fewer = run(limits, tariff, rule, quietly=True, seed=seed)
    assert some == every
    assert fewer < 0.8 * steps
