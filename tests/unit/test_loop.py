from __future__ import annotations

from collections.abc import Sequence

import pytest

from trialjob.model.job import JobSeen, Watch
from trialjob.model.limits import Limits
from trialjob.orchestrator.engine.loop import Loop
from trialjob.orchestrator.stopping.none import NoStopping
from trialjob.testing.crash import Fuse, FusedBackend
from trialjob.testing.simulation import Simulation


class SetClock:
    """A clock that somebody sets while it is slept by."""

    def __init__(self, sim: Simulation, *, at: float, by: float) -> None:
        self._true = sim.clock
        self._at, self._by = sim.clock.now() + at, by

    def now(self) -> float:
        return self._true.now() + (self._by if self._true.now() >= self._at else 0.0)

    def sleep(self, seconds: float) -> None:
        self._true.sleep(seconds)


class WokenClock:
    """A clock whose every sleep is cut short by half."""

    def __init__(self, sim: Simulation) -> None:
        self._true = sim.clock
        self.now = sim.clock.now

    def sleep(self, seconds: float) -> None:
        self._true.sleep(seconds / 2)


class SeenBackend(FusedBackend):
    """Keeps when it was looked at."""

    def __init__(self, sim: Simulation) -> None:
        super().__init__(sim.backend, Fuse())
        self._now = sim.clock.now
        self.at: list[float] = []

    def observe(self, watched: Sequence[Watch]) -> Sequence[JobSeen]:
        self.at.append(self._now())
        return super().observe(watched)


@pytest.mark.parametrize(("looks", "pause"), [(True, 500.0), (False, 1000.0)])
def test_a_sleep_that_is_cut_short_ends_in_a_look_where_looks_cost_nothing(looks: bool, pause: float) -> None:
    sim = Simulation(limits=Limits(max_trials=1, max_concurrent_trials=1), rule=NoStopping())
    backend = SeenBackend(sim)
    loop = Loop(sim.stepper(backend=backend), WokenClock(sim), 1000.0, looks_when_woken=looks)
    loop.run(lambda _state, _events: None)
    assert backend.at[1] - backend.at[0] == pytest.approx(pause, abs=1.0)


def test_a_clock_that_is_set_back_delays_nothing() -> None:
    limits = Limits(max_trials=4, max_concurrent_trials=2)
    undisturbed = Simulation(limits=limits, rule=NoStopping())
    undisturbed.run()
    sim = Simulation(limits=limits, rule=NoStopping())
    clock = SetClock(sim, at=300.0, by=-7200.0)
    Loop(sim.stepper(), clock, 10.0).run(lambda _state, _events: None)
    assert abs(sim.clock.now() - undisturbed.clock.now()) <= 20.0
