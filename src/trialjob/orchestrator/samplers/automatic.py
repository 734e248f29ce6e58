"""Samplers chosen for the search at hand; which one it was is recorded when the experiment is created."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import ClassVar, Final

from trialjob.orchestrator.core.search import BaseSampler, Search
from trialjob.orchestrator.samplers.adaptive import LearningSampler
from trialjob.orchestrator.samplers.optuna_search import GP, TPE
from trialjob.orchestrator.samplers.random import RandomSearch

#: Up to so many trials `bayesian` is the Gaussian process; benchmarks/search/results.md says why.
_GP_TRIALS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Auto(BaseSampler):
    """TPE where trials run to their end, random search under a rule: ``Auto(seed=0)``.

    By docs/search.md: a rule gains more than a model, and TPE under a rule no more than random search.
    """

    #: `tpe` where every trial runs to its end, `random` under a stopping rule; [measured](search.md), and
    #: recorded by its own name when the experiment is created.
    kind: ClassVar[str] = "auto"
    several_objectives: ClassVar[bool] = True
    #: Where the draws begin. Default: drawn and recorded.
    seed: int | None = None

    def resolved(self, search: Search, seed: int) -> BaseSampler:
        chosen = RandomSearch if search.stopping.ends_trials else TPE
        return chosen(seed=seed if self.seed is None else self.seed)

    def as_recorded(self, recorded: BaseSampler) -> BaseSampler:
        if not isinstance(recorded, TPE | RandomSearch):
            return self
        return recorded if self.seed is None else replace(recorded, seed=self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bayesian(LearningSampler):
    """The Gaussian process where its packages are and trials run whole, else TPE: ``Bayesian(seed=0)``.

    The Gaussian process learns from completed trials only, and most are pruned where there is a rule.
    """

    #: `gp` where it is installed, every trial runs to its end and `max_trials` is at most 200, else `tpe`;
    #: [measured](../benchmarks/search/results.md), and recorded by its own name when the experiment is
    #: created.
    kind: ClassVar[str] = "bayesian"
    several_objectives: ClassVar[bool] = True

    def resolved(self, search: Search, seed: int) -> BaseSampler:
        few = search.limits.max_trials <= _GP_TRIALS
        gp = few and not search.stopping.ends_trials and all(map(find_spec, ("torch", "scipy")))
        return (GP if gp else TPE)(
            seed=seed if self.seed is None else self.seed, prepare=self.prepare, warm_start=self.warm_start
        )

    def as_recorded(self, recorded: BaseSampler) -> BaseSampler:
        if not isinstance(recorded, TPE | GP):
            return self
        seed = recorded.seed if self.seed is None else self.seed
        return replace(recorded, seed=seed, warm_start=self.warm_start, prepare=self.prepare)
