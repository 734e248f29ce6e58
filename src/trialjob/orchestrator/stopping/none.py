"""No early stopping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Gt

from trialjob.model.metric import Report
from trialjob.orchestrator.core.search import BaseRule, Judgement
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial
from trialjob.orchestrator.stopping.halving import past


@dataclass(frozen=True, slots=True, kw_only=True)
class NoStopping(BaseRule):
    """Every trial runs to its own end, or to ``max_resource``."""

    #: Every trial runs to its own end.
    kind: ClassVar[str] = "none"
    ends_trials: ClassVar[bool] = False
    #: Where a trial is complete, in units of the objective's resource: a script that goes on past it is
    #: stopped and counts as completed. Default: wherever the script ends.
    max_resource: Annotated[float, Gt(0)] | None = None

    def judge(self, state: State, trial: Trial, report: Report) -> Judgement:  # noqa: ARG002 - the protocol
        if self.max_resource is None:
            return Judgement()
        return Judgement(stop=past(self.max_resource, report.resource, state.objective))
