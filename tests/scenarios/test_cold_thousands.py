"""An experiment of 2,000 trials, each of whose steps begins with nothing but the journal in its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from trialjob.model.limits import Limits
from trialjob.model.trial import Phase
from trialjob.orchestrator.core.evolve import replay
from trialjob.orchestrator.journals.jsonl import JsonlJournal
from trialjob.orchestrator.stopping.asha import Asha
from trialjob.testing.simulation import Simulation

LIMITS = Limits(max_trials=2000, max_concurrent_trials=400)


@pytest.mark.timeout(600)
def test_2000_trials_stepped_from_cold_each_time(tmp_path: Path) -> None:
    warm = Simulation(limits=LIMITS, rule=Asha(max_resource=9), poll_interval=120.0)
    expected = warm.run()

    cold = Simulation(
        limits=LIMITS, rule=Asha(max_resource=9), poll_interval=120.0, journal=JsonlJournal(tmp_path / "cold")
    )
    steps = 0
    while True:
        stepper = cold.stepper()
        while stepper.step().more:
            pass
        steps += 1
        state = replay(JsonlJournal(tmp_path / "cold").read())
        assert state is not None
        if state.phase is Phase.ENDED:
            break
        cold.clock.sleep(cold.poll_interval)
    assert steps > 10
    assert len(state.trials) == 2000
    assert {trial.config["lr"] for trial in state.trials} == {trial.config["lr"] for trial in expected.trials}
    assert all(trial.ended and len(trial.attempts) == 1 for trial in state.trials)
