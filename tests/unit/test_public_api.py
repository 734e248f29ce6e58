"""The names a user may import, and that importing them costs nothing before they are used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import trialjob
from trialjob.config.plugins import PLUGINS

PUBLIC = """
BORE CMAES CQR GP KDE NSGAII QMC REA TPE Asha Auto Bandit Bayesian BoTorch Bohb Choice Client Container
EarlyStop External Function Grid GridSearch Hyperband Limits Local LogNormal LogRandInt LogUniform
MedianStopping MoAsha NoBestTrial NoStopping Normal Ordinal Pbt QLogNormal QLogUniform QNormal QUniform
RandInt RandomSearch Result ReverseLogUniform SageMaker Script Secret Slurm Sobol SpecError SyneAsha
TrainingJobRequest TrialFailed TrialjobError TruncationSelection Tuner Uniform UsageError asha bandit
bayesian_search choice cmaes early_stop from_estimator from_model_trainer gp grid grid_search huggingface
hyperband local lognormal lograndint loguniform maximize median_stopping minimize no_stopping normal nsga2
ordinal pytorch qlognormal qloguniform qmc qnormal quniform randint random_search reverseloguniform sklearn
sobol_search tensorflow tpe truncation uniform xgboost
""".split()  # noqa: SIM905 - a line for each would be a page
HEAVY = {
    *("boto3", "click", "filelock", "numpy", "optuna", "pandas", "psutil", "pydantic", "rich", "ruamel"),
    *("ruamel.yaml", "scipy", "sklearn"),
}


def modules_after(program: str) -> set[str]:
    line = f"{program}\nimport sys; print(' '.join(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_the_public_names() -> None:
    assert trialjob.__all__ == sorted(PUBLIC)
    for name in PUBLIC:
        assert getattr(trialjob, name).__name__ == name
    assert set(PUBLIC) <= set(dir(trialjob))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Tunr'"):
        _ = trialjob.Tunr  # type: ignore[attr-defined]


def test_importing_trialjob_loads_nothing_heavy() -> None:
    loaded = modules_after("import trialjob")
    assert not loaded & HEAVY
    assert {name for name in loaded if name.startswith("trialjob.")} == {"trialjob._version"}


def test_describing_an_experiment_loads_nothing_heavy() -> None:
    assert not modules_after("from trialjob import Script, Tuner, loguniform, maximize") & HEAVY


def test_the_reporter_loads_nothing_heavy() -> None:
    assert not modules_after("from trialjob.reporting import report") & HEAVY


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"], ["results", "--help"]])
def test_the_help_is_light(arguments: list[str]) -> None:
    loaded = modules_after(f"from trialjob.apps.cli.main import main\nassert main({arguments!r}) == 0")
    assert loaded & HEAVY == {"click"}
    assert not loaded & {"importlib.metadata", "webbrowser", "zipfile"}


@pytest.mark.parametrize("section", [*PLUGINS])
def test_every_kind_of_a_spec_is_a_class_of_the_package(section: str) -> None:
    for kind in PLUGINS[section].builtin():
        cls = PLUGINS[section].own(kind)
        assert getattr(trialjob, cls.__name__) is cls
        assert cls.__name__ in trialjob.__all__
