"""Asynchronous successive halving.

Li et al., "A System for Massively Parallel Hyperparameter Tuning", arXiv 1810.05934. In the stopping variant
a trial that reaches a rung goes on only when its value is among the best ``1 / reduction_factor`` of those
that have reached it so far, itself included, but never fewer than one; so the leader is never stopped.

A trial enters a rung with its first report at or above the rung's resource. Skipped epochs, and epochs
repeated after a restart, therefore change nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from trialjob.errors import Problem
from trialjob.model.metric import Report
from trialjob.model.trial import StopKind, StopReason
from trialjob.orchestrator.core.rung import Rung, as_written, reaches
from trialjob.orchestrator.core.search import Judgement, StoppingRule
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial
from trialjob.orchestrator.stopping.halving import HalvingRule, past
from trialjob.orchestrator.stopping.promotion import Promotion

if TYPE_CHECKING:
    from trialjob.orchestrator.core.search import Search


@dataclass(frozen=True, slots=True, kw_only=True)
class Asha(HalvingRule):
    """Asynchronous successive halving: Li et al., arXiv 1810.05934. ``Asha(max_resource=27)``.

    Trials behind the best 1 / ``reduction_factor`` of a rung are stopped there, or with
    ``variant="promotion"`` paused, and the best resumed.
    """

    #: Asynchronous successive halving ([arXiv 1810.05934](https://arxiv.org/abs/1810.05934)): at rungs
    #: `min_resource` * `reduction_factor`^k below `max_resource` a trial goes on only when it is among the
    #: best 1 / `reduction_factor` that have reached the rung so far. A script that goes on past
    #: `max_resource` is stopped and counts as completed.
    kind: ClassVar[str] = "asha"
    #: With `promotion` trials pause at each rung instead, and whenever a slot is free the best paused one
    #: among the best 1 / `reduction_factor` of its rung is resumed.
    variant: Literal["stopping", "promotion"] = "stopping"

    @property
    def label(self) -> str:
        return self.kind if self.variant == "stopping" else f"{self.kind} ({self.variant})"

    def problems(self) -> Iterator[Problem]:
        yield from HalvingRule.problems(self) if self.variant == "stopping" else self._promotion().problems()

    def opened(self, search: Search) -> StoppingRule:  # noqa: ARG002 - for those that look
        return self if self.variant == "stopping" else self._promotion()

    def rungs(self) -> tuple[float, ...]:
        return self.levels() if self.variant == "stopping" else self._promotion().rungs()

    def _promotion(self) -> Promotion:
        return Promotion(**{key: value for key, value in asdict(self).items() if key != "variant"})

    def levels(self) -> tuple[float, ...]:
        """The rungs: min_resource x reduction_factor^k, below max_resource; 0.3 x 3 is 0.9, not below it."""
        levels: list[float] = []
        while (level := as_written(self.min_resource * self.reduction_factor ** len(levels))) < (
            self.max_resource
        ):
            levels.append(level)
        return tuple(levels)

    def judge(self, state: State, trial: Trial, report: Report) -> Judgement:
        """Enter every rung the report has reached, and compare in the highest of them."""
        value = report.value(state.objective)
        if value is None:
            return Judgement()
        reached = [
            level
            for level in self.levels()
            if reaches(report.resource, level) and (trial.rung is None or level > trial.rung)
        ]
        stop = past(self.max_resource, report.resource, state.objective)
        if stop is None and reached:
            stop = self._compare(state, reached[-1], value)
        return Judgement(enters=tuple((level, value) for level in reached), stop=stop)

    def _compare(self, state: State, level: float, value: float) -> StopReason | None:
        key = state.objective.key(value)
        rung = state.rungs.get(level, Rung())
        better, count = rung.better_than(key), len(rung) + 1
        if better < max(1, int(count / self.reduction_factor)):
            return None
        return StopReason(
            kind=StopKind.PRUNED,
            detail=f"{better} of {count} trials were better at {state.objective.resource} {level:g}",
        )
