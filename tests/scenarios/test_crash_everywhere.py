"""The process dies at every journal append and every backend call in turn, before and after the effect."""

from __future__ import annotations

import pytest

from trialjob.model.limits import Limits
from trialjob.model.trial import EndKind, EndReason, Phase
from trialjob.orchestrator.core.events import ExperimentEnding
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.stopping.asha import Asha
from trialjob.testing.crash import Crash, Fuse
from trialjob.testing.simulation import Simulation

LIMITS = Limits(max_trials=9, max_concurrent_trials=3)


def simulation() -> Simulation:
    return Simulation(limits=LIMITS, rule=Asha(max_resource=9), poll_interval=20.0, keep_alive=240.0)


def outcome(sim: Simulation, state: State) -> object:
    """All that must not depend on crashes: everything but how often the journal was written."""
    trials = [
        (
            trial.id,
            trial.config,
            trial.status,
            trial.score,
            trial.resource,
            trial.reason,
            [report.resource for report in trial.reports],
            [(attempt.number, attempt.end) for attempt in trial.attempts],
        )
        for trial in state.trials
    ]
    pools = sim.service.pools(sim.clock.now())
    return trials, state.reason, state.rungs, sorted(sim.service.jobs), pools


def run_with_crash(blows_at: int, *, after: bool) -> tuple[object, float]:
    sim = simulation()
    with pytest.raises(Crash):
        sim.run(fuse=Fuse(blows_at, after=after))
    return outcome(sim, sim.run()), sim.clock.now()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("part", range(4))
def test_a_crash_at_any_call_changes_nothing(part: int, after: bool) -> None:
    sim = simulation()
    fuse = Fuse()
    expected = outcome(sim, sim.run(fuse=fuse))
    assert fuse.passed > 100

    for blows_at in range(1 + part, fuse.passed + 1, 4):
        found, ended_at = run_with_crash(blows_at, after=after)
        assert found == expected, f"crash at call {blows_at}"
        # A new process looks at once, so the last bill may be known a little earlier; never later.
        assert ended_at <= sim.clock.now(), f"crash at call {blows_at}"


@pytest.mark.parametrize("calls_between_crashes", [2, 3, 5, 8])
def test_a_process_that_keeps_dying_gets_there(calls_between_crashes: int) -> None:
    sim = simulation()
    # Time does not stand still while nobody steps.
    state, deaths = sim.run_dying(calls_between_crashes, away=7.0)
    assert deaths > 10
    assert state.phase is Phase.ENDED
    assert len(state.trials) == LIMITS.max_trials
    assert len(sim.service.jobs) == LIMITS.max_trials


@pytest.mark.parametrize("blows_at", range(1, 30))
def test_stop_is_carried_out_whatever_crashes(blows_at: int) -> None:
    sim = simulation()
    stepper = sim.stepper()
    for _ in range(20):
        stepper.step()
        sim.clock.sleep(sim.poll_interval)
    asked = ExperimentEnding(reason=EndReason(kind=EndKind.STOPPED, detail="stopped by the user"))
    sim.journal.append([asked], after=stepper.state.version, at=sim.clock.now())

    try:
        sim.run(fuse=Fuse(blows_at, after=blows_at % 2 == 0))
    except Crash:
        sim.run()

    state = sim.stepper().state
    assert state.phase is Phase.ENDED
    assert sim.service.running(sim.clock.now()) == 0
    assert sim.service.pools(sim.clock.now()) == 0
    assert not state.open
