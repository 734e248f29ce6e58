"""Syne Tune's searchers as a spec names them; Syne Tune itself is imported when one is made.

All need ``trialjob[syne-tune]``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from trialjob.orchestrator.core.search import Sampler, Search
from trialjob.orchestrator.samplers.adaptive import LearningSampler


@dataclass(frozen=True, slots=True, kw_only=True)
class SyneTuneSearch(LearningSampler):
    """One of Syne Tune's searchers."""

    def make(self, search: Search) -> Sampler:
        from trialjob.orchestrator.samplers.syne_tune import SyneTuneSampler  # noqa: PLC0415 - an extra, and slow

        return SyneTuneSampler(search.space, search.seed, kind=self.kind)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class BORE(SyneTuneSearch):
    """Bayesian optimisation by density-ratio estimation: Tiao et al., arXiv 2102.09009."""

    #: Syne Tune's BORE ([arXiv 2102.09009](https://arxiv.org/abs/2102.09009)): boosted trees tell the best
    #: quarter from the rest; from 6 results on.
    kind: ClassVar[str] = "bore"


@dataclass(frozen=True, slots=True, kw_only=True)
class CQR(SyneTuneSearch):
    """Conformalised quantile regression: Salinas et al., arXiv 2305.03623."""

    #: Syne Tune's conformal quantile regression ([Salinas et al.
    #: 2023](https://proceedings.mlr.press/v202/salinas23a.html)); from 5 results on, about a second for a
    #: proposal.
    kind: ClassVar[str] = "cqr"


@dataclass(frozen=True, slots=True, kw_only=True)
class KDE(SyneTuneSearch):
    """Kernel densities of good and bad configurations, as in BOHB: Falkner et al., arXiv 1807.01774."""

    #: Syne Tune's kernel densities, the model of BOHB ([arXiv 1807.01774](https://arxiv.org/abs/1807.01774));
    #: from 2 (d + 1) results in d dimensions on, and of all proposals one in three is random.
    kind: ClassVar[str] = "kde"
    behind_random_under: ClassVar[tuple[str, ...]] = ("asha", "median")


@dataclass(frozen=True, slots=True, kw_only=True)
class REA(SyneTuneSearch):
    """Regularised evolution: Real et al., arXiv 1802.01548."""

    #: Syne Tune's regularized evolution ([arXiv 1802.01548](https://arxiv.org/abs/1802.01548)): changes one
    #: value of the best of 4 out of the last 16.
    kind: ClassVar[str] = "rea"


@dataclass(frozen=True, slots=True, kw_only=True)
class BoTorch(SyneTuneSearch):
    """BoTorch's Gaussian process: Balandat et al., arXiv 1910.06403."""

    #: Syne Tune's Gaussian process with BoTorch; from 5 results on, it knows what runs, a second or more for
    #: a proposal.
    kind: ClassVar[str] = "botorch"
