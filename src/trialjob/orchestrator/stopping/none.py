"""No early stopping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from trialjob.model.metric import Report
from trialjob.orchestrator.core.search import BaseRule, Judgement
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class NoStopping(BaseRule):
    """Every trial runs to its own end."""

    #: Every trial runs to its own end.
    kind: ClassVar[str] = "none"
    ends_trials: ClassVar[bool] = False

    def judge(self, state: State, trial: Trial, report: Report) -> Judgement:  # noqa: ARG002 - the protocol
        return Judgement()
