"""Hyperparameter tuning where every trial is one managed training job.

Rule: importing this loads nothing heavy (PEP 562), because the training script in a container imports it
too; for the same reason this file runs on Python 3.8 and needs nothing but the standard library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trialjob.apps.tuner import (
        Script,
        Tuner,
        asha,
        choice,
        grid_search,
        local,
        loguniform,
        maximize,
        minimize,
        no_stopping,
        randint,
        random_search,
        uniform,
    )
    from trialjob.errors import SpecError, TrialjobError, UsageError
    from trialjob.reporting.results import Result

__version__ = "0.1.0"

__all__ = [
    "Result",
    "Script",
    "SpecError",
    "TrialjobError",
    "Tuner",
    "UsageError",
    "asha",
    "choice",
    "grid_search",
    "local",
    "loguniform",
    "maximize",
    "minimize",
    "no_stopping",
    "randint",
    "random_search",
    "uniform",
]

_HOME = {
    "Result": "trialjob.reporting.results",
    "SpecError": "trialjob.errors",
    "TrialjobError": "trialjob.errors",
    "UsageError": "trialjob.errors",
}


if not TYPE_CHECKING:  # a type checker would take every misspelt name for a public one

    def __getattr__(name: str) -> object:
        """Import a public name when it is first asked for."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value: object = getattr(importlib.import_module(_HOME.get(name, "trialjob.apps.tuner")), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
