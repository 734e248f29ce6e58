"""Optuna's samplers as a spec names them; Optuna itself is imported when one is made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trialjob.errors import Problem
from trialjob.model.space import Choice
from trialjob.orchestrator.core.search import BaseSampler, Sampler, Search
from trialjob.orchestrator.samplers.adaptive import AdaptiveSampler, LearningSampler, StartupTrials

if TYPE_CHECKING:
    from trialjob.orchestrator.samplers.optuna import Kind


def _made(kind: Kind, search: Search, startup: int | None = None) -> Sampler:
    from trialjob.orchestrator.samplers.optuna import OptunaSampler  # noqa: PLC0415 - slow to import

    return OptunaSampler(search.space, search.seed, kind=kind, n_startup_trials=startup)


@dataclass(frozen=True, slots=True, kw_only=True)
class TPE(LearningSampler):
    """A tree-structured Parzen estimator: Bergstra et al., NeurIPS 2011. ``TPE(seed=0)``.

    Groups of conditional hyperparameters are modelled together; running trials count as bad ones.
    """

    #: Optuna's tree-structured Parzen estimator, multivariate, with running trials taken for bad ones; learns
    #: from pruned trials too.
    kind: ClassVar[str] = "tpe"
    several_objectives: ClassVar[bool] = True
    behind_random_under: ClassVar[tuple[str, ...]] = ("asha",)
    #: Until so many trials have ended, configurations are random.
    n_startup_trials: StartupTrials = 10

    def make(self, search: Search) -> Sampler:
        return _made("tpe", search, self.n_startup_trials)


@dataclass(frozen=True, slots=True, kw_only=True)
class GP(LearningSampler):
    """A Gaussian process with the logarithm of the expected improvement; needs ``trialjob[gp]``."""

    #: Optuna's Gaussian process, on one thread; a second or more for a proposal from 300 trials on. Needs
    #: `pip install 'trialjob[gp]'` (PyTorch).
    kind: ClassVar[str] = "gp"
    several_objectives: ClassVar[bool] = True
    #: Until so many trials have ended, configurations are random.
    n_startup_trials: StartupTrials = 10

    def make(self, search: Search) -> Sampler:
        return _made("gp", search, self.n_startup_trials)


@dataclass(frozen=True, slots=True, kw_only=True)
class CMAES(LearningSampler):
    """Covariance matrix adaptation evolution strategy: Hansen, arXiv 1604.00772. ``CMAES(seed=0)``.

    It moves numbers only; choices are drawn at random.
    """

    #: Optuna's CMA-ES; it moves numbers, and draws choices at random.
    kind: ClassVar[str] = "cmaes"
    behind_random_under: ClassVar[tuple[str, ...]] = ("asha", "median")

    def problems_with(self, search: Search) -> Iterator[Problem]:
        domains = search.space.domains.values()
        if all(isinstance(domain, Choice) or len(domain.listed() or (0, 1)) == 1 for domain in domains):
            yield Problem(
                field="sampler.kind",
                message="'cmaes' moves numbers, and the space has none that vary",
                remedy="use the sampler 'tpe'",
            )

    def make(self, search: Search) -> Sampler:
        return _made("cmaes", search)


@dataclass(frozen=True, slots=True, kw_only=True)
class NSGAII(AdaptiveSampler):
    """The genetic algorithm NSGA-II: Deb et al. (2002)."""

    #: Optuna's genetic algorithm, 16 trials a generation.
    kind: ClassVar[str] = "nsga2"
    several_objectives: ClassVar[bool] = True

    def make(self, search: Search) -> Sampler:
        return _made("nsga2", search)


@dataclass(frozen=True, slots=True, kw_only=True)
class QMC(BaseSampler):
    """A scrambled Halton sequence; needs ``trialjob[qmc]``."""

    #: Optuna's scrambled Halton sequence. Needs `pip install 'trialjob[qmc]'`.
    kind: ClassVar[str] = "qmc"
    several_objectives: ClassVar[bool] = True
    #: Where the draws begin. Default: drawn and recorded.
    seed: int | None = None

    def make(self, search: Search) -> Sampler:
        return _made("qmc", search)
