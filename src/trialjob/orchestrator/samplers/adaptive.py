"""What the samplers that learn from trials have in common in a spec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Interval

from trialjob.orchestrator.core.search import BaseSampler

#: Trials that end before a model is asked; until then configurations are random.
StartupTrials = Annotated[int, Ge(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveSampler(BaseSampler):
    """A sampler that learns from the trials, which may take its time."""

    learns: ClassVar[bool] = True
    #: Where the draws begin. Default: drawn and recorded.
    seed: int | None = None
    #: So many configurations are worked out before a slot is free for them.
    prepare: Annotated[int, Interval(ge=0, le=1000)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningSampler(AdaptiveSampler):
    """A sampler with a model, which can learn from earlier results."""

    #: Experiments in the same store and `.csv` files to learn from first, such as `[digits-x7k2p, old.csv]`.
    warm_start: tuple[str, ...] = ()
