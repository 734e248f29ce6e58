"""No early stopping."""

from __future__ import annotations

from dataclasses import dataclass

from trialjob.model.metric import Report
from trialjob.orchestrator.core.rule import Judgement, PlainRule
from trialjob.orchestrator.core.state import State, Trial


@dataclass(frozen=True, slots=True)
class NoStopping(PlainRule):
    """Every trial runs to its own end."""

    def judge(self, state: State, trial: Trial, report: Report) -> Judgement:  # noqa: ARG002 - the protocol
        return Judgement()
