"""Syne Tune's schedulers, which propose and stop, as a spec names them under ``stopping``.

All need ``trialjob[syne-tune]``, which is imported when one is opened.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Final

from annotated_types import Ge, Gt, Interval

from trialjob.errors import Problem
from trialjob.orchestrator.core.search import BaseRule, Search, StoppingRule
from trialjob.orchestrator.samplers.syne_search import SyneTuneSearch
from trialjob.orchestrator.stopping.asha import Asha
from trialjob.orchestrator.stopping.halving import HalvingRule
from trialjob.orchestrator.stopping.none import NoStopping

#: With how many trials at a time population based training has anything to compare.
_POPULATION: Final = 2
_PLAIN: Final = ("auto", "random")


def _opened(rule: BaseRule, search: Search, **more: Any) -> StoppingRule:  # noqa: ANN401 - fields of a plan
    from trialjob.orchestrator.samplers.syne_scheduler import SyneTuneRule, SyneTuneScheduler  # noqa: PLC0415 - slow
    from trialjob.orchestrator.samplers.syne_schedulers import Plan  # noqa: PLC0415 - an extra, and slow

    plan = Plan(kind=rule.kind, **asdict(rule), **more)  # type: ignore[call-overload,arg-type]
    return SyneTuneRule(partial(SyneTuneScheduler, search.space, search.seed, plan))


def _own_proposals(rule: BaseRule, search: Search) -> Iterator[Problem]:
    kind = search.sampler.kind
    if kind not in _PLAIN:
        yield Problem(
            field="sampler.kind",
            message=f"{kind!r} proposes configurations, and so does stopping.kind {rule.kind!r}",
            remedy="leave sampler out, or write sampler: {kind: random, seed: …} for its seed",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SyneHalvingRule(HalvingRule):
    """One of the three that halve."""

    proposes: ClassVar[bool] = True
    #: With more than one, some trials, drawn by lot, are first compared one rung later, or two, and so on.
    brackets: Annotated[int, Ge(1)] = 1

    def problems(self) -> Iterator[Problem]:
        """As for all, and a bracket without a rung."""
        found = [*HalvingRule.problems(self)]
        yield from found
        try:
            highest = self.min_resource * float(self.reduction_factor) ** (self.brackets - 1)
        except OverflowError:
            highest = math.inf
        if not found and self.brackets > 1 and highest >= self.max_resource:
            yield Problem(
                field="stopping.brackets",
                message=f"{self.brackets} is more than there are rungs, so some trials never compare",
                remedy="lower it, or raise stopping.max_resource",
            )

    def opened(self, search: Search) -> StoppingRule:
        return _opened(self, search)

    def stand_in(self) -> BaseRule:
        return Asha(
            max_resource=self.max_resource,
            min_resource=self.min_resource,
            reduction_factor=self.reduction_factor,
        )

    def rungs(self) -> tuple[float, ...]:
        return self.stand_in().rungs()


@dataclass(frozen=True, slots=True, kw_only=True)
class SyneAsha(SyneHalvingRule):
    """Syne Tune's ASHA, with or without one of its models."""

    #: Syne Tune's ASHA, with its searchers: `sampler` is `random`, `bore`, `cqr`, `kde`, `rea` or `botorch`,
    #: and its model is told the newest value of every trial that has reported.
    kind: ClassVar[str] = "syne_asha"

    def problems_with(self, search: Search) -> Iterator[Problem]:
        """Only Syne Tune's own searchers propose for it."""
        sampler = search.sampler
        if isinstance(sampler, SyneTuneSearch):
            yield from _of_no_use(sampler)
        elif sampler.kind not in _PLAIN:
            yield Problem(
                field="sampler.kind",
                message=f"{sampler.kind!r} is no searcher of Syne Tune's, and stopping.kind is 'syne_asha'",
                remedy="use bore, cqr, kde, rea, botorch or random; or write stopping.kind: asha",
            )

    def opened(self, search: Search) -> StoppingRule:
        model = search.sampler.kind if isinstance(search.sampler, SyneTuneSearch) else None
        return _opened(self, search, model=model)


def _of_no_use(sampler: SyneTuneSearch) -> Iterator[Problem]:
    for name in ("warm_start", "prepare"):
        if getattr(sampler, name):
            yield Problem(
                field=f"sampler.{name}",
                message="is nothing for a scheduler, which proposes by what the trials report meanwhile",
                remedy="leave it out, or write stopping.kind: asha",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bohb(SyneHalvingRule):
    """Syne Tune's BOHB: its ASHA with kernel densities. Falkner et al., arXiv 1807.01774."""

    #: Syne Tune's BOHB ([arXiv 1807.01774](https://arxiv.org/abs/1807.01774)): `syne_asha` with `kde`.
    kind: ClassVar[str] = "bohb"

    def problems_with(self, search: Search) -> Iterator[Problem]:
        yield from _own_proposals(self, search)


@dataclass(frozen=True, slots=True, kw_only=True)
class MoAsha(SyneHalvingRule):
    """Syne Tune's ASHA for several objectives. Schmucker et al., arXiv 2106.12639."""

    #: Syne Tune's ASHA for several objectives ([arXiv 2106.12639](https://arxiv.org/abs/2106.12639)): trials
    #: are ranked by Pareto front, and spread out within a front. A report without all of the objectives is
    #: not compared.
    kind: ClassVar[str] = "mo_asha"

    def problems_with(self, search: Search) -> Iterator[Problem]:
        """It needs several."""
        yield from _own_proposals(self, search)
        if not search.objective.others:
            yield Problem(
                field="objective.others",
                message="is empty, and stopping.kind 'mo_asha' weighs several objectives",
                remedy="name a second one, or use 'syne_asha'",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pbt(BaseRule):
    """Syne Tune's population based training. Jaderberg et al., arXiv 1711.09846."""

    #: Syne Tune's population based training ([arXiv 1711.09846](https://arxiv.org/abs/1711.09846)): every
    #: `perturbation_interval` of the resource, the worst `quantile_fraction` of the trials that run end, and
    #: each is followed by a copy of one of the best, with its checkpoint and changed hyperparameters.
    kind: ClassVar[str] = "pbt"
    proposes: ClassVar[bool] = True
    copies_trials: ClassVar[bool] = True
    #: Where a trial is complete, in units of the objective's resource: epochs, for example.
    max_resource: Annotated[float, Gt(0)]
    #: Resource between two comparisons of a trial with the others.
    perturbation_interval: Annotated[float, Gt(0)]
    #: The worst so many give way to copies of the best so many.
    quantile_fraction: Annotated[float, Interval(gt=0, le=0.5)] = 0.25
    #: How often a number is drawn anew and not moved.
    resample_probability: Annotated[float, Interval(ge=0, le=1)] = 0.25

    def problems(self) -> Iterator[Problem]:
        if self.perturbation_interval >= self.max_resource:
            yield Problem(
                field="stopping.perturbation_interval",
                message=f"{self.perturbation_interval:g} must be less than stopping.max_resource, "
                f"{self.max_resource:g}",
                remedy="lower it, or raise stopping.max_resource",
            )

    def problems_with(self, search: Search) -> Iterator[Problem]:
        """A population of one."""
        yield from _own_proposals(self, search)
        workers = search.limits.max_concurrent_trials
        if workers < _POPULATION:
            yield Problem(
                field="limits.max_concurrent_trials",
                message=f"{workers} is the whole population, and 'pbt' compares trials that "
                "run at the same time",
                remedy="write 4 or more",
            )

    def opened(self, search: Search) -> StoppingRule:
        return _opened(self, search)

    def stand_in(self) -> BaseRule:
        return NoStopping()
