"""Bandit: a trial is ended when its best value falls behind the best of all by more than a slack.

Azure ML's policy of that name, described at
https://learn.microsoft.com/azure/machine-learning/how-to-tune-hyperparameters#bandit-policy. When more is
better a trial is ended below ``best / (1 + slack_factor)`` or ``best - slack_amount``; when less is better,
above ``best * (1 + slack_factor)`` or ``best + slack_amount``. ``best`` is the best value that any trial had
at the same interval. The leader is never ended. An infinite value does not lead, as every other trial
would be behind it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge

from trialjob.errors import Problem
from trialjob.model.metric import Mode, Objective, Report
from trialjob.model.trial import StopKind, StopReason
from trialjob.orchestrator.core.rung import Rung
from trialjob.orchestrator.core.search import Judgement
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial
from trialjob.orchestrator.stopping.intervals import IntervalRule, best

if TYPE_CHECKING:
    from trialjob.orchestrator.core.search import Search

#: Metrics that may be below 0 whatever their owners hope, by the names they usually have.
_MAY_BE_NEGATIVE = re.compile(
    r"(^|_|-)(neg|negative|r2|mcc|matthews|elbo|log_?likelihood)($|_|-)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bandit(IntervalRule):
    """Ends trials too far behind the best, as in Azure ML: ``Bandit(slack_factor=0.1, delay_evaluation=5)``.

    Just one of ``slack_factor``, a ratio, and ``slack_amount``, in units of the metric, is given.
    """

    #: As in Azure ML: ended when its best value is below best / (1 + `slack_factor`) or best -
    #: `slack_amount`, where best is what any trial had at the same interval (when less is better, above best
    #: * (1 + `slack_factor`) or best + `slack_amount`). A ratio means nothing below 0: the experiment then
    #: ends and asks for `slack_amount`.
    kind: ClassVar[str] = "bandit"
    #: How far behind the best, as a ratio. Default: one of the two is required.
    slack_factor: Annotated[float, Ge(0)] | None = None
    #: How far behind the best, in units of the metric. Default: one of the two is required.
    slack_amount: Annotated[float, Ge(0)] | None = None

    def problems(self) -> Iterator[Problem]:
        if (self.slack_factor is None) is (self.slack_amount is None):
            both = self.slack_factor is not None
            yield Problem(
                field="stopping.slack_factor",
                message="and slack_amount are both given" if both else "is missing, and so is slack_amount",
                remedy="write one of the two: a ratio, or a distance in units of the metric",
            )

    def problems_with(self, search: Search) -> Iterator[Problem]:
        """A ratio of something that is below 0 makes no sense."""
        if self.slack_factor is None:
            return
        metric, target = search.objective.metric, search.limits.target
        negative = f"limits.target is {target:g}" if target is not None and target < 0 else ""
        if not negative and _MAY_BE_NEGATIVE.search(metric):
            negative = f'"{metric}" can be negative'
        if negative:
            yield Problem(
                field="stopping.slack_factor",
                message=f"{self.slack_factor:g} is a ratio, and {negative}",
                remedy="write slack_amount in its place, a distance in units of the metric",
            )

    def judge(self, state: State, trial: Trial, report: Report) -> Judgement:
        """Enter the interval with the trial's best value, and compare it with the best there."""
        objective = state.objective
        curve = trial.curve_to(report)
        level = self.reached(curve)
        if level is None:
            return Judgement()
        own = best(curve, objective)
        leader = state.rungs.get(level, Rung()).enter(own).best()
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
