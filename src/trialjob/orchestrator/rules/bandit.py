"""Bandit: a trial is ended when its best value falls behind the best of all by more than a slack.

Azure ML's policy of that name, described at
https://learn.microsoft.com/azure/machine-learning/how-to-tune-hyperparameters#bandit-policy. When more is
better a trial is ended below ``best / (1 + slack_factor)`` or ``best - slack_amount``; when less is better,
above ``best * (1 + slack_factor)`` or ``best + slack_amount``. ``best`` is the best value that any trial had
at the same interval. The leader is never ended.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from trialjob.model.metric import Mode, Objective, Report
from trialjob.model.trial import StopKind, StopReason
from trialjob.orchestrator.core.rule import Judgement, PlainRule
from trialjob.orchestrator.core.state import Rung, State, Trial
from trialjob.orchestrator.rules.intervals import Intervals, best


@dataclass(frozen=True, slots=True, kw_only=True)
class Bandit(PlainRule):
    """One of ``slack_factor`` and ``slack_amount`` is given."""

    slack_factor: float | None = None
    slack_amount: float | None = None
    intervals: Intervals = field(default_factory=Intervals)

    def judge(self, state: State, trial: Trial, report: Report) -> Judgement:
        """Enter the interval with the trial's best value, and compare it with the best there."""
        objective = state.objective
        curve = trial.curve_to(report)
        level = self.intervals.reached(curve)
        if level is None:
            return Judgement()
        own = best(curve, objective)
        leader = max(own, state.rungs.get(level, Rung()).best())
        enters = ((level, objective.value_of(own)),)
        if leader == -math.inf:
            return Judgement(enters=enters)
        if self.slack_factor is not None and objective.value_of(leader) < 0:
            return Judgement(enters=enters, refusal=self._refusal(objective, objective.value_of(leader)))
        allowed = self._allowed(objective, leader)
        if own >= allowed:
            return Judgement(enters=enters)
        detail = (
            f"{objective.metric} was {objective.value_of(own):g} at {objective.resource} {level:g}; "
            f"the best there, {objective.value_of(leader):g}, allows {objective.value_of(allowed):g}"
        )
        return Judgement(enters=enters, stop=StopReason(kind=StopKind.PRUNED, detail=detail))

    def _allowed(self, objective: Objective, leader: float) -> float:
        """The worst key that may go on."""
        if self.slack_factor is None:
            return leader - (self.slack_amount or 0.0)
        ratio = 1.0 + self.slack_factor
        return leader / ratio if objective.mode is Mode.MAX else leader * ratio

    def _refusal(self, objective: Objective, value: float) -> str:
        return (
            f"the best {objective.metric} is {value:g}, and a slack_factor makes no sense below 0; start "
            f"a new experiment with stopping.slack_amount in place of slack_factor {self.slack_factor:g}"
        )
