from __future__ import annotations

from trialjob.model.limits import Limits
from trialjob.orchestrator.engine.loop import Loop
from trialjob.orchestrator.stopping.none import NoStopping
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


def test_a_clock_that_is_set_back_delays_nothing() -> None:
    limits = Limits(max_trials=4, max_concurrent_trials=2)
    undisturbed = Simulation(limits=limits, rule=NoStopping())
    undisturbed.run()
    sim = Simulation(limits=limits, rule=NoStopping())
    clock = SetClock(sim, at=300.0, by=-7200.0)
    Loop(sim.stepper(), clock, 10.0).run(lambda _state, _events: None)
    assert abs(sim.clock.now() - undisturbed.clock.now()) <= 20.0
