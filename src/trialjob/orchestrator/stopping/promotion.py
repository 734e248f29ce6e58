"""Rules that pause trials at a rung and resume the best of them with more resource.

``Promotion`` is ASHA as it was first published: Li et al., "A System for Massively Parallel Hyperparameter
Tuning", arXiv 1810.05934, algorithm 2. Whenever a slot is free, the best paused trial is resumed that is
among the best 1 / reduction_factor of its rung, looking at the highest rung first; only when there is none, a
new trial begins. ``Hyperband`` is in a module of its own and shares what is here.

A trial is resumed as a new attempt. TRIALJOB_MAX_RESOURCE tells the script where it will be paused, and
finds what it saved in TRIALJOB_CHECKPOINT_DIR; one that saved nothing begins again and is judged the same.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from trialjob.errors import Problem
from trialjob.model.ids import TrialId
from trialjob.model.metric import Report
from trialjob.model.trial import StopKind, StopReason
from trialjob.orchestrator.core.rung import Rung, reaches
from trialjob.orchestrator.core.search import Judgement
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial
from trialjob.orchestrator.stopping.halving import HalvingRule, past


@dataclass(frozen=True, slots=True, kw_only=True)
class Pausing(HalvingRule):
    """Trials pause at the rungs, and the best of them go on."""

    def problems(self) -> Iterator[Problem]:
        """As for all, and no rung at all."""
        found = [*HalvingRule.problems(self)]
        yield from found or self._without_a_rung()

    def _without_a_rung(self) -> Iterator[Problem]:
        if self.min_resource * self.reduction_factor > self.max_resource * (1 + 1e-9):
            yield Problem(
                field="stopping.reduction_factor",
                message=f"{self.reduction_factor:g} x stopping.min_resource {self.min_resource:g} is "
                f"more than stopping.max_resource, {self.max_resource:g}, so no trial is ever compared",
                remedy="lower it or stopping.min_resource, or raise stopping.max_resource",
            )

    def rungs(self) -> tuple[float, ...]:
        return self.levels()[:-1]

    def levels(self) -> tuple[float, ...]:
        """The resources at which trials pause, and the last, at which they are complete."""
        levels: list[float] = []
        level = self.max_resource
        # From above, so that the last is max_resource; the tolerance is for quotients such as 0.1 / 0.1 / 3.
        while level >= self.min_resource * (1 - 1e-9):
            levels.append(level)
            level = self.max_resource / self.reduction_factor ** len(levels)
        return tuple(reversed(levels))

    def judge(self, state: State, trial: Trial, report: Report) -> Judgement:
        """Enter the rung the attempt was to reach, and pause there."""
        value, attempt = report.value(state.objective), trial.last
        target = None if attempt is None else attempt.resource
        if value is None or target is None or not reaches(report.resource, target):
            return Judgement()
        enters = ((target, value),) if trial.rung is None or trial.rung < target else ()
        where = f"{state.objective.resource} {target:g}"
        if self.pauses_at(target):
            return Judgement(
                enters=enters, stop=StopReason(kind=StopKind.PAUSED, detail=f"paused at {where}")
            )
        return Judgement(enters=enters, stop=past(self.max_resource, report.resource, state.objective))

    def target(self, trial: Trial) -> float | None:
        """The rung above the one it paused at; for a retry, the one it was to reach."""
        if trial.last is None:
            return self.first(trial.id)
        if trial.rung is None or trial.rung < (trial.last.resource or 0.0):
            return trial.last.resource
        return next((level for level in self.levels() if level > trial.rung), self.max_resource)

    def pauses_at(self, resource: float) -> bool:
        return resource < self.max_resource

    def first(self, trial: TrialId) -> float:  # noqa: ARG002 - for brackets it depends on the trial
        """The lowest rung of a trial."""
        return self.levels()[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion(Pausing):
    """ASHA, the promotion variant."""

    def promote(self, state: State) -> TrialId | None:
        for level in reversed(self.levels()[:-1]):
            waiting = state.paused.get(level, ())
            rung = state.rungs.get(level, Rung())
            if not waiting or waiting[-1][0] == -math.inf:
                continue
            key, number = waiting[-1]
            equal = len(rung) - rung.better_than(key) - rung.worse_than(key)
            # Of equals, those that have been resumed already come first.
            before = rung.better_than(key) + equal - (len(waiting) - bisect_left(waiting, (key, -math.inf)))
            if before < int(len(rung) / self.reduction_factor):
                return TrialId(-number)
        return None
