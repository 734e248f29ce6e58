"""Median stopping: a trial is ended when it is worse than the median of running averages.

``azure``: its best value so far against the averages of all trials over the intervals 1 to N, its own
included (https://learn.microsoft.com/azure/machine-learning/how-to-tune-hyperparameters#median-stopping-policy).
``amt``: its current value against the averages of the trials that were at the same interval before it
(https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-early-stopping.html).
``vizier``: its best value so far against the averages of the trials that have completed (Golovin et al.,
"Google Vizier: A Service for Black-Box Optimization", KDD 2017, section 3.2.2).

Worse means strictly worse. With nothing to compare with, a trial goes on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from trialjob.model.metric import Report
from trialjob.model.trial import StopKind, StopReason
from trialjob.orchestrator.core.rung import Rung
from trialjob.orchestrator.core.search import Judgement
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial
from trialjob.orchestrator.stopping.intervals import IntervalRule, best, running_averages


@dataclass(frozen=True, slots=True, kw_only=True)
class MedianStopping(IntervalRule):
    """Ends trials worse than the median of running averages: ``MedianStopping(delay_evaluation=5)``.

    As Azure ML, SageMaker's tuner (``variant="amt"``) or Vizier (Golovin et al., KDD 2017) define it. A rung
    holds the running averages up to its interval.
    """

    #: Ended when worse than the median of running averages.
    kind: ClassVar[str] = "median"
    #: Whose definition. `azure`: a trial's best value against the averages of all trials at the same
    #: interval. `amt`: its current value against the averages of those that were there before it. `vizier`:
    #: its best value against the averages of completed trials.
    variant: Literal["azure", "amt", "vizier"] = "azure"

    def judge(self, state: State, trial: Trial, report: Report) -> Judgement:
        """Enter the interval with the running average, and compare with the median there."""
        objective = state.objective
        curve = trial.curve_to(report)
        level = self.reached(curve)
        if level is None:
            return Judgement()
        average = running_averages(curve, objective)[-1]
        before = state.rungs.get(level, Rung())
        rung = before.enter(average) if self.variant == "azure" else before
        latest = self.variant == "amt"
        own = objective.key(curve[-1][1]) if latest else best(curve, objective)
        stop: StopReason | None = None
        if own < rung.median():
            what = f"{'its' if latest else 'its best'} {objective.metric} was {objective.value_of(own):g}"
            median = f"the median of {len(rung)} running averages is {objective.value_of(rung.median()):g}"
            detail = f"{what} at {objective.resource} {level:g}; {median}"
            stop = StopReason(kind=StopKind.PRUNED, detail=detail)
        if self.variant == "vizier":
            return Judgement(stop=stop)
        return Judgement(enters=((level, objective.value_of(average)),), stop=stop)

    def settle(self, state: State, trial: Trial) -> tuple[tuple[float, float], ...]:
        """For Vizier, whose averages are those of completed trials: one for each interval reached."""
        if self.variant != "vizier":
            return ()
        entered: list[tuple[float, float]] = []
        highest = -math.inf
        for place, average in enumerate(running_averages(trial.curve, state.objective)):
            level = self.reached(trial.curve, place)
            if level is not None and level > highest:
                entered.append((level, state.objective.value_of(average)))
                highest = level
        return tuple(entered)
