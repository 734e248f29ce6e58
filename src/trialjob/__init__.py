"""Hyperparameter tuning where every trial is one managed training job.

Rule: importing this loads nothing heavy (PEP 562), because the training script in a container imports it
too; for the same reason this file runs on Python 3.8 and needs nothing but the standard library.
"""

from __future__ import annotations

from trialjob._version import __version__ as __version__

# What typing.TYPE_CHECKING is, for type checkers too; importing typing would take most of the time there is.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from trialjob.apps.domains import (
        choice,
        grid,
        lognormal,
        lograndint,
        loguniform,
        normal,
        ordinal,
        qlognormal,
        qloguniform,
        qnormal,
        quniform,
        randint,
        reverseloguniform,
        uniform,
    )
    from trialjob.apps.estimators import (
        Container,
        Function,
        Script,
        TrainingJobRequest,
        from_estimator,
        from_model_trainer,
        huggingface,
        pytorch,
        sklearn,
        tensorflow,
        xgboost,
    )
    from trialjob.apps.tuner import (
        Tuner,
        asha,
        bandit,
        bayesian_search,
        cmaes,
        early_stop,
        gp,
        grid_search,
        hyperband,
        local,
        maximize,
        median_stopping,
        minimize,
        no_stopping,
        nsga2,
        qmc,
        random_search,
        sobol_search,
        tpe,
        truncation,
    )
    from trialjob.backends.external.section import External
    from trialjob.backends.local.section import Local
    from trialjob.backends.sagemaker.section import SageMaker
    from trialjob.backends.slurm.section import Slurm
    from trialjob.errors import NoBestTrial, SpecError, TrialFailed, TrialjobError, UsageError
    from trialjob.model.limits import Limits
    from trialjob.model.secret import Secret
    from trialjob.model.space import (
        Choice,
        Grid,
        LogNormal,
        LogRandInt,
        LogUniform,
        Normal,
        Ordinal,
        QLogNormal,
        QLogUniform,
        QNormal,
        QUniform,
        RandInt,
        ReverseLogUniform,
        Uniform,
    )
    from trialjob.orchestrator.samplers.automatic import Auto, Bayesian
    from trialjob.orchestrator.samplers.grid import GridSearch
    from trialjob.orchestrator.samplers.optuna_search import CMAES, GP, NSGAII, QMC, TPE
    from trialjob.orchestrator.samplers.random import RandomSearch
    from trialjob.orchestrator.samplers.sobol import Sobol
    from trialjob.orchestrator.samplers.syne_rules import Bohb, MoAsha, Pbt, SyneAsha
    from trialjob.orchestrator.samplers.syne_search import BORE, CQR, KDE, REA, BoTorch
    from trialjob.orchestrator.stopping.asha import Asha
    from trialjob.orchestrator.stopping.bandit import Bandit
    from trialjob.orchestrator.stopping.early_stop import EarlyStop
    from trialjob.orchestrator.stopping.hyperband import Hyperband
    from trialjob.orchestrator.stopping.median import MedianStopping
    from trialjob.orchestrator.stopping.none import NoStopping
    from trialjob.orchestrator.stopping.truncation import TruncationSelection
    from trialjob.reporting.results import Result
    from trialjob.served.client import Client

__all__ = [
    "BORE",
    "CMAES",
    "CQR",
    "GP",
    "KDE",
    "NSGAII",
    "QMC",
    "REA",
    "TPE",
    "Asha",
    "Auto",
    "Bandit",
    "Bayesian",
    "BoTorch",
    "Bohb",
    "Choice",
    "Client",
    "Container",
    "EarlyStop",
    "External",
    "Function",
    "Grid",
    "GridSearch",
    "Hyperband",
    "Limits",
    "Local",
    "LogNormal",
    "LogRandInt",
    "LogUniform",
    "MedianStopping",
    "MoAsha",
    "NoBestTrial",
    "NoStopping",
    "Normal",
    "Ordinal",
    "Pbt",
    "QLogNormal",
    "QLogUniform",
    "QNormal",
    "QUniform",
    "RandInt",
    "RandomSearch",
    "Result",
    "ReverseLogUniform",
    "SageMaker",
    "Script",
    "Secret",
    "Slurm",
    "Sobol",
    "SpecError",
    "SyneAsha",
    "TrainingJobRequest",
    "TrialFailed",
    "TrialjobError",
    "TruncationSelection",
    "Tuner",
    "Uniform",
    "UsageError",
    "asha",
    "bandit",
    "bayesian_search",
    "choice",
    "cmaes",
    "early_stop",
    "from_estimator",
    "from_model_trainer",
    "gp",
    "grid",
    "grid_search",
    "huggingface",
    "hyperband",
    "local",
    "lognormal",
    "lograndint",
    "loguniform",
    "maximize",
    "median_stopping",
    "minimize",
    "no_stopping",
    "normal",
    "nsga2",
    "ordinal",
    "pytorch",
    "qlognormal",
    "qloguniform",
    "qmc",
    "qnormal",
    "quniform",
    "randint",
    "random_search",
    "reverseloguniform",
    "sklearn",
    "sobol_search",
    "tensorflow",
    "tpe",
    "truncation",
    "uniform",
    "xgboost",
]

#: Where each name is; the rest is in trialjob.apps.tuner.
_HOME = {
    name: module
    for module, names in {
        "trialjob.apps.domains": "choice grid lognormal lograndint loguniform normal ordinal qlognormal"
        " qloguniform qnormal quniform randint reverseloguniform uniform",
        "trialjob.apps.estimators": "Container Function Script TrainingJobRequest from_estimator"
        " from_model_trainer huggingface pytorch sklearn tensorflow xgboost",
        "trialjob.backends.external.section": "External",
        "trialjob.backends.local.section": "Local",
        "trialjob.backends.sagemaker.section": "SageMaker",
        "trialjob.backends.slurm.section": "Slurm",
        "trialjob.errors": "NoBestTrial SpecError TrialFailed TrialjobError UsageError",
        "trialjob.model.limits": "Limits",
        "trialjob.model.secret": "Secret",
        "trialjob.model.space": "Choice Grid LogNormal LogRandInt LogUniform Normal Ordinal QLogNormal"
        " QLogUniform QNormal QUniform RandInt ReverseLogUniform Uniform",
        "trialjob.orchestrator.stopping.asha": "Asha",
        "trialjob.orchestrator.stopping.bandit": "Bandit",
        "trialjob.orchestrator.stopping.early_stop": "EarlyStop",
        "trialjob.orchestrator.stopping.hyperband": "Hyperband",
        "trialjob.orchestrator.stopping.median": "MedianStopping",
        "trialjob.orchestrator.stopping.none": "NoStopping",
        "trialjob.orchestrator.stopping.truncation": "TruncationSelection",
        "trialjob.orchestrator.samplers.automatic": "Auto Bayesian",
        "trialjob.orchestrator.samplers.grid": "GridSearch",
        "trialjob.orchestrator.samplers.optuna_search": "CMAES GP NSGAII QMC TPE",
        "trialjob.orchestrator.samplers.random": "RandomSearch",
        "trialjob.orchestrator.samplers.sobol": "Sobol",
        "trialjob.orchestrator.samplers.syne_rules": "Bohb MoAsha Pbt SyneAsha",
        "trialjob.orchestrator.samplers.syne_search": "BORE CQR KDE REA BoTorch",
        "trialjob.reporting.results": "Result",
        "trialjob.served.client": "Client",
    }.items()
    for name in names.split()
}


if not TYPE_CHECKING:  # a type checker would take every misspelt name for a public one

    def __getattr__(name: str) -> object:
        """Import a public name when it is first asked for."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib  # noqa: PLC0415 - only when a name is asked for

        value: object = getattr(importlib.import_module(_HOME.get(name, "trialjob.apps.tuner")), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
