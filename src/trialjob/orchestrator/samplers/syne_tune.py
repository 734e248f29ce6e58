"""Syne Tune's searchers: BORE, conformal quantile regression, kernel densities, evolution and BoTorch's GP.

Rule 1: a proposal is a function of the seed, the trial's number and what was told; see ``syne_models``.
Rule 2: until there is enough for a model, and where all results are equal so that there is nothing to learn,
configurations are drawn at random by our own sampler.
Rule 3: to a searcher every score is a loss, and one that is no finite number is as bad as the worst that is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from trialjob.model.ids import TrialId
from trialjob.model.metric import Objective, Score
from trialjob.model.space import Config, Space
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core.events import (
    Event,
    ExperimentCreated,
    KnownResult,
    ReportsRead,
    TrialEnded,
    TrialProposed,
)
from trialjob.orchestrator.samplers.random import RandomSampler
from trialjob.orchestrator.samplers.syne_models import Kind, Known, check_installed, propose, startup
from trialjob.orchestrator.samplers.syne_space import Place, SyneSpace

#: Proposals thrown away as repetitions before one is drawn from what is left of the space.
_DRAWS = 3
#: The ends after which a score says something of the configuration. A limit has cut the cancelled ones short.
_TELLING = (TrialStatus.COMPLETED, TrialStatus.PRUNED, TrialStatus.CANCELLED)


class SyneTuneSampler:
    """One of Syne Tune's searchers, told the scores of completed and of pruned trials.

    Raises UsageError when a package is missing.
    """

    def __init__(self, space: Space, seed: int, *, kind: Kind) -> None:
        check_installed(kind)
        self._seed = seed
        self._kind: Kind = kind
        self._space = SyneSpace(space)
        self._random = RandomSampler(space, seed)
        self._objective: Objective | None = None
        #: What each trial that runs tries, and its score so far.
        self._running: dict[TrialId, Config] = {}
        self._scores: dict[TrialId, float] = {}
        #: Place and score as a key, of all that has ended, in that order.
        self._results: list[tuple[Place, float]] = []

    # Ask

    def ask(self, trial: TrialId) -> Config | None:
        if self._random.is_exhausted:
            return None
        known = self._known()
        if known is not None:
            for draw in range(_DRAWS):
                place = propose(self._kind, self._space, known, f"{self._seed}/{trial}/{draw}")
                config = self._space.config(place)
                if self._random.is_new(config):
                    return config
        return self._random.ask(trial)

    def _known(self) -> Known | None:
        """What a model can be made of, or None while it cannot."""
        losses = finite_losses([key for _, key in self._results])
        if len(set(losses)) < 2 or len(losses) < startup(self._kind, self._space.dimensions):  # noqa: PLR2004
            return None
        places = [place for place, _ in self._results]
        pending = [self._space.place(self._running[trial]) for trial in sorted(self._running)]
        return Known(results=list(zip(places, losses, strict=True)), pending=pending)

    # Tell

    def tell(self, events: Sequence[Event]) -> None:
        self._random.tell(events)
        for event in events:
            match event:
                case ExperimentCreated():
                    self._objective = event.objective
                case KnownResult() if self._objective is not None:
                    self._results.append((self._space.place(event.config), self._objective.key(event.score)))
                case TrialProposed():
                    self._running[event.trial] = event.config
                case ReportsRead():
                    self._read(event)
                case TrialEnded():
                    self._finish(event)

    def _read(self, event: ReportsRead) -> None:
        if self._objective is None:
            return
        for report in event.reports:
            value = report.value(self._objective)
            if value is None:
                continue
            key, before = self._objective.key(value), self._scores.get(event.trial)
            if before is None or self._objective.score is Score.LAST or key > before:
                self._scores[event.trial] = key

    def _finish(self, event: TrialEnded) -> None:
        config = self._running.pop(event.trial)
        score = self._scores.pop(event.trial, None)
        if score is not None and event.status in _TELLING:
            self._results.append((self._space.place(config), score))


def finite_losses(keys: Sequence[float]) -> list[float]:
    """Losses of scores as keys; those that are not finite are as bad, or as good, as one that is."""
    finite = [-key for key in keys if math.isfinite(key)]
    if not finite:
        return [0.0] * len(keys)
    best, worst = min(finite), max(finite)
    return [min(max(-key, best), worst) for key in keys]
