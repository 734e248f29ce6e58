"""Looks that are made when they are worth one lose nothing, see it sooner, and take no more calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest

from trialjob.model.ids import JobName
from trialjob.model.limits import Limits
from trialjob.orchestrator.core.events import Event
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.engine.loop import Loop
from trialjob.orchestrator.stopping.asha import Asha
from trialjob.testing.crash import Crash, Fuse
from trialjob.testing.fake_aws import Durations, Faults, VirtualClock
from trialjob.testing.sagemaker_checks import check
from trialjob.testing.sagemaker_simulation import SETTINGS, SageMakerSimulation
from trialjob.testing.simulation import Simulation

LIMITS = Limits(max_trials=12, max_concurrent_trials=4, trial_timeout=3600.0, max_failures=12)
RULE = Asha(max_resource=8, reduction_factor=2)


def simulation(folder: Path, faults: Faults, *, by_pace: bool = True) -> SageMakerSimulation:
    return SageMakerSimulation(
        limits=LIMITS,
        folder=folder,
        rule=RULE,
        faults=faults,
        durations=Durations.hard_day(),
        settings=replace(SETTINGS, keep_alive=240.0),
        by_pace=by_pace,
        # Floats of today's seconds are coarse enough to have a call in time seem too early.
        clock=VirtualClock(1e6),
    )


def run(simulated: SageMakerSimulation) -> State:
    steps = 0

    def watch(_state: State, _events: Sequence[Event]) -> None:
        nonlocal steps
        steps += 1
        assert steps < 4000, "it does not come to an end"

    return simulated.run(watch)


@pytest.mark.parametrize("seed", range(2))
def test_with_every_fault_at_once(tmp_path: Path, seed: int) -> None:
    simulated = simulation(tmp_path, Faults.everything(seed, now=1e6))
    simulated.options = {"log_settle": 30.0}
    check(simulated, run(simulated))


@pytest.mark.parametrize("every", [13, 29])
def test_killed_again_and_again(tmp_path: Path, every: int) -> None:
    faults = Faults.hard_day()
    simulated = simulation(tmp_path, faults)
    calls = 0

    def hook(when: str, _operation: str) -> None:
        nonlocal calls
        calls += when == "after"
        if when == "after" and calls % every == 0:
            calls += 1  # a fixed rhythm could be that of the calls
            raise Crash

    faults.hook = hook
    deaths = 0
    while True:
        try:
            state = run(simulated)
            break
        except Crash:
            deaths += 1
            assert deaths < 1000, "it does not come to an end"
            simulated.clock.sleep(7.0)
    faults.hook = None
    check(simulated, state)
    assert deaths > 3


def reactions(simulated: SageMakerSimulation) -> list[float]:
    """How long after a job's last report somebody asked for its end."""
    stops = [call for call in simulated.service.ledger.calls if call.operation == "StopTrainingJob"]
    return [
        call.at - max(line.timestamp / 1000 for line in lines if line.timestamp / 1000 <= call.at)
        for call in stops
        if (lines := simulated.service.lines(f"{JobName(call.subject)}/"))
    ]


def test_it_is_sooner_and_takes_no_more_calls(tmp_path: Path) -> None:
    found = {}
    for by_pace in (False, True):
        folder = tmp_path / f"{by_pace}"
        folder.mkdir()
        simulated = simulation(folder, Faults.hard_day(), by_pace=by_pace)
        check(simulated, run(simulated))
        found[by_pace] = (median(reactions(simulated)), len(simulated.service.ledger.calls))
    usual, paced = found[False], found[True]
    assert paced[0] < 0.8 * usual[0]
    assert paced[1] <= 1.1 * usual[1]


def outcome(simulated: Simulation, state: State) -> object:
    trials = [(trial.id, trial.status, trial.score, trial.resource, trial.reason) for trial in state.trials]
    return trials, state.reason, state.rungs, sorted(simulated.service.jobs)


def simulated_service() -> Simulation:
    limits = Limits(max_trials=7, max_concurrent_trials=3)
    return Simulation(limits=limits, rule=Asha(max_resource=9), keep_alive=240.0, by_pace=True)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_at_any_call_changes_nothing(after: bool) -> None:
    whole = simulated_service()
    fuse = Fuse()
    expected = outcome(whole, whole.run(fuse=fuse))
    for blows_at in range(1, fuse.passed + 1, 5):
        dies = simulated_service()
        with pytest.raises(Crash):
            dies.run(fuse=Fuse(blows_at, after=after))
        assert outcome(dies, dies.run()) == expected, f"crash at call {blows_at}"


def test_looks_that_see_nothing_may_be_left_out() -> None:
    journals = []
    for quietly in (False, True):
        simulated = simulated_service()
        quiet_until = simulated.backend.quiet_until if quietly else None  # type: ignore[attr-defined]
        loop = Loop(simulated.stepper(), simulated.clock, 10.0, by_pace=True, quiet_until=quiet_until)
        loop.run(lambda _state, _events: None)
        journals.append(list(simulated.journal.read()))
    assert journals[0] == journals[1]
