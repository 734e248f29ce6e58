"""Syne Tune's own schedulers, made as we need them: ASHA, BOHB, multi-objective ASHA and PBT.

Rule: they are told losses, places of ``SyneSpace`` and our own trial numbers, and nothing else. What is wrong
in them is set right here, before they are told anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from trialjob.model.space import Space
from trialjob.orchestrator.core.rung import as_written
from trialjob.orchestrator.samplers.syne_models import Kind, Known, propose, quiet, startup
from trialjob.orchestrator.samplers.syne_population import Explorer
from trialjob.orchestrator.samplers.syne_space import Place, SyneSpace

SchedulerKind: TypeAlias = Literal["syne_asha", "bohb", "mo_asha", "pbt"]
#: What results are told under; further losses have a number behind it.
LOSS, RESOURCE = "loss", "resource"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a scheduler is to be like. Resources are in units of the objective's resource metric."""

    kind: SchedulerKind
    max_resource: float
    #: Of the three that halve.
    min_resource: float = 1.0
    reduction_factor: float = 3.0
    brackets: int = 1
    #: Of ASHA: the model that proposes; None for random configurations.
    model: Kind | None = None
    #: Of population based training.
    perturbation_interval: float = 1.0
    quantile_fraction: float = 0.25
    resample_probability: float = 0.25

    def rungs(self) -> tuple[float, ...]:
        """min_resource x reduction_factor^k below max_resource, rounded: 0.1 x 3 x 3 is 0.9, not above."""
        rungs: list[float] = []
        while (level := as_written(self.min_resource * self.reduction_factor ** len(rungs))) < (
            self.max_resource
        ):
            rungs.append(level)
        return tuple(rungs)


class LastValues:
    """A searcher for ASHA: the model is told the newest loss of every trial, whatever its resource.

    Syne Tune's own draws at random with BoTorch, keeps failed trials, and remembers random states.
    """

    def __init__(self, space: SyneSpace, model: Kind | None) -> None:
        self._space = space
        self._model = model
        self._losses: dict[int, tuple[Place, float]] = {}
        #: The trials that have no loss yet.
        self._silent: dict[int, Place] = {}
        #: Of the next proposal.
        self.seed = ""

    def suggest(self) -> Place:
        results = list(self._losses.values())
        known = len(results) >= (startup(self._model, self._space.dimensions) if self._model else 0)
        if self._model is None or not known or len({loss for _, loss in results}) == 1:
            return {name: domain.sample() for name, domain in self._space.domains().items()}
        return propose(
            self._model, self._space, Known(results=results, pending=list(self._silent.values())), self.seed
        )

    def on_trial_add(self, trial_id: int, place: Place) -> None:
        self._silent[trial_id] = place

    def on_trial_result(self, trial_id: int, config: Place, metric: float, resource_level: float) -> None:  # noqa: ARG002 - Syne Tune's
        self._silent.pop(trial_id, None)
        self._losses[trial_id] = (config, metric)

    def on_trial_remove(self, trial_id: int, *, failed: bool) -> None:
        self._silent.pop(trial_id, None)
        if failed:
            self._losses.pop(trial_id, None)


def asha(plan: Plan, space: SyneSpace, seed: int, searcher: LastValues) -> Any:  # noqa: ANN401 - no types
    from syne_tune.optimizer.schedulers.asha import (  # noqa: PLC0415 - an extra, and slow
        AsynchronousSuccessiveHalving,
    )

    with quiet():
        made = AsynchronousSuccessiveHalving(
            space.domains(), LOSS, searcher=searcher, random_seed=seed, **_halving(plan)
        )
    return _with_rungs(made, plan)


def mo_asha(plan: Plan, space: SyneSpace, seed: int, losses: int) -> Any:  # noqa: ANN401 - no types
    from syne_tune.optimizer.schedulers.multiobjective.moasha import MOASHA  # noqa: PLC0415 - as above

    metrics = [LOSS, *(f"{LOSS}{number}" for number in range(1, losses))]
    with quiet():
        made = MOASHA(
            space.domains(), metrics, random_seed=seed, multiobjective_priority=_by_fronts, **_halving(plan)
        )
    return _with_rungs(made, plan)


def pbt(plan: Plan, space: Space, places: SyneSpace, seed: int) -> Any:  # noqa: ANN401 - no types
    from syne_tune.optimizer.schedulers.pbt import PopulationBasedTraining  # noqa: PLC0415 - as above

    explorer = Explorer(space=space, resample_probability=plan.resample_probability)

    def explore(place: Place) -> dict[str, Any]:
        return dict(places.place(explorer.changed(places.config(place))))

    with quiet():
        return PopulationBasedTraining(
            places.domains(),
            LOSS,
            RESOURCE,
            max_t=plan.max_resource,
            custom_explore_fn=explore,
            random_seed=seed,
            perturbation_interval=plan.perturbation_interval,
            quantile_fraction=plan.quantile_fraction,
        )


def _halving(plan: Plan) -> Mapping[str, Any]:
    return {
        "time_attr": RESOURCE,
        "max_t": plan.max_resource,
        "grace_period": plan.min_resource,
        "reduction_factor": plan.reduction_factor,
        "brackets": plan.brackets,
    }


def _with_rungs(scheduler: Any, plan: Plan) -> Any:  # noqa: ANN401 - no types
    """Give its brackets the rungs that they should have: it takes a logarithm for how many there are."""
    rungs = plan.rungs()
    for lowest, bracket in enumerate(scheduler.brackets):
        bracket.rungs = [(level, {}) for level in reversed(rungs[lowest:])]
    return scheduler


def _by_fronts(losses: Any) -> Any:  # noqa: ANN401 - arrays of numpy
    """The rank of each row: front by front, and spread out within a front. Its own gives numbers of rows."""
    import numpy as np  # noqa: PLC0415 - only where it is installed
    from syne_tune.optimizer.schedulers.multiobjective import (  # noqa: PLC0415 - as above
        non_dominated_priority as fronts,
    )

    ranks = np.empty(len(losses))
    before = 0
    for front in fronts.nondominated_sort(losses, dim=0, flatten=False):
        ranks[front] = before + fronts.compute_epsilon_net(losses[front], dim=0)
        before += len(front)
    return ranks
