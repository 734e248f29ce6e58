from __future__ import annotations

from trialjob.model.limits import Limits
from trialjob.model.trial import Phase
from trialjob.orchestrator.stopping.none import NoStopping
from trialjob.testing.simulation import Simulation


def test_what_another_orchestrator_has_read_is_not_read_again() -> None:
    sim = Simulation(limits=Limits(max_trials=2, max_concurrent_trials=2), rule=NoStopping())
    steppers = [sim.stepper(), sim.stepper()]
    turn = 0
    while steppers[turn % 2].state.phase is not Phase.ENDED:
        turn += 1
        steppers[turn % 2].step()
        sim.clock.sleep(50.0)
    for trial in steppers[turn % 2].state.trials:
        assert [report.resource for report in trial.reports] == list(range(1, 28))
