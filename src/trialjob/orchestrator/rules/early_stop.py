"""Early stopping by a function of the user's.

The function is called as ``function(reports, best)`` upon each report that goes further than all before it of
its trial. ``reports`` is a tuple of the trial's reports so far, the newest last, each with ``resource`` and
``metrics``, without those that repeat an epoch after a restart; ``best`` is the best value of the objective
that any trial has reported, or None. True ends the trial. It must depend on its arguments alone, because it
is asked again after a crash.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from trialjob.model.metric import Objective, Report
from trialjob.model.trial import StopKind, StopReason
from trialjob.orchestrator.core.rule import Judgement, PlainRule
from trialjob.orchestrator.core.state import State, Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyStop(PlainRule):
    """Asks ``function``; ``name`` is what the user calls it."""

    name: str
    function: Callable[[tuple[Report, ...], float | None], object]

    def judge(self, state: State, trial: Trial, report: Report) -> Judgement:
        """What the function says; an experiment whose function fails is ended."""
        reports = _once(trial.reports[: trial.reports.index(report) + 1], state.objective)
        best = None if state.best is None or math.isnan(state.best) else state.best
        try:
            answer = self.function(reports, best)
        except Exception as error:  # noqa: BLE001 - it is the user's, and may raise anything
            return self._refused(f"raised {type(error).__name__}: {error}", trial)
        if not isinstance(answer, bool):
            return self._refused(f"returned {answer!r:.80}, which is neither True nor False", trial)
        if not answer:
            return Judgement()
        where = f"{state.objective.resource} {report.resource:g}"
        return Judgement(stop=StopReason(kind=StopKind.PRUNED, detail=f"ended by {self.name} at {where}"))

    def _refused(self, what: str, trial: Trial) -> Judgement:
        return Judgement(refusal=f"stopping.early_stop {self.name} {what} (trial {trial.id}); correct it")


def _once(reports: tuple[Report, ...], objective: Objective) -> tuple[Report, ...]:
    """``reports`` without repeated epochs; what is told of an epoch behind its objective is kept."""
    kept: list[Report] = []
    reached = -math.inf
    for report in reports:
        told = report.value(objective) is not None
        if report.resource > reached or (report.resource == reached and not told):
            kept.append(report)
            reached = report.resource if told else reached
    return tuple(kept)
