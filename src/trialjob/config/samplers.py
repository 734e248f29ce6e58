"""What may be written under ``sampler``."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from trialjob.config.parts import SpecPart, Texts


class GridSpec(SpecPart):
    """Every configuration, one after the other."""

    kind: Literal["grid"] = "grid"


class SeededSpec(SpecPart):
    """A sampler that draws; without a seed one is drawn when the experiment is created."""

    seed: int | None = None


class RandomSpec(SeededSpec):
    """Random search."""

    kind: Literal["random"] = "random"


class SobolSpec(SeededSpec):
    """A scrambled Sobol sequence."""

    kind: Literal["sobol"] = "sobol"


class AutoSpec(SeededSpec):
    """TPE where trials run to their end, random search under a rule; recorded as the one it was."""

    kind: Literal["auto"] = "auto"


class QmcSpec(SeededSpec):
    """Optuna's scrambled Halton sequence."""

    kind: Literal["qmc"] = "qmc"


class AdaptiveSpec(SeededSpec):
    """A sampler that learns from the trials, which may take its time."""

    #: Configurations that are worked out before a slot is free for them.
    prepare: int = Field(default=0, ge=0, le=1000)


class Nsga2Spec(AdaptiveSpec):
    """Optuna's genetic algorithm."""

    kind: Literal["nsga2"] = "nsga2"


class LearningSpec(AdaptiveSpec):
    """A sampler with a model, which can learn from earlier results."""

    #: Experiments in the same store, and CSV files.
    warm_start: Texts = ()


class CmaesSpec(LearningSpec):
    """Optuna's CMA-ES."""

    kind: Literal["cmaes"] = "cmaes"


class TpeSpec(LearningSpec):
    """Optuna's tree-structured Parzen estimator."""

    kind: Literal["tpe"] = "tpe"
    #: Trials that end before the model is asked; until then configurations are random.
    n_startup_trials: int = Field(default=10, ge=1)


class GpSpec(LearningSpec):
    """Optuna's Gaussian process."""

    kind: Literal["gp"] = "gp"
    n_startup_trials: int = Field(default=10, ge=1)


class SyneTuneSpec(LearningSpec):
    """One of Syne Tune's searchers."""

    kind: Literal["bore", "cqr", "kde", "rea", "botorch"]


class BayesianSpec(LearningSpec):
    """The best model for the space at hand; which one that is, is recorded when the experiment is created."""

    kind: Literal["bayesian"] = "bayesian"


#: What each kind is.
SAMPLERS: dict[str, type[SpecPart]] = {
    "auto": AutoSpec,
    "random": RandomSpec,
    "grid": GridSpec,
    "sobol": SobolSpec,
    "bayesian": BayesianSpec,
    "tpe": TpeSpec,
    "gp": GpSpec,
    "cmaes": CmaesSpec,
    "nsga2": Nsga2Spec,
    "qmc": QmcSpec,
    "bore": SyneTuneSpec,
    "cqr": SyneTuneSpec,
    "kde": SyneTuneSpec,
    "rea": SyneTuneSpec,
    "botorch": SyneTuneSpec,
}

#: The kinds that weigh every objective, or learn from none.
SEVERAL_OBJECTIVES = frozenset({"auto", "random", "grid", "sobol", "qmc", "bayesian", "tpe", "gp", "nsga2"})

SamplerSpec: TypeAlias = Annotated[
    AutoSpec
    | RandomSpec
    | GridSpec
    | SobolSpec
    | BayesianSpec
    | TpeSpec
    | GpSpec
    | CmaesSpec
    | Nsga2Spec
    | QmcSpec
    | SyneTuneSpec,
    Field(discriminator="kind"),
]


def settled(
    given: SamplerSpec, *, model: Literal["tpe", "gp"], auto: Literal["tpe", "random"], seed: int
) -> SamplerSpec:
    """``given`` with nothing left open: ``model`` for `bayesian`, and ``seed`` where there is none."""
    if isinstance(given, AutoSpec):
        given = TpeSpec(seed=given.seed) if auto == "tpe" else RandomSpec(seed=given.seed)
    if isinstance(given, BayesianSpec):
        chosen = GpSpec if model == "gp" else TpeSpec
        given = chosen(seed=given.seed, prepare=given.prepare, warm_start=given.warm_start)
    if isinstance(given, SeededSpec) and given.seed is None:
        return given.model_copy(update={"seed": seed})
    return given


def decided(given: SamplerSpec, recorded: SamplerSpec) -> SamplerSpec:
    """``given`` with what it leaves open taken from what was recorded."""
    if isinstance(given, BayesianSpec) and isinstance(recorded, TpeSpec | GpSpec):
        same = {"warm_start": given.warm_start, "prepare": given.prepare}
        return recorded.model_copy(update={**same, **_seed_of(given)})
    if isinstance(given, AutoSpec) and isinstance(recorded, TpeSpec | RandomSpec):
        return recorded.model_copy(update=_seed_of(given))
    if isinstance(given, SeededSpec) and given.kind == recorded.kind:
        return given.model_copy(update={"seed": recorded.seed, **_seed_of(given)})
    return given


def _seed_of(given: SeededSpec) -> dict[str, int]:
    return {} if given.seed is None else {"seed": given.seed}
