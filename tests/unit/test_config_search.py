"""Domains, nested spaces, points, stopping rules and completion criteria in a spec."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import trialjob
from trialjob.config import load, parse
from trialjob.errors import SpecError
from trialjob.experiment.search import search_of
from trialjob.model.ids import TrialId
from trialjob.model.metric import NanPolicy
from trialjob.model.paths import nearest
from trialjob.model.space import Branches, LogRandInt, QUniform
from trialjob.orchestrator.stopping.bandit import Bandit
from trialjob.orchestrator.stopping.early_stop import FunctionRule
from trialjob.orchestrator.stopping.hyperband import Hyperband
from trialjob.orchestrator.stopping.median import MedianStopping
from trialjob.orchestrator.stopping.promotion import Promotion
from trialjob.orchestrator.stopping.truncation import TruncationSelection

SWEEP = """\
name: digits
estimator: {kind: script, source_dir: ., entry_point: train.py, hyperparameters: {epochs: 3}}
space:
  lr: {type: loguniform, lower: 1e-4, upper: 1.0}
  batch: {type: quniform, lower: 32, upper: 256, q: 32}
  optimizer:
    type: choice
    values:
      sgd:
        momentum: {type: reverseloguniform, lower: 0.5, upper: 0.999}
        schedule: {type: choice, values: {step: {every: {type: lograndint, lower: 1, upper: 9}}, flat: }}
      adam: {beta1: {type: uniform, lower: 0.8, upper: 0.999}, eps: 1e-8}
      adafactor:
points_to_evaluate:
  - {lr: 0.1, optimizer: sgd, momentum: 0.9}
  - {batch: 64}
objective: {metric: acc, mode: max, nan: fail}
metrics: [{name: acc, regex: "acc=({number})"}]
sampler: {kind: random, seed: 3}
stopping: {kind: bandit, slack_factor: 0.1, evaluation_interval: 2, delay_evaluation: 4}
limits: {max_trials: 8, target: 0.99, max_trials_without_improvement: 5}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text("print('acc=0.5')\n")
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP)
    return path


@pytest.fixture
def document(path: Path) -> dict[str, Any]:
    return load(path).document()


def problems(document: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(SpecError) as caught:
        parse(document)
    return {problem.field: f"{problem.message} → {problem.remedy}" for problem in caught.value.problems}


def test_a_nested_space_is_read_and_written(path: Path) -> None:
    spec = load(path)
    space = spec.to_space()
    assert list(space.domains) == [
        *("lr", "batch", "optimizer", "momentum", "schedule", "every", "beta1", "eps"),
    ]
    optimizer = space.tree["optimizer"]
    assert isinstance(optimizer, Branches)
    assert optimizer.values == ("sgd", "adam", "adafactor")
    assert space.domains["every"] == LogRandInt(lower=1, upper=9)
    assert space.domains["batch"] == QUniform(lower=32, upper=256, q=32)
    written = json.loads(json.dumps(spec.document()))
    assert parse(written) == spec
    assert parse(written).to_space() == space
    assert spec.to_objective().nan is NanPolicy.FAIL
    assert (spec.to_limits().target, spec.to_limits().max_trials_without_improvement) == (0.99, 5)


def test_python_says_the_same(path: Path, document: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    tuner = trialjob.Tuner(
        name="digits",
        estimator=trialjob.Script("train.py", hyperparameters={"epochs": 3}),
        space={
            "lr": trialjob.loguniform(1e-4, 1.0),
            "batch": trialjob.quniform(32, 256, 32),
            "optimizer": trialjob.choice(
                {
                    "sgd": {
                        "momentum": trialjob.reverseloguniform(0.5, 0.999),
                        "schedule": trialjob.choice(
                            {"step": {"every": trialjob.lograndint(1, 9)}, "flat": None}
                        ),
                    },
                    "adam": {"beta1": trialjob.uniform(0.8, 0.999), "eps": 1e-8},
                    "adafactor": {},
                }
            ),
        },
        points_to_evaluate=[{"lr": 0.1, "optimizer": "sgd", "momentum": 0.9}, {"batch": 64}],
        objective=trialjob.maximize("acc", nan="fail"),
        metrics={"acc": "acc=({number})"},
        sampler=trialjob.random_search(seed=3),
        stopping=trialjob.bandit(slack_factor=0.1, evaluation_interval=2, delay_evaluation=4),
        limits={"max_trials": 8, "target": 0.99, "max_trials_without_improvement": 5},
    )
    assert tuner.spec.document() == document


def test_points_come_first(path: Path) -> None:
    sampler = search_of(load(path))[1]()
    first, second = sampler.ask(TrialId(1)), sampler.ask(TrialId(2))
    assert first is not None
    assert second is not None
    assert (first["lr"], first["optimizer"], first["momentum"]) == (0.1, "sgd", 0.9)
    assert second["batch"] == 64


@pytest.mark.parametrize(
    ("stopping", "rule"),
    [
        (
            {"kind": "bandit", "slack_amount": 0.2, "delay_evaluation": 5},
            Bandit(slack_amount=0.2, delay_evaluation=5),
        ),
        ({"kind": "asha", "max_resource": 9, "variant": "promotion"}, Promotion(max_resource=9)),
        ({"kind": "hyperband", "max_resource": 81}, Hyperband(max_resource=81)),
        ({"kind": "median"}, MedianStopping()),
        ({"kind": "median", "variant": "amt"}, MedianStopping(variant="amt")),
        (
            {"kind": "truncation", "truncation_percentage": 20, "evaluation_interval": 3},
            TruncationSelection(truncation_percentage=20, evaluation_interval=3),
        ),
        ({"kind": "python", "early_stop": "operator:lt"}, None),
    ],
)
def test_every_rule_is_wired(document: dict[str, Any], stopping: dict[str, Any], rule: object) -> None:
    spec = parse({**document, "stopping": stopping})
    wired = search_of(spec)[0]
    assert wired == rule if rule else isinstance(wired, FunctionRule)
    assert parse(spec.document()) == spec


def test_a_function_is_found_beside_the_spec(
    tmp_path: Path, document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rules_of_mine.py").write_text("def hopeless(reports, best):\n    return True\nlimit = 3\n")
    monkeypatch.chdir(tmp_path)

    def rule(name: str) -> object:
        return search_of(parse({**document, "stopping": {"kind": "python", "early_stop": name}}))[0]

    assert isinstance(rule("rules_of_mine:hopeless"), FunctionRule)
    for name, words in {
        "rules_of_mine:hopless": "has no attribute 'hopless'",
        "rules_of_yours:hopeless": "No module named 'rules_of_yours'",
        "rules_of_mine:limit": "is no function",
    }.items():
        with pytest.raises(SpecError, match=words):
            rule(name)


OPTIMIZER = "space.optimizer.values"


@pytest.mark.parametrize(
    ("sections", "field", "words"),
    [
        ({"space": {"x": {"type": "normal", "mu": 0, "sigma": -1}}}, "space.x", "sigma -1.0 must be above 0"),
        ({"space": {"x": {"type": "normal", "mu": True, "sigma": 1}}}, "space.x", "mu true is not a number"),
        ({"space": {"x": {"type": "normal", "mu": 0}}}, "space.x.sigma", "is missing"),
        ({"space": {"x": {"type": "quniform", "lower": 0, "upper": 1, "Q": 1, "q": 1}}}, "space.x.Q", "'q'"),
        ({"space": {"x": {"type": "normla", "mu": 0, "sigma": 1}}}, "space.x.type", "'normal'"),
        (
            {"space": {"x": {"type": "choice", "values": {"a": {"y": {"type": "unifrom"}}}}}},
            "space.x.values.a.y.type",
            "'uniform'",
        ),
        (
            {"space": {"x": {"type": "choice", "values": {"a": {"y": {"type": "uniform", "lower": 0}}}}}},
            "space.x.values.a.y.upper",
            "is missing",
        ),
        (
            {
                "space": {
                    "x": {
                        "type": "choice",
                        "values": {"a": {"y": {"type": "choice", "values": {"b": {"z": [1]}}}}},
                    }
                }
            },
            "space.x.values.a.y.values.b.z",
            "type: choice",
        ),
        ({"space": {"x": {"type": "choice", "values": {"a": 3}}}}, "space.x.values.a", "not a mapping"),
        ({"space": {"x": {"type": "choice", "values": {}}}}, "space.x.values", "is empty"),
        (
            {"space": {"x": 1, "y": {"type": "choice", "values": {"a": {"x": 2}}}}},
            "space",
            "x stands in the space twice",
        ),
        (
            {"space": {"y": {"type": "choice", "values": {"a": {"x": 2}, "b": {"x": 3}}}}},
            "space",
            "x has two domains",
        ),
        (
            {"space": {"y": {"type": "choice", "values": {"a": {"x y": 2}}}}},
            'space.y.values.a["x y"]',
            "--argument",
        ),
        (
            {"space": {"y": {"type": "choice", "values": {"a": {"epochs": 2}}}}},
            "space.y.values.a.epochs",
            "constant 3",
        ),
        (
            {"sampler": {"kind": "grid"}, "space": {"x": {"type": "normal", "mu": 0, "sigma": 1}}},
            "space.x",
            "grid",
        ),
        (
            {
                "sampler": {"kind": "grid"},
                "space": {
                    "y": {
                        "type": "choice",
                        "values": {"a": {"x": {"type": "uniform", "lower": 0, "upper": 1}}},
                    }
                },
            },
            "space.y.values.a.x",
            "too many values for the sampler 'grid'",
        ),
        ({"points_to_evaluate": [{}, {"lr": 7}]}, "points_to_evaluate[1].lr", "7 is not in its domain"),
        ({"points_to_evaluate": [{"lrr": 0.1}]}, "points_to_evaluate[0].lrr", "the space has lr, batch"),
        ({"points_to_evaluate": [{"momentum": 0.9}]}, "points_to_evaluate[0].momentum", "not active here"),
        ({"points_to_evaluate": [{"batch": 65}]}, "points_to_evaluate[0].batch", "65 is not in its domain"),
        ({"points_to_evaluate": 3}, "points_to_evaluate", "list"),
        ({"stopping": {"kind": "bandit"}}, "stopping.slack_factor", "write one of the two"),
        (
            {"stopping": {"kind": "bandit", "slack_factor": 1, "slack_amount": 1}},
            "stopping.slack_factor",
            "both given",
        ),
        ({"stopping": {"kind": "bandit", "slack_factor": -1}}, "stopping.slack_factor", "at least 0"),
        (
            {"stopping": {"kind": "truncation", "truncation_percentage": 100}},
            "stopping.truncation_percentage",
            "at most 99",
        ),
        ({"stopping": {"kind": "median", "variant": "aws"}}, "stopping.variant", "'amt'"),
        (
            {"stopping": {"kind": "median", "evaluation_interval": 0}},
            "stopping.evaluation_interval",
            "at least 1",
        ),
        (
            {"stopping": {"kind": "python", "early_stop": "hopeless"}},
            "stopping.early_stop",
            "module:function",
        ),
        ({"stopping": {"kind": "medain"}}, "stopping.kind", "'median'"),
        ({"stopping": {"kind": "hyperband"}}, "stopping.max_resource", "is missing"),
        ({"stopping": {"kind": "asha"}}, "stopping.max_resource", "is missing"),
        (
            {"stopping": {"kind": "hyperband", "max_resource": 1}},
            "stopping.min_resource",
            "must be less than stopping.max_resource",
        ),
        (
            {"stopping": {"kind": "hyperband", "max_resource": 2}},
            "stopping.reduction_factor",
            "3 x stopping.min_resource 1 is more than stopping.max_resource, 2, so no trial is ever compared",
        ),
        (
            {"stopping": {"kind": "asha", "variant": "promotion", "max_resource": 8, "min_resource": 3}},
            "stopping.reduction_factor",
            "3 x stopping.min_resource 3",
        ),
        ({"limits": {"max_trials": 8, "target": -0.5}}, "stopping.slack_factor", "limits.target is -0.5"),
        (
            {"objective": {"metric": "neg_log_loss", "mode": "max"}, "metrics": []},
            "stopping.slack_factor",
            "'neg_log_loss' can be negative",
        ),
        ({"objective": {"metric": "acc", "mode": "max", "nan": "bad"}}, "objective.nan", "'ignore'"),
        (
            {"limits": {"max_trials": 8, "max_trials_without_improvement": 0}},
            "limits.max_trials_without_improvement",
            "at least 1",
        ),
        (
            {
                "limits": {"max_trials": 99, "min_gain_per_dollar": 0.001},
                "objective": {
                    "metric": "acc",
                    "mode": "max",
                    "others": [{"metric": "seconds", "mode": "min"}],
                },
                "metrics": [],
            },
            "limits.min_gain_per_dollar",
            "goes by one objective",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    document: dict[str, Any], sections: dict[str, Any], field: str, words: str
) -> None:
    if "space" in sections:
        document["points_to_evaluate"] = []
    found = problems({**document, **sections})
    assert list(found) == [field]
    assert words.replace("'", '"') in found[field].replace("'", '"')


def test_the_same_point_twice(document: dict[str, Any]) -> None:
    point = {"lr": 0.1, "batch": 64, "optimizer": "adafactor"}
    found = problems({**document, "points_to_evaluate": [{}, point, {}, point]})
    assert found == {"points_to_evaluate[3]": "is the same as points_to_evaluate[1] → write each point once"}


def test_the_same_point_in_another_spelling(document: dict[str, Any]) -> None:
    document["space"] = {"x": {"type": "quniform", "lower": 0, "upper": 1, "q": 0.5}}
    found = problems({**document, "points_to_evaluate": [{"x": 1}, {"x": 1.0}]})
    assert found == {"points_to_evaluate[1]": "is the same as points_to_evaluate[0] → write each point once"}


def test_a_nested_domain_can_be_set_from_the_command_line(path: Path) -> None:
    spec = load(path, overrides=[f"{OPTIMIZER}.adam.beta1.upper=0.9", "limits.target=0.5"])
    assert "upper=0.9" in repr(spec.to_space().domains["beta1"])
    assert spec.limits.target == 0.5
    with pytest.raises(SpecError, match="did you mean 'upper'"):
        load(path, overrides=[f"{OPTIMIZER}.adam.beta1.uper=0.9"])


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("median_stopping", "median"), ("truncation_selection", "truncation"), ("medain", "median")],
)
def test_the_longer_name_of_another_product_leads_to_ours(theirs: str, ours: str) -> None:
    known = ["none", "asha", "bandit", "median", "truncation", "mo_asha"]
    assert nearest(theirs, known) == f"did you mean {ours!r}?"
