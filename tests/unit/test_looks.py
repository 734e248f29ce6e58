"""When the next look is made: soon after what is due, late where nothing is, and never out of bounds."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from trialjob.model.ids import TrialId
from trialjob.model.job import JobEnd, Outcome
from trialjob.model.limits import Limits
from trialjob.model.metric import Report
from trialjob.model.trial import AttemptStatus, StopKind, StopReason
from trialjob.orchestrator.core.events import (
    AttemptEnded,
    AttemptIntended,
    Event,
    ExperimentCreated,
    JobProgressed,
    JobSubmitted,
    Record,
    ReportsRead,
    RungReached,
    StopIntended,
    TrialProposed,
)
from trialjob.orchestrator.core.evolve import evolve
from trialjob.orchestrator.core.search import StoppingRule
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.engine.looks import Look, Planned, may_be_over, pauses
from trialjob.orchestrator.stopping.asha import Asha
from trialjob.orchestrator.stopping.median import MedianStopping
from trialjob.testing.histories import beginning
from trialjob.testing.simulation import NAME, OBJECTIVE, Simulation

USUAL = 10.0


def pause(state: State, now: float, usual: float) -> float:
    """Until the next look, whatever it asks for."""
    return min(pauses(state, now, usual))


class Told:
    """A state as it is told, event by event."""

    def __init__(self) -> None:
        limits = Limits(max_trials=9, max_concurrent_trials=9, trial_timeout=36_000.0)
        self.state = evolve(None, Record(version=1, at=0.0, events=(created(limits),)))

    def __call__(self, at: float, *events: Event) -> None:
        self.state = evolve(self.state, Record(version=self.state.version + 1, at=at, events=events))

    def begun(self, trial: int, at: float) -> None:
        """A job that trains."""
        self(
            at,
            TrialProposed(trial=TrialId(trial), config={}),
            AttemptIntended(trial=TrialId(trial), attempt=1, max_runtime=3600.0),
            JobSubmitted(trial=TrialId(trial), attempt=1, adopted=False),
            JobProgressed(trial=TrialId(trial), attempt=1, status=AttemptStatus.TRAINING),
        )

    def reported(self, trial: int, epoch: float, at: float, *, rung: bool = True) -> None:
        report = Report(resource=epoch, metrics={"epoch": epoch, "accuracy": 0.5}, at=at)
        entered = [RungReached(trial=TrialId(trial), rung=epoch, value=0.5)] if rung else []
        self(at, ReportsRead(trial=TrialId(trial), attempt=1, reports=(report,), cursor=""), *entered)


def created(limits: Limits) -> ExperimentCreated:
    return beginning(NAME, OBJECTIVE, limits)


def test_of_trials_that_nothing_is_known_of_the_usual_look_is_made() -> None:
    told = Told()
    assert pause(told.state, 0.0, USUAL) == USUAL
    told.begun(1, at=0.0)
    assert pause(told.state, 50.0, USUAL) == USUAL


def test_a_look_follows_soon_on_a_rung_that_is_due_by_the_trials_own_pace() -> None:
    told = Told()
    told.begun(1, at=0.0)
    for epoch, at in [(1, 100.0), (2, 160.0), (3, 220.0), (4, 280.0)]:
        told.reported(1, epoch, at)
    told.begun(2, at=300.0)
    told.reported(2, 1, at=400.0)
    told.reported(2, 2, at=500.0)
    # The first one is ahead of all others: whatever it reports decides nothing. The other is due at 600.
    assert pause(told.state, 550.0, USUAL) == 2 * USUAL
    assert 0 < 595.0 + pause(told.state, 595.0, USUAL) - 600.0 <= 4.0
    # It has become slower: it is looked for, and less and less often.
    assert pause(told.state, 603.0, USUAL) < pause(told.state, 610.0, USUAL) <= 2 * USUAL


def test_a_first_report_is_expected_when_others_made_theirs() -> None:
    told = Told()
    told.begun(1, at=0.0)
    told.reported(1, 1, at=100.0)
    told.begun(2, at=200.0)
    assert pause(told.state, 240.0, USUAL) == 2 * USUAL
    assert 0 < 296.0 + pause(told.state, 296.0, USUAL) - 300.0 <= 4.0


def test_without_rungs_every_report_may_decide_something() -> None:
    told = Told()
    told.begun(1, at=0.0)
    told.reported(1, 1, at=100.0, rung=False)
    told.reported(1, 2, at=160.0, rung=False)
    assert 0 < 216.0 + pause(told.state, 216.0, USUAL) - 220.0 <= 4.0


def test_the_end_of_a_first_job_that_is_stopped_is_nobodys_guess() -> None:
    told = Told()
    told.begun(1, at=0.0)
    told.reported(1, 1, at=100.0)
    reason = StopReason(kind=StopKind.PRUNED, detail="")
    told(100.0, StopIntended(trial=TrialId(1), attempt=1, reason=reason))
    assert pause(told.state, 130.0, USUAL) == USUAL


def test_a_look_asks_for_what_is_due_and_not_for_the_rest() -> None:
    told = Told()
    told.begun(1, at=0.0)
    told.reported(1, 1, at=100.0)
    told.reported(1, 2, at=200.0)
    reason = StopReason(kind=StopKind.PRUNED, detail="")
    told(200.0, StopIntended(trial=TrialId(1), attempt=1, reason=reason))
    end = JobEnd(outcome=Outcome.STOPPED, seconds=250.0, ended_at=250.0)
    told(252.0, AttemptEnded(trial=TrialId(1), attempt=1, end=end))
    for trial in (2, 3):
        told.begun(trial, at=300.0)
        told.reported(trial, 1, at=400.0)
    told(403.0, StopIntended(trial=TrialId(3), attempt=1, reason=reason))
    # That one is likely to be over at 453, and the other's next report is due at 500.
    planned = Planned.everything(440.0)
    asked = []
    while planned.at < 510.0:
        asked.append((planned.at, planned.look))
        planned = planned.following(told.state, planned.at, USUAL)
    soon_after = [look for at, look in asked if 453.0 < at <= 457.0]
    assert soon_after
    assert soon_after[0] == Look(lines=False, ends=True)
    assert any(look.lines for at, look in asked if 500.0 < at <= 504.0)
    # What is not due is asked for all the same, now and then.
    for times in ([at for at, look in asked if look.lines], [at for at, look in asked if look.ends]):
        assert all(later - at <= 2 * USUAL for at, later in pairwise(times))


def test_a_job_is_taken_for_over_no_sooner_than_the_quickest_one_was() -> None:
    told = Told()
    reason = StopReason(kind=StopKind.PRUNED, detail="")
    for trial, took in [(1, 30.0), (2, 50.0)]:
        told.begun(trial, at=0.0)
        told.reported(trial, 1, at=100.0)
        told(100.0, StopIntended(trial=TrialId(trial), attempt=1, reason=reason))
        # Nothing is known yet: either may be over at once.
        assert may_be_over(told.state, 101.0) == ({TrialId(trial)} if trial == 1 else set())
        end = JobEnd(outcome=Outcome.STOPPED, seconds=took, ended_at=100.0 + took)
        told(155.0, AttemptEnded(trial=TrialId(trial), attempt=1, end=end))
    for trial in (3, 4):
        told.begun(trial, at=200.0)
    told(300.0, StopIntended(trial=TrialId(3), attempt=1, reason=reason))
    assert may_be_over(told.state, 329.0) == set()
    assert may_be_over(told.state, 330.0) == {TrialId(3)}
    # A clock that was set back says nothing.
    assert may_be_over(told.state, 290.0) == {TrialId(3)}


def test_while_nothing_is_known_of_a_pace_only_lines_are_asked_for_as_usual() -> None:
    told = Told()
    told.begun(1, at=0.0)
    told.reported(1, 1, at=100.0)
    told.begun(2, at=100.0)
    assert pauses(told.state, 101.0, USUAL)[1] == 2 * USUAL


def test_the_end_of_a_job_that_is_trained_is_expected_as_those_before_it_ended() -> None:
    told = Told()
    told.begun(1, at=0.0)
    for epoch, at in [(1, 100.0), (2, 200.0), (3, 300.0)]:
        told.reported(1, epoch, at, rung=epoch == 1)
    end = JobEnd(outcome=Outcome.COMPLETED, seconds=310.0, ended_at=310.0)
    told(315.0, AttemptEnded(trial=TrialId(1), attempt=1, end=end))
    told.begun(2, at=400.0)
    told.reported(2, 1, at=500.0)
    told.reported(2, 2, at=550.0, rung=False)
    # Nothing that it reports decides anything, and its job is likely to be over at 610.
    planned = Planned.everything(560.0)
    asked = []
    while planned.at < 640.0:
        asked.append((planned.at, planned.look))
        planned = planned.following(told.state, planned.at, USUAL)
    assert any(look.ends for at, look in asked if 610.0 < at <= 617.0)
    # It has not ended, and is looked for on and on.
    assert sum(look.ends for at, look in asked if 610.0 < at <= 622.0) > 1


@pytest.mark.parametrize("rule", [Asha(max_resource=9, reduction_factor=2), MedianStopping()])
@pytest.mark.parametrize("workers", [1, 7])
@pytest.mark.parametrize("usual", [1.0, 10.0, 90.0])
def test_no_pause_is_out_of_bounds_and_the_same_state_gives_the_same(
    rule: StoppingRule, workers: int, usual: float
) -> None:
    limits = Limits(max_trials=16, max_concurrent_trials=workers, trial_timeout=3600.0, timeout=3000.0)
    simulation = Simulation(limits=limits, rule=rule, by_pace=True, poll_interval=usual)
    dice = random.Random(f"{workers}/{usual}")  # noqa: S311 - repeatable on purpose
    found: list[tuple[State, float]] = []
    simulation.run(lambda state, _events: found.append((state, simulation.clock.now())))
    assert len(found) > 10
    for state, now in found:
        # Clocks differ, and somebody may have set one.
        for at in (now, now + dice.gauss(0.0, 30.0), now + dice.choice([-1e9, -1e5, 1e5, 1e9])):
            found_at = pauses(state, at, usual)
            assert all(0.25 * usual <= seconds <= 2 * usual for seconds in found_at)
            assert pauses(state, at, usual) == found_at


def test_many_jobs_are_looked_at_as_usual() -> None:
    told = Told()
    for trial in range(1, 101):
        told.begun(trial, at=0.0)
        told.reported(trial, 1, at=100.0)
    assert pause(told.state, 130.0, USUAL) == USUAL
