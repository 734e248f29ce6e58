"""Hyperparameter tuning where every trial is one managed training job.

Rule: importing this loads nothing heavy (PEP 562), because the training script in a container imports it
too; for the same reason this file runs on Python 3.8 and needs nothing but the standard library.
"""

from __future__ import annotations

from trialjob._version import __version__ as __version__

# What typing.TYPE_CHECKING is, for type checkers too; importing typing would take most of the time there is.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from trialjob.apps.domains import choice as choice
    from trialjob.apps.domains import grid as grid
    from trialjob.apps.domains import lognormal as lognormal
    from trialjob.apps.domains import lograndint as lograndint
    from trialjob.apps.domains import loguniform as loguniform
    from trialjob.apps.domains import normal as normal
    from trialjob.apps.domains import ordinal as ordinal
    from trialjob.apps.domains import qlognormal as qlognormal
    from trialjob.apps.domains import qloguniform as qloguniform
    from trialjob.apps.domains import qnormal as qnormal
    from trialjob.apps.domains import quniform as quniform
    from trialjob.apps.domains import randint as randint
    from trialjob.apps.domains import reverseloguniform as reverseloguniform
    from trialjob.apps.domains import uniform as uniform
    from trialjob.apps.estimators import Container as Container
    from trialjob.apps.estimators import Function as Function
    from trialjob.apps.estimators import Script as Script
    from trialjob.apps.estimators import TrainingJobRequest as TrainingJobRequest
    from trialjob.apps.estimators import from_estimator as from_estimator
    from trialjob.apps.estimators import from_model_trainer as from_model_trainer
    from trialjob.apps.estimators import huggingface as huggingface
    from trialjob.apps.estimators import pytorch as pytorch
    from trialjob.apps.estimators import sklearn as sklearn
    from trialjob.apps.estimators import tensorflow as tensorflow
    from trialjob.apps.estimators import xgboost as xgboost
    from trialjob.apps.tuner import Tuner as Tuner
    from trialjob.apps.tuner import asha as asha
    from trialjob.apps.tuner import bandit as bandit
    from trialjob.apps.tuner import bayesian_search as bayesian_search
    from trialjob.apps.tuner import cmaes as cmaes
    from trialjob.apps.tuner import early_stop as early_stop
    from trialjob.apps.tuner import gp as gp
    from trialjob.apps.tuner import grid_search as grid_search
    from trialjob.apps.tuner import hyperband as hyperband
    from trialjob.apps.tuner import local as local
    from trialjob.apps.tuner import maximize as maximize
    from trialjob.apps.tuner import median_stopping as median_stopping
    from trialjob.apps.tuner import minimize as minimize
    from trialjob.apps.tuner import no_stopping as no_stopping
    from trialjob.apps.tuner import nsga2 as nsga2
    from trialjob.apps.tuner import qmc as qmc
    from trialjob.apps.tuner import random_search as random_search
    from trialjob.apps.tuner import sobol_search as sobol_search
    from trialjob.apps.tuner import tpe as tpe
    from trialjob.apps.tuner import truncation as truncation
    from trialjob.backends.external.section import External as External
    from trialjob.backends.local.section import Local as Local
    from trialjob.backends.sagemaker.section import SageMaker as SageMaker
    from trialjob.backends.slurm.section import Slurm as Slurm
    from trialjob.errors import NoBestTrial as NoBestTrial
    from trialjob.errors import SpecError as SpecError
    from trialjob.errors import TrialFailed as TrialFailed
    from trialjob.errors import TrialjobError as TrialjobError
    from trialjob.errors import UsageError as UsageError
    from trialjob.model.limits import Limits as Limits
    from trialjob.model.secret import Secret as Secret
    from trialjob.model.space import Choice as Choice
    from trialjob.model.space import Grid as Grid
    from trialjob.model.space import LogNormal as LogNormal
    from trialjob.model.space import LogRandInt as LogRandInt
    from trialjob.model.space import LogUniform as LogUniform
    from trialjob.model.space import Normal as Normal
    from trialjob.model.space import Ordinal as Ordinal
    from trialjob.model.space import QLogNormal as QLogNormal
    from trialjob.model.space import QLogUniform as QLogUniform
    from trialjob.model.space import QNormal as QNormal
    from trialjob.model.space import QUniform as QUniform
    from trialjob.model.space import RandInt as RandInt
    from trialjob.model.space import ReverseLogUniform as ReverseLogUniform
    from trialjob.model.space import Uniform as Uniform
    from trialjob.orchestrator.samplers.automatic import Auto as Auto
    from trialjob.orchestrator.samplers.automatic import Bayesian as Bayesian
    from trialjob.orchestrator.samplers.grid import GridSearch as GridSearch
    from trialjob.orchestrator.samplers.optuna_search import CMAES as CMAES
    from trialjob.orchestrator.samplers.optuna_search import GP as GP
    from trialjob.orchestrator.samplers.optuna_search import NSGAII as NSGAII
    from trialjob.orchestrator.samplers.optuna_search import QMC as QMC
    from trialjob.orchestrator.samplers.optuna_search import TPE as TPE
    from trialjob.orchestrator.samplers.random import RandomSearch as RandomSearch
    from trialjob.orchestrator.samplers.sobol import Sobol as Sobol
    from trialjob.orchestrator.samplers.syne_rules import Bohb as Bohb
    from trialjob.orchestrator.samplers.syne_rules import MoAsha as MoAsha
    from trialjob.orchestrator.samplers.syne_rules import Pbt as Pbt
    from trialjob.orchestrator.samplers.syne_rules import SyneAsha as SyneAsha
    from trialjob.orchestrator.samplers.syne_search import BORE as BORE
    from trialjob.orchestrator.samplers.syne_search import CQR as CQR
    from trialjob.orchestrator.samplers.syne_search import KDE as KDE
    from trialjob.orchestrator.samplers.syne_search import REA as REA
    from trialjob.orchestrator.samplers.syne_search import BoTorch as BoTorch
    from trialjob.orchestrator.stopping.asha import Asha as Asha
    from trialjob.orchestrator.stopping.bandit import Bandit as Bandit
    from trialjob.orchestrator.stopping.early_stop import EarlyStop as EarlyStop
    from trialjob.orchestrator.stopping.hyperband import Hyperband as Hyperband
    from trialjob.orchestrator.stopping.median import MedianStopping as MedianStopping
    from trialjob.orchestrator.stopping.none import NoStopping as NoStopping
    from trialjob.orchestrator.stopping.truncation import TruncationSelection as TruncationSelection
    from trialjob.reporting.results import Result as Result
    from trialjob.served.client import Client as Client

#: Where each name is.
_HOME = {
    name: module
    for module, names in {
        "trialjob.apps.domains": "choice grid lognormal lograndint loguniform normal ordinal qlognormal"
        " qloguniform qnormal quniform randint reverseloguniform uniform",
        "trialjob.apps.estimators": "Container Function Script TrainingJobRequest from_estimator"
        " from_model_trainer huggingface pytorch sklearn tensorflow xgboost",
        "trialjob.apps.tuner": "Tuner asha bandit bayesian_search cmaes early_stop gp grid_search hyperband"
        " local maximize median_stopping minimize no_stopping nsga2 qmc random_search sobol_search tpe"
        " truncation",
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
__all__ = sorted(_HOME)  # noqa: PLE0605 - a list


if not TYPE_CHECKING:  # a type checker would take every misspelt name for a public one

    def __getattr__(name: str) -> object:
        """Import a public name when it is first asked for."""
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib  # noqa: PLC0415 - only when a name is asked for

        value: object = getattr(importlib.import_module(_HOME[name]), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *_HOME})
