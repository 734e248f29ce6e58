"""Every sampler passes the suite, our own and those of the examples."""

from __future__ import annotations

from pathlib import Path

import pytest

from trialjob.model.space import Choice, RandInt, Space
from trialjob.orchestrator.core.search import BaseSampler
from trialjob.orchestrator.samplers import SAMPLERS
from trialjob.orchestrator.samplers.grid import GridSearch
from trialjob.orchestrator.samplers.optuna_search import CMAES, GP, NSGAII, QMC, TPE
from trialjob.orchestrator.samplers.random import RandomSearch
from trialjob.orchestrator.samplers.sobol import Sobol
from trialjob.orchestrator.samplers.syne_search import BORE, CQR, KDE, REA, BoTorch
from trialjob.testing.installed import install
from trialjob.testing.sampler_contract import SamplerContract

PACKAGE = Path(__file__).parents[2] / "examples" / "plugins" / "gp-sampler"
SECTIONS = [
    RandomSearch(seed=5),
    Sobol(seed=5),
    TPE(seed=5, n_startup_trials=3),
    CMAES(seed=5),
    NSGAII(seed=5),
    QMC(seed=5),
    BORE(seed=5),
    KDE(seed=5),
    REA(seed=5),
]
#: A second or so for each proposal.
SLOW = [GP(seed=5, n_startup_trials=3), CQR(seed=5), BoTorch(seed=5)]
#: They choose another when the experiment is created.
CHOOSE = {"auto", "bayesian"}


class TestSampler(SamplerContract):
    @pytest.fixture(params=SECTIONS, ids=lambda section: section.kind)
    def section(self, request: pytest.FixtureRequest) -> BaseSampler:
        found: BaseSampler = request.param
        return found


class TestSlowSampler(SamplerContract):
    trials = 9

    @pytest.fixture(params=SLOW, ids=lambda section: section.kind)
    def section(self, request: pytest.FixtureRequest) -> BaseSampler:
        found: BaseSampler = request.param
        return found


class TestSamplerOfAStranger(SamplerContract):
    @pytest.fixture
    def section(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BaseSampler:
        install(PACKAGE, tmp_path)
        monkeypatch.syspath_prepend(tmp_path)
        return SAMPLERS.get("small_gp")(seed=5, n_startup_trials=3)  # type: ignore[call-arg]  # the example's


class TestGrid(SamplerContract):
    space = Space({"layers": RandInt(lower=1, upper=7), "hidden": Choice(values=(16, 32, 64))})

    @pytest.fixture
    def section(self) -> BaseSampler:
        return GridSearch()


def test_none_is_left_out() -> None:
    assert {section.kind for section in [*SECTIONS, *SLOW]} | {"grid"} | CHOOSE == {*SAMPLERS.builtin()}
