"""A scrambled Sobol sequence: points that fill the space more evenly than random ones.

Rule: trial n gets point n of the sequence of its seed, whatever happened before, except that a repetition in
a finite space is replaced by a random configuration that is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import ClassVar

from trialjob.errors import UsageError
from trialjob.model.ids import TrialId
from trialjob.model.space import Config, Space
from trialjob.orchestrator.core.events import Event
from trialjob.orchestrator.core.search import BaseSampler, Sampler, Search
from trialjob.orchestrator.samplers.random import RandomSampler

#: The largest float below 1; SciPy's points are below 1, but rounding is no law.
_LAST = 1 - 2**-53


@dataclass(frozen=True, slots=True, kw_only=True)
class Sobol(BaseSampler):
    """A scrambled Sobol sequence; needs ``trialjob[qmc]``."""

    #: A scrambled Sobol sequence; trial n gets point n. Needs `pip install 'trialjob[qmc]'`.
    kind: ClassVar[str] = "sobol"
    several_objectives: ClassVar[bool] = True
    #: Where the draws begin. Default: drawn and recorded.
    seed: int | None = None

    def make(self, search: Search) -> Sampler:
        return SobolSampler(search.space, search.seed)


class SobolSampler:
    """Points of a low-discrepancy sequence. Raises UsageError when SciPy is missing."""

    #: It learns from nothing else.
    only_proposals: ClassVar[bool] = True

    def __init__(self, space: Space, seed: int) -> None:
        check_installed()
        self._space = space
        self._seed = seed
        self._random = RandomSampler(space, seed)

    def ask(self, trial: TrialId) -> Config | None:
        config = self._point(trial)
        return config if self._random.is_new(config) else self._random.ask(trial)

    def tell(self, events: Sequence[Event]) -> None:
        self._random.tell(events)

    def _point(self, trial: TrialId) -> Config:
        from scipy.stats import qmc  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra, and slow

        # A new sequence each time: moving it is cheap, and a kept one would depend on the order of calls.
        sequence = qmc.Sobol(len(self._space.domains), scramble=True, rng=self._seed)
        point = sequence.fast_forward(trial - 1).random()[0] if trial > 1 else sequence.random()[0]
        names = self._space.domains
        return self._space.at({name: min(_LAST, float(u)) for name, u in zip(names, point, strict=True)})


def check_installed() -> None:
    """Raise UsageError when SciPy is missing."""
    if find_spec("scipy") is None:
        raise UsageError(
            "the sampler 'sobol' needs scipy, not installed here; run: pip install 'trialjob[qmc]'"
        )
