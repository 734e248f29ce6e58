"""A stopping rule with a memory: a trial that has not improved for a while is ended, unless others recovered.

Each report is a rung. A trial that has not improved in ``patience`` rungs is ended, unless an earlier trial
has come out of a plateau as long: then it is given as long as that one took. Every ``spare``-th trial is
never ended, so that there is somebody to learn from.

The longest plateau that any trial came out of is in no trial and no rung of the state; it is remembered.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar

from annotated_types import Ge

from trialjob.model.ids import TrialId
from trialjob.model.metric import Objective, Report
from trialjob.model.trial import StopKind, StopReason
from trialjob.orchestrator.core.events import Event, RungReached, TrialEnded
from trialjob.orchestrator.core.search import BaseRule, Judgement, Search, StoppingRule
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Plateau(BaseRule):
    """What is written under ``stopping``."""

    kind: ClassVar[str] = "plateau"
    #: A trial may go on for so many reports without a better value.
    patience: Annotated[int, Ge(1)] = 5
    #: Better is what is better by more than this.
    min_change: Annotated[float, Ge(0)] = 0.0
    #: Every so many-th trial is never ended.
    spare: Annotated[int, Ge(2)] = 4

    def opened(self, search: Search) -> StoppingRule:
        return Watching(section=self, objective=search.objective)


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What is remembered of a trial that runs: its best value, as a key, and reports since then."""

    best: float = -math.inf
    flat: int = 0

    def after(self, key: float, min_change: float) -> Course:
        return Course(best=key) if key > self.best + min_change else replace(self, flat=self.flat + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching(BaseRule):
    """The rule with what it remembers. It is a value: ``after`` gives another one."""

    section: Plateau
    objective: Objective
    #: Only of trials that run, so that each event costs the same however long the experiment is.
    courses: Mapping[TrialId, Course] = field(default_factory=dict)
    #: The longest plateau that a trial has come out of.
    longest: int = 0

    def after(self, event: Event) -> StoppingRule:
        match event:
            case RungReached(trial=trial, value=value):
                before = self.courses.get(trial, Course())
                course = before.after(self.objective.key(value), self.section.min_change)
                recovered = before.flat if course.flat == 0 else 0
                courses = {**self.courses, trial: course}
                return replace(self, courses=courses, longest=max(self.longest, recovered))
            case TrialEnded(trial=trial):
                return replace(self, courses={one: self.courses[one] for one in self.courses if one != trial})
            case _:
                return self

    def judge(self, state: State, trial: Trial, report: Report) -> Judgement:
        value = report.value(state.objective)
        if value is None:
            return Judgement()
        enters = ((report.resource, value),)
        before = self.courses.get(trial.id, Course())
        course = before.after(state.objective.key(value), self.section.min_change)
        allowed = max(self.section.patience, self.longest)
        if course.flat < allowed or trial.id % self.section.spare == 0:
            return Judgement(enters=enters)
        detail = f"no better {state.objective.metric} in {course.flat} reports; {allowed} are allowed"
        return Judgement(enters=enters, stop=StopReason(kind=StopKind.PRUNED, detail=detail))
