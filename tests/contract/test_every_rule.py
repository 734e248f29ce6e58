"""Every stopping rule passes the suite, our own and those of the examples."""

from __future__ import annotations

from pathlib import Path

import pytest

from trialjob.orchestrator.core.search import BaseRule
from trialjob.orchestrator.samplers.syne_rules import Bohb, MoAsha, Pbt, SyneAsha
from trialjob.orchestrator.stopping import RULES
from trialjob.orchestrator.stopping.asha import Asha
from trialjob.orchestrator.stopping.bandit import Bandit
from trialjob.orchestrator.stopping.early_stop import EarlyStop
from trialjob.orchestrator.stopping.hyperband import Hyperband
from trialjob.orchestrator.stopping.median import MedianStopping
from trialjob.orchestrator.stopping.none import NoStopping
from trialjob.orchestrator.stopping.truncation import TruncationSelection
from trialjob.testing.installed import install
from trialjob.testing.rule_contract import RuleContract
from trialjob.testing.section_contract import TWO

PACKAGE = Path(__file__).parents[2] / "examples" / "plugins" / "plateau-rule"
SECTIONS = [
    NoStopping(),
    Asha(max_resource=9),
    Asha(max_resource=9, variant="promotion"),
    Hyperband(max_resource=9),
    Bandit(slack_amount=0.1, evaluation_interval=2),
    MedianStopping(delay_evaluation=2),
    MedianStopping(variant="amt"),
    MedianStopping(variant="vizier"),
    TruncationSelection(truncation_percentage=40),
    TruncationSelection(truncation_percentage=40, exclude_finished_jobs=True),
    EarlyStop(early_stop="operator:lt"),
    SyneAsha(max_resource=9),
    Bohb(max_resource=9),
    Pbt(max_resource=9, perturbation_interval=3),
]


class TestRule(RuleContract):
    wrong = (
        Asha(max_resource=1),
        Hyperband(max_resource=2),
        Bandit(),
        EarlyStop(early_stop="nothing"),
        SyneAsha(max_resource=9, brackets=9),
        Pbt(max_resource=3, perturbation_interval=3),
        MoAsha(max_resource=9),
    )

    @pytest.fixture(params=SECTIONS, ids=lambda section: section.kind)
    def section(self, request: pytest.FixtureRequest) -> BaseRule:
        found: BaseRule = request.param
        return found


class TestRuleOfSeveralObjectives(RuleContract):
    objective = TWO

    @pytest.fixture
    def section(self) -> BaseRule:
        return MoAsha(max_resource=9)


class TestRuleOfAStranger(RuleContract):
    @pytest.fixture
    def section(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BaseRule:
        install(PACKAGE, tmp_path)
        monkeypatch.syspath_prepend(tmp_path)
        return RULES.get("plateau")(patience=2)  # type: ignore[call-arg]  # the example's


def test_none_is_left_out() -> None:
    assert {section.kind for section in SECTIONS} | {"mo_asha"} == {*RULES.builtin()}
