"""What every stopping rule must do, one with a memory included.

Subclass ``RuleContract`` in a test module and give it a ``section``, which is your rule as a spec names it.
Which trials are ended is the rule's own affair; that the same is done again after a crash is not.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, is_dataclass, replace
from typing import ClassVar, cast

from trialjob.model.ids import TrialId
from trialjob.model.job import JobState
from trialjob.model.limits import Limits
from trialjob.model.metric import Objective, Report
from trialjob.orchestrator.core.decide import decide
from trialjob.orchestrator.core.events import Event, Record, RungReached, StopIntended
from trialjob.orchestrator.core.evolve import apply
from trialjob.orchestrator.core.observations import (
    JobObserved,
    Observation,
    SubmitAnswered,
    Submitted,
    Suggested,
)
from trialjob.orchestrator.core.search import BaseRule, Scheduler, StoppingRule
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.journals.codec import decode, encode
from trialjob.orchestrator.ports import Sampler
from trialjob.orchestrator.samplers.random import RandomSampler
from trialjob.testing.histories import beginning
from trialjob.testing.section_contract import SPACE, SectionContract, search_with
from trialjob.testing.simulation import OBJECTIVE as SIMULATED
from trialjob.testing.simulation import SPACE as SIMULATED_SPACE
from trialjob.testing.simulation import Simulation, course

#: Two curves that cross, one that is flat, one that recovers, one that breaks, one that is worst.
CURVES: Sequence[Sequence[float]] = (
    [0.5 + 0.03 * epoch for epoch in range(9)],
    [0.7 - 0.01 * epoch for epoch in range(9)],
    [0.6] * 9,
    [0.55, 0.5, 0.5, 0.5, 0.56, 0.57, 0.57, 0.57, 0.9],
    [0.6, math.nan, math.inf, -math.inf, 0.6, 0.61, 0.62, 0.63, 0.64],
    [0.01] * 9,
)
Step = tuple[TrialId, tuple[Report, ...]]


def _most(section: BaseRule) -> float:
    """How far a trial goes at most."""
    return getattr(section, "max_resource", None) or math.inf


def report(trial: int, epoch: int) -> Report:
    """What the trial with this number reports of an epoch."""
    values = {"acc": CURVES[trial - 1][epoch - 1], "size": float(trial)}
    return Report(resource=float(epoch), metrics=values, at=float(epoch))


TRIALS = [TrialId(number) for number in range(1, len(CURVES) + 1)]
EPOCHS = range(1, 10)
#: All trials side by side; and one after the other, by single reports and all at once.
SIDE_BY_SIDE: Sequence[Step] = [(trial, (report(trial, epoch),)) for epoch in EPOCHS for trial in TRIALS]
ONE_BY_ONE: Sequence[Step] = [(trial, (report(trial, epoch),)) for trial in TRIALS for epoch in EPOCHS]
AT_ONCE: Sequence[Step] = [(trial, tuple(report(trial, epoch) for epoch in EPOCHS)) for trial in TRIALS]


@dataclass(kw_only=True)
class Play:
    """An experiment whose jobs report what it is told; every verdict is the rule's own."""

    section: BaseRule
    objective: Objective
    #: Those of a process before this one, behind which it goes on.
    events: list[Event] = field(default_factory=list)
    #: How many events there were behind each step.
    cuts: list[int] = field(default_factory=list)
    state: State = field(init=False)
    rule: StoppingRule = field(init=False)

    def __post_init__(self) -> None:
        search = search_with("stopping", self.section, SPACE, self.objective)
        self.rule = self.section.opened(search)
        self._sampler: Sampler = RandomSampler(SPACE, 0)
        if self.section.proposes:
            self._sampler = cast("Scheduler", self.rule).sampler()
        created = beginning(
            "played", self.objective, Limits(max_trials=len(TRIALS) + 1, max_concurrent_trials=len(TRIALS))
        )
        known, self.events = self.events or [created], []
        state: State | None = None
        for event in known:
            state, self.rule = apply(state, event, 0.0), self.rule.after(event)
        assert state is not None
        self.state, self.events = state, [*known]
        self._sampler.tell(known)
        for trial in TRIALS[len(state.trials) :]:
            self.see(Suggested(config=self._sampler.ask(trial)))
            self.see(SubmitAnswered(trial=trial, attempt=1, answer=Submitted()))

    def see(self, observations: Observation) -> Sequence[Event]:
        """What follows from it."""
        decision = decide(self.state, [observations], self.rule, 0.0)
        self.state, self.rule = decision.state, decision.rule
        self.events += decision.events
        self._sampler.tell(decision.events)
        return decision.events

    def run(self, steps: Sequence[Step]) -> Play:
        """All these reports, but for those of trials that are stopped."""
        for trial, reports in steps:
            if self.state.trials[trial].attempts[0].stop is None:
                self.see(observed(trial, *reports))
            self.cuts.append(len(self.events))
        return self

    def verdicts(self) -> Sequence[Event]:
        """What the rule has said."""
        return [event for event in self.events if isinstance(event, RungReached | StopIntended)]


def observed(trial: TrialId, *reports: Report) -> JobObserved:
    return JobObserved(trial=trial, attempt=1, state=JobState.TRAINING, reports=reports, cursor="")


class RuleContract(SectionContract):
    """The suite."""

    place: ClassVar[str] = "stopping"

    def play(self, section: BaseRule, events: Sequence[Event] = ()) -> Play:
        return Play(section=section, objective=self.objective, events=[*events])

    # The section

    def test_its_rungs_ascend(self, section: BaseRule) -> None:
        rungs = section.rungs()
        assert [*rungs] == sorted(set(rungs))
        assert all(0 < rung < _most(section) for rung in rungs)

    def test_an_estimate_can_stand_in_for_it(self, section: BaseRule) -> None:
        assert not section.stand_in().proposes

    # What it says

    def test_the_same_reports_have_the_same_verdicts(self, section: BaseRule) -> None:
        first, second = (self.play(section).run(SIDE_BY_SIDE) for _ in range(2))
        assert first.events == second.events

    def test_it_does_not_matter_how_many_reports_are_read_at_once(self, section: BaseRule) -> None:
        one_by_one, at_once = self.play(section).run(ONE_BY_ONE), self.play(section).run(AT_ONCE)
        assert one_by_one.verdicts() == at_once.verdicts()

    def test_a_trial_enters_rungs_upwards(self, section: BaseRule) -> None:
        verdicts = self.play(section).run(SIDE_BY_SIDE).verdicts()
        for trial in TRIALS:
            rungs = [each.rung for each in verdicts if isinstance(each, RungReached) and each.trial == trial]
            assert rungs == sorted(set(rungs))

    def test_no_trial_is_stopped_that_has_just_come_to_max_resource(self, section: BaseRule) -> None:
        """Its script may still have a model to save."""
        most = _most(section)
        play = self.play(section)
        for trial, reports in SIDE_BY_SIDE:
            if play.state.trials[trial].attempts[0].stop is None:
                said = play.see(observed(trial, *reports))
                stops = [event for event in said if isinstance(event, StopIntended)]
                assert not stops or reports[0].resource != most

    # What it remembers

    def test_it_changes_nothing_when_it_is_asked(self, section: BaseRule) -> None:
        play = self.play(section)
        if not is_dataclass(play.rule):
            return  # it is the sampler, too, and is made anew whenever it may have heard too much
        for trial, reports in SIDE_BY_SIDE:
            before = copy.deepcopy(play.rule)
            decisions = [decide(play.state, [observed(trial, *reports)], play.rule, 0.0) for _ in range(2)]
            assert decisions[0] == decisions[1]
            assert play.rule == before
            play.run([(trial, reports)])

    def test_the_journal_makes_it_what_it_was(self, section: BaseRule) -> None:
        play = self.play(section).run(SIDE_BY_SIDE)
        if is_dataclass(play.rule):
            written = Record(version=1, at=0.0, events=tuple(play.events))
            folded = section.opened(search_with("stopping", section, SPACE, self.objective))
            for event in decode(encode(written), "here").events:
                folded = folded.after(event)
            assert folded == play.rule

    def test_a_new_process_goes_on_the_same_from_any_point(self, section: BaseRule) -> None:
        whole = self.play(section).run(SIDE_BY_SIDE)
        for done in range(1, len(SIDE_BY_SIDE), 7):
            begun = self.play(section, whole.events[: whole.cuts[done - 1]])
            assert begun.run(SIDE_BY_SIDE[done:]).events == whole.events, f"behind step {done}"

    def test_processes_that_keep_dying_come_to_the_same(self, section: BaseRule) -> None:
        expected = _outcome(self._simulation(section).run())
        for calls in (9, 14):
            state, deaths = self._simulation(section).run_dying(calls)
            assert deaths
            assert _outcome(state) == expected, f"dying at every {calls}th call"

    def _simulation(self, section: BaseRule) -> Simulation:
        others = tuple(replace(goal, metric="epoch") for goal in self.objective.others)
        objective = replace(SIMULATED, others=others)
        rule = section.opened(search_with("stopping", section, SIMULATED_SPACE, objective))
        return Simulation(
            limits=Limits(max_trials=6, max_concurrent_trials=3),
            rule=rule,
            objective=objective,
            sampler=cast("Scheduler", rule).sampler if section.proposes else None,
            course=lambda request: course(request, epochs=9),
            poll_interval=60.0,
        )


def _outcome(state: State) -> object:
    return state.reason, [
        (trial.config, trial.status, trial.reason, trial.curve, len(trial.attempts)) for trial in state.trials
    ]
