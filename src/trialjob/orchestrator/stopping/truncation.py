"""Truncation selection: at each interval the worst so many percent of the trials are ended.

Azure ML's policy of that name, described at
https://learn.microsoft.com/azure/machine-learning/how-to-tune-hyperparameters#truncation-selection-policy. A
trial is compared, when it reaches an interval, with the trials that have reached the same interval so far,
each by its best value up to there. Of equals those that came first are the worse ones: where all are at
chance, the last of them is not among the worst few percent. The leader is never ended, not even at 99
percent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Interval

from trialjob.model.metric import Report
from trialjob.model.trial import StopKind, StopReason
from trialjob.orchestrator.core.rung import Rung
from trialjob.orchestrator.core.search import Judgement
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial
from trialjob.orchestrator.stopping.intervals import IntervalRule, best


@dataclass(frozen=True, slots=True, kw_only=True)
class TruncationSelection(IntervalRule):
    """Ends the worst so many percent at each interval, as in Azure ML.

    ``TruncationSelection(truncation_percentage=20)``. A rung holds the best values up to its interval.
    """

    #: As in Azure ML: ended when among the worst `truncation_percentage` percent of those that have reached
    #: the same interval so far, rounded down, each by its best value up to there.
    kind: ClassVar[str] = "truncation"
    #: So many percent are ended at each interval: 1 to 99.
    truncation_percentage: Annotated[int, Interval(ge=1, le=99)]
    #: Compare only with trials that have not ended.
    exclude_finished_jobs: bool = False

    def judge(self, state: State, trial: Trial, report: Report) -> Judgement:
        """Enter the interval with the trial's best value, and find its place among those there."""
        objective = state.objective
        curve = trial.curve_to(report)
        level = self.reached(curve)
        if level is None:
            return Judgement()
        own = best(curve, objective)
        enters = ((level, objective.value_of(own)),)
        others = self._running(state, trial, level) if self.exclude_finished_jobs else state.rungs.get(level)
        rung = others or Rung()
        count, better = len(rung) + 1, rung.better_than(own)
        # Without a number yet it is the worst, however many others have none.
        behind = len(rung) - better if own > -math.inf else 0
        if not better or behind >= count * self.truncation_percentage // 100:
            return Judgement(enters=enters)
        detail = (
            f"only {behind} of {count} trials were not better at {objective.resource} {level:g}; "
            f"the worst {self.truncation_percentage} % are ended"
        )
        return Judgement(enters=enters, stop=StopReason(kind=StopKind.PRUNED, detail=detail))

    def _running(self, state: State, trial: Trial, level: float) -> Rung:
        """The values at ``level`` of the other trials that have not ended: as many as there are slots."""
        reached = [self.at(other.curve, level) for other in state.open_trials() if other.id != trial.id]
        return Rung(tuple(sorted(best(curve, state.objective) for curve in reached if curve is not None)))
