"""What all forms of successive halving have in common: the resources that trials are compared at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt

from trialjob.errors import Problem
from trialjob.model.metric import Objective
from trialjob.model.trial import StopKind, StopReason
from trialjob.orchestrator.core.rung import reaches
from trialjob.orchestrator.core.search import BaseRule


@dataclass(frozen=True, slots=True, kw_only=True)
class HalvingRule(BaseRule):
    """Resources are in units of the objective's resource metric, epochs for example."""

    #: Where a trial is complete, in units of the objective's resource: epochs, for example.
    max_resource: Annotated[float, Gt(0)]
    #: The first rung.
    min_resource: Annotated[float, Gt(0)] = 1.0
    #: One of so many trials goes on from each rung.
    reduction_factor: Annotated[float, Ge(2)] = 3.0

    def problems(self) -> Iterator[Problem]:
        """A first rung behind the last."""
        if self.min_resource >= self.max_resource:
            yield Problem(
                field="stopping.min_resource",
                message=f"{self.min_resource:g} must be less than stopping.max_resource, "
                f"{self.max_resource:g}",
                remedy="lower it, or raise stopping.max_resource",
            )


def past(max_resource: float, resource: float, objective: Objective) -> StopReason | None:
    """Why a script is stopped that has gone on past ``max_resource``; None where it has not.

    At max_resource itself it may still have a model to save; past it, it wastes money.
    """
    if reaches(max_resource, resource):
        return None
    detail = f"went on past max_resource {max_resource:g} of {objective.resource}"
    return StopReason(kind=StopKind.MAX_RESOURCE, detail=detail)
