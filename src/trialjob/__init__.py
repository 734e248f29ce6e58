"""Hyperparameter tuning where every trial is one managed training job.

Rule: importing this loads nothing heavy (PEP 562), because the training script in a container imports it
too; for the same reason this file runs on Python 3.8 and needs nothing but the standard library.
"""

from __future__ import annotations

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
    from trialjob.errors import SpecError, TrialFailed, TrialjobError, UsageError
    from trialjob.model.secret import Secret
    from trialjob.reporting.results import Result

__version__ = "0.1.0"

__all__ = [
    "Container",
    "Function",
    "Result",
    "Script",
    "Secret",
    "SpecError",
    "TrainingJobRequest",
    "TrialFailed",
    "TrialjobError",
    "Tuner",
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

_DOMAINS = (
    *("choice", "grid", "lognormal", "lograndint", "loguniform", "normal", "ordinal", "qlognormal"),
    *("qloguniform", "qnormal", "quniform", "randint", "reverseloguniform", "uniform"),
)
_ESTIMATORS = (
    *("Container", "Function", "Script", "TrainingJobRequest", "from_estimator", "from_model_trainer"),
    *("huggingface", "pytorch", "sklearn", "tensorflow", "xgboost"),
)
_HOME = {
    **dict.fromkeys(_ESTIMATORS, "trialjob.apps.estimators"),
    **dict.fromkeys(_DOMAINS, "trialjob.apps.domains"),
    "Result": "trialjob.reporting.results",
    "Secret": "trialjob.model.secret",
    "SpecError": "trialjob.errors",
    "TrialFailed": "trialjob.errors",
    "TrialjobError": "trialjob.errors",
    "UsageError": "trialjob.errors",
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
