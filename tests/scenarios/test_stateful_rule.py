"""A stopping rule with a memory, that of the example: right over crashes, hand-over and many processes."""

from __future__ import annotations

import copy
import importlib
import json
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialjob.backends.simulator.job_script import JobScript
from trialjob.model.ids import TrialId
from trialjob.model.job import JobRequest
from trialjob.model.limits import Limits
from trialjob.model.trial import Phase, TrialStatus
from trialjob.orchestrator.core.events import Event, RungReached, TrialEnded
from trialjob.orchestrator.core.search import StoppingRule
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.engine.loop import Loop
from trialjob.orchestrator.journals.memory import MemoryJournal
from trialjob.testing.crash import Crash, Fuse
from trialjob.testing.simulation import OBJECTIVE, Simulation

#: That of the example, which is in no folder that type checkers look in.
Module: TypeAlias = Any
PACKAGE = Path(__file__).parents[2] / "examples" / "plugins" / "plateau-rule"
LIMITS = Limits(max_trials=7, max_concurrent_trials=2)
#: How long each trial is flat from its second epoch on: the fourth, which is spared, comes out of it again.
FLAT = (4, 2, 9, 4, 4, 5, 9)


@pytest.fixture(scope="module")
def plateau() -> Module:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(PACKAGE)
        return importlib.import_module("trialjob_plateau")


def rule(plateau: Module) -> StoppingRule:
    found: StoppingRule = plateau.Watching(section=plateau.Plateau(patience=3), objective=OBJECTIVE)
    return found


def course(request: JobRequest) -> JobScript:
    flat = FLAT[request.trial - 1]
    values = [0.5, 0.6, *[0.6] * flat, 0.7, 0.8][:10]
    lines = [
        (20.0 * n, "[trialjob] " + json.dumps({"seq": n, "metrics": {"epoch": n, "accuracy": value}}))
        for n, value in enumerate(values, start=1)
    ]
    return JobScript(lines=lines, runs_for=20.0 * len(values) + 5.0, start_delay=50.0 * request.trial)


def simulation(plateau: Module, **more: Any) -> Simulation:  # noqa: ANN401 - as above
    return Simulation(limits=LIMITS, rule=rule(plateau), course=course, poll_interval=40.0, **more)


def outcome(state: State) -> object:
    assert state.phase is Phase.ENDED
    return [
        (trial.config, trial.status, trial.reason, trial.curve, [each.end for each in trial.attempts])
        for trial in state.trials
    ]


def folded(plateau: Module, events: list[Event]) -> StoppingRule:
    found = rule(plateau)
    for event in events:
        found = found.after(event)
    return found


def test_what_one_trial_has_taught_lets_later_ones_go_on(plateau: Module) -> None:
    state = simulation(plateau).run()
    statuses = [trial.status for trial in state.trials]
    pruned, done = TrialStatus.PRUNED, TrialStatus.COMPLETED
    # The first and the fifth are as flat as the fourth, which came out of it; only the fifth was behind it.
    assert statuses == [pruned, done, pruned, done, done, pruned, pruned]
    reasons = [trial.reason for trial in state.trials if trial.status is pruned]
    assert [reason.rpartition("; ")[2] for reason in reasons] == [
        "3 are allowed", "3 are allowed", "4 are allowed", "4 are allowed"
    ]  # fmt: skip


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_at_any_call_changes_nothing(plateau: Module, after: bool) -> None:
    """At every third of them, that is; test_crash_everywhere has a rule without a memory at all of them."""
    fuse = Fuse()
    expected = outcome(simulation(plateau).run(fuse=fuse))
    for blows_at in range(1 + after, fuse.passed + 1, 3):
        sim = simulation(plateau)
        with pytest.raises(Crash):
            sim.run(fuse=Fuse(blows_at, after=after))
        assert outcome(sim.run()) == expected, f"crash at call {blows_at}"


def test_it_goes_on_from_another_store(plateau: Module) -> None:
    expected = outcome(simulation(plateau).run())
    sim = simulation(plateau)
    for blows_at in (40, 25, 30):
        with pytest.raises(Crash):
            sim.run(fuse=Fuse(blows_at))
        records, sim.journal = sim.journal.read(), MemoryJournal()
        sim.journal.receive(records)
    assert outcome(sim.run()) == expected


def test_two_processes_that_take_turns_remember_the_same(plateau: Module) -> None:
    expected = outcome(simulation(plateau).run())
    sim = simulation(plateau)
    steppers = [sim.stepper(), sim.stepper()]
    while steppers[0].state.phase is not Phase.ENDED:
        for stepper in steppers:
            stepper.step()
        sim.clock.sleep(40.0)
    assert outcome(sim.stepper().state) == expected


def test_the_memory_is_that_of_the_journal_at_every_record(plateau: Module) -> None:
    sim = simulation(plateau)
    stepper = sim.stepper()

    def watch(_state: State, _events: object) -> None:
        events = [event for record in sim.journal.read() for event in record.events]
        assert stepper._rule == folded(plateau, events)

    Loop(stepper, sim.clock, 40.0).run(watch)
    assert stepper._rule.longest == 4  # type: ignore[attr-defined]  # the example's


TRIALS = st.integers(1, 3).map(TrialId)
EVENTS = st.lists(
    st.one_of(
        st.builds(RungReached, trial=TRIALS, rung=st.just(1.0), value=st.floats()),
        st.builds(TrialEnded, trial=TRIALS, status=st.just(TrialStatus.COMPLETED), reason=st.just("")),
    ),
    max_size=20,
)


@given(EVENTS, st.integers(0, 20))
def test_a_memory_folded_in_parts_is_folded_whole_and_changes_nothing(
    plateau: Module, events: list[Event], cut: int
) -> None:
    begun = folded(plateau, events[:cut])
    before, went_on = copy.deepcopy(begun), begun
    for event in events[cut:]:
        went_on = went_on.after(event)
    assert went_on == folded(plateau, events)
    assert begun == before
