"""Samplers: what proposes configurations."""

from trialjob.orchestrator.core.search import BaseSampler
from trialjob.registry import Registry

_HERE = "trialjob.orchestrator.samplers"
_OPTUNA = f"{_HERE}.optuna_search"
_SYNE = f"{_HERE}.syne_search"

#: What may be written as ``sampler.kind``.
SAMPLERS: Registry[BaseSampler] = Registry(
    "sampler",
    BaseSampler,
    group="trialjob.samplers",
    needs=[("make",)],
    builtin={
        "auto": f"{_HERE}.automatic:Auto",
        "random": f"{_HERE}.random:RandomSearch",
        "grid": f"{_HERE}.grid:GridSearch",
        "sobol": f"{_HERE}.sobol:Sobol",
        "bayesian": f"{_HERE}.automatic:Bayesian",
        "tpe": f"{_OPTUNA}:TPE",
        "gp": f"{_OPTUNA}:GP",
        "cmaes": f"{_OPTUNA}:CMAES",
        "nsga2": f"{_OPTUNA}:NSGAII",
        "qmc": f"{_OPTUNA}:QMC",
        "bore": f"{_SYNE}:BORE",
        "cqr": f"{_SYNE}:CQR",
        "kde": f"{_SYNE}:KDE",
        "rea": f"{_SYNE}:REA",
        "botorch": f"{_SYNE}:BoTorch",
    },
)
