from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from trialjob.backends.local.section import Local
from trialjob.config import ExperimentSpec, SourceSpec, differences, load, parse, warnings
from trialjob.config.spec import LimitsSpec
from trialjob.errors import SpecError
from trialjob.model.metric import Mode
from trialjob.model.space import Choice, LogUniform

SWEEP = """\
name: digits
estimator:
  kind: script
  source_dir: .
  entry_point: train.py
  hyperparameters: {epochs: 27}
space:
  lr:     {type: loguniform, lower: 1e-4, upper: 1.0}
  hidden: {type: choice, values: [16, 32, 64, 128]}
  fixed: adam
objective: {metric: val_accuracy, mode: max, resource: epoch}
metrics:
  - {name: val_accuracy, regex: "val_acc=({number})"}
sampler:  {kind: random, seed: 0}
stopping: {kind: asha, min_resource: 1, max_resource: 27, reduction_factor: 3}
limits:   {max_trials: 32, max_concurrent_trials: 2, timeout: 1h, trial_timeout: 10m, max_failures: 3}
backend:  {kind: local}
"""


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text("print('val_acc=0.5')\n")
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP)
    return path


@pytest.fixture
def document(sweep: Path) -> dict[str, Any]:
    return load(sweep).document()


def problems(document: dict[str, Any], *, files: bool = True) -> dict[str, str]:
    with pytest.raises(SpecError) as caught:
        parse(document, files=files)
    text = str(caught.value)
    assert "pydantic" not in text
    assert "http" not in text
    assert "Input should" not in text
    return {problem.field: f"{problem.message} → {problem.remedy}" for problem in caught.value.problems}


def changed(document: dict[str, Any], **sections: Any) -> dict[str, Any]:  # noqa: ANN401 - any mistake
    merged = dict(document)
    for name, value in sections.items():
        old = document.get(name)
        merged[name] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def test_the_example_becomes_a_spec(sweep: Path) -> None:
    spec = load(sweep)
    assert spec.name == "digits"
    assert spec.space["lr"] == LogUniform(lower=1e-4, upper=1.0)
    assert spec.space["fixed"] == Choice(values=("adam",))
    assert list(spec.to_space().domains) == ["lr", "hidden", "fixed"]
    assert spec.to_objective().mode is Mode.MAX
    assert spec.to_limits().timeout == 3600
    assert isinstance(spec.estimator, SourceSpec)
    assert spec.estimator.source_dir == str(sweep.parent.resolve())
    assert "{number}" not in spec.metric_definitions()[0].regex
    assert parse(spec.document()) == spec
    assert warnings(spec) == []


def test_every_problem_of_every_section_is_told_at_once(document: dict[str, Any]) -> None:
    wrong = changed(
        document,
        name="a/b",
        limits={"max_trial": 8, "max_failures": 0, "timeout": "soon"},
        space={"lr": {"type": "loguniform", "lower": 1, "upper": 0.1}, "bad": {"type": "unifrom"}},
        stopping={"kind": "asha", "max_resource": 1, "min_resource": 3},
        metrics=[{"name": "a", "regex": "("}, {"name": "a", "regex": "a"}],
        sampler={"kind": "grib"},
    )
    found = problems(wrong)
    assert set(found) == {
        "name",
        "limits.max_trial",
        "limits.max_failures",
        "limits.timeout",
        "space.lr",
        "space.bad.type",
        "stopping.min_resource",
        "objective.metric",
        "metrics[0].regex",
        "metrics[1].name",
        "metrics[1].regex",
        "sampler.kind",
    }
    assert "max_trials" in found["limits.max_trial"]
    assert '"soon"' in found["limits.timeout"]
    assert "1h30m" in found["limits.timeout"]
    assert "'uniform'" in found["space.bad.type"]
    assert "random, grid" in found["sampler.kind"]


@pytest.mark.parametrize(
    ("sections", "field", "words"),
    [
        ({"space": {"x": {"type": "uniform", "lower": 1, "upper": 1}}}, "space.x", "1.0"),
        ({"space": {"x": {"type": "loguniform", "lower": 0, "upper": 1}}}, "space.x", "above 0"),
        ({"space": {"x": {"type": "choice", "values": []}}}, "space.x", "empty"),
        ({"space": {"x": [1, 2]}}, "space.x", "type: choice"),
        ({"space": {"x": {"type": "uniform", "lower": True, "upper": 2}}}, "space.x", "lower true"),
        ({"space": {"x": {"type": "uniform", "lower": 0, "upper": 2, "uper": 2}}}, "space.x.uper", "upper"),
        ({"space": {"epochs": 3}}, "space.epochs", "27"),
        ({"space": {"--x": 3}}, "space.--x", "--argument"),
        ({"space": {"a b": 3}}, 'space["a b"]', "--argument"),
        ({"sampler": {"kind": "grid", "seed": 1}}, "sampler.seed", "kind"),
        ({"limits": {"max_concurrent_trials": 33}}, "limits.max_concurrent_trials", "32"),
        ({"limits": {"max_trials": "8"}}, "limits.max_trials", "whole number"),
        ({"limits": {"max_trials": True}}, "limits.max_trials", "whole number"),
        ({"limits": {"trial_timeout": -1}}, "limits.trial_timeout", "-1"),
        ({"stopping": {"reduction_factor": 1.5}}, "stopping.reduction_factor", "1.5"),
        ({"stopping": {"kind": []}}, "stopping.kind", "asha"),
        ({"objective": {"metric": "epoch"}}, "objective.metric", "resource"),
        ({"objective": {"mode": "maximize"}}, "objective.mode", "'max'"),
        ({"estimator": {"environment": {"A": 4}}}, "estimator.environment.A", "quotes"),
        ({"estimator": {"environment": {"A-B": "4"}}}, "estimator.environment.A-B", "digits"),
        ({"estimator": {"kind": "skript"}}, "estimator.kind", "'script'"),
        ({"estimator": {"entry_point": "../x"}}, "estimator.entry_point", "inside"),
        ({"estimator": {"entry_point": "trian.py"}}, "estimator.entry_point", "'train.py'"),
        ({"estimator": {"source_dir": "/nowhere/at-all"}}, "estimator.source_dir", "does not exist"),
        ({"estimator": {"source_dir": "x" * 5000}}, "estimator.source_dir", "does not exist"),
        ({"estimator": {"python": "/no/python"}}, "estimator.python", "interpreter"),
        ({"estimator": {"hyperparameters": {"x": float("nan")}}}, "estimator.hyperparameters.x", "nan"),
        ({"estimator": {"hyperparameters": {"x": "\0"}}}, "estimator.hyperparameters.x", "NUL"),
        ({"estimator": {"hyperparameters": {"x": 10**5000}}}, "estimator.hyperparameters.x", "64 bits"),
        ({"estimator": 3}, "estimator", "mapping"),
        ({"metrics": 3}, "metrics", "list"),
        ({"backend": {"kind": "cloud"}}, "backend.kind", "local"),
        ({"nmae": 1}, "nmae", "'name'"),
    ],
)
def test_a_mistake_is_named_where_it_is(
    document: dict[str, Any], sections: dict[str, Any], field: str, words: str
) -> None:
    found = problems(changed(document, **sections))
    assert list(found) == [field]
    assert words in found[field]


@pytest.mark.parametrize("value", [math.inf, math.nan, 2**70])
def test_quotes_are_advised_only_where_a_text_is_taken(document: dict[str, Any], value: float) -> None:
    def advised(**sections: Any) -> bool:  # noqa: ANN401
        with pytest.raises(SpecError) as raised:
            parse(changed(document, **sections))
        return any("quote" in problem.remedy for problem in raised.value.problems)

    assert not advised(limits={"target": value})
    assert not advised(limits={"max_trials": value})
    assert not advised(space={"x": {"type": "uniform", "lower": 0, "upper": value}})
    assert advised(space={"x": {"type": "choice", "values": [1, value]}})
    assert advised(estimator={"hyperparameters": {"x": value}})
    quoted = {"x": {"type": "choice", "values": [1, str(value)]}}
    assert "x" in parse(changed(document, space=quoted)).space


def test_an_empty_space_and_a_missing_section(document: dict[str, Any]) -> None:
    assert "space" in problems({**document, "space": {}})
    del document["limits"]
    assert "max_trials" in problems(document)["limits"]


def test_a_grid_needs_values_to_count(document: dict[str, Any]) -> None:
    assert "grid" in problems({**document, "sampler": {"kind": "grid"}})["space.lr"]


def test_asha_needs_max_resource(document: dict[str, Any]) -> None:
    assert "missing" in problems({**document, "stopping": {"kind": "asha"}})["stopping.max_resource"]


def test_files_are_not_looked_at_for_an_experiment_from_elsewhere(document: dict[str, Any]) -> None:
    document["estimator"]["source_dir"] = "/nowhere"
    estimator = parse(document, files=False).estimator
    assert isinstance(estimator, SourceSpec)
    assert estimator.source_dir == "/nowhere"


def test_overrides(sweep: Path) -> None:
    spec = load(
        sweep,
        overrides=[
            "limits.max_trials=8",
            "space.lr.upper=0.1",
            "estimator.hyperparameters.epochs=3",
            "estimator.hyperparameters.new=[1]",
            "metrics[0].regex='acc: ({number})'",
            "stopping.kind=none",
            "backend.stop_grace=500ms",
        ],
    )
    assert spec.limits.max_trials == 8
    assert spec.space["lr"] == LogUniform(lower=1e-4, upper=0.1)
    assert spec.estimator.hyperparameters == {"epochs": 3, "new": [1]}
    assert spec.metrics[0].regex == "acc: ({number})"
    assert spec.stopping.kind == "none"
    assert isinstance(spec.backend, Local)
    assert spec.backend.stop_grace == 0.5


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("limits.max_trial=8", "'max_trials'"),
        ("space.lrr.upper=8", "'lr'"),
        ("limit.max_trials=8", "'limits'"),
        ("limits.max_trials", "PATH=VALUE"),
        ("=3", "PATH=VALUE"),
        ("limits.max_trials=", "PATH=VALUE"),
        ("limits.timeout= ", "limits.timeout=null"),
        ("name.x=3", "no parts"),
        ("metrics[7].regex=3", "places"),
        ("metrics.regex=3", "places"),
        ("metrics.0.regex=3", "metrics[0]"),
        ("limits[0]=3", "no list"),
        ("limits.max_trials=[", "line 1"),
        ("a..b=3", "PATH=VALUE"),
    ],
)
def test_an_override_without_a_place_is_refused(sweep: Path, override: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        load(sweep, overrides=[override])
    assert words in str(caught.value)
    assert "--set" in str(caught.value)


def test_differences_are_flat(sweep: Path) -> None:
    old = load(sweep).document()
    new = load(sweep, overrides=["space.lr.upper=0.1", "estimator.hyperparameters.x=null"]).document()
    assert [str(one) for one in differences(old, new)] == [
        "estimator.hyperparameters.x: (absent) → null",
        "space.lr.upper: 1.0 → 0.1",
    ]
    assert differences(old, old) == []


@pytest.mark.parametrize(
    ("regex", "doubt"),
    [
        ("acc=([0-9.]+)", "9.5e-05"),
        (r"acc=(\d+)", "-0.5"),
        (r"(?:x|[(])acc=(-?\d+\.\d+)", "1e-4"),
        ("(train|val)_acc=({number})", "write (?:train|val)_acc=({number}),"),
        (r"(?P<part>val (\w+)) acc=(-?\d+\.?\d*)", r"write (?:val (?:\w+)) acc=(-?\d+\.?\d*),"),
        (r"epoch (\d+) .*acc=({number})", r"write epoch (?:\d+) .*acc=({number}),"),
        ("(acc=({number}))", "write (?:acc=({number})),"),
        ("(acc) is {number}", "write ({number}) for the group"),
        ("acc=({number})", None),
        (r"\((?P<v>.*?)\)", None),
        ("(?i)acc=(\\S+)", None),
        (r"(a)\1|(?x) # (", None),
    ],
)
def test_narrow_groups_are_doubtful(document: dict[str, Any], regex: str, doubt: str | None) -> None:
    document["metrics"] = [{"name": "val_accuracy", "regex": regex}]
    try:
        found = warnings(parse(document))
    except SpecError:
        assert "(?x)" in regex
        return
    assert [doubt in str(problem) for problem in found if doubt] == ([True] if doubt else [])


def test_whole_numbers_are_enough_for_the_resource(document: dict[str, Any]) -> None:
    document["metrics"].append({"name": "epoch", "regex": r"epoch (\d+)"})
    assert warnings(parse(document)) == []


def test_a_name_with_nothing_behind_it_is_doubtful(document: dict[str, Any]) -> None:
    document["space"]["momentum"] = None
    [doubt] = warnings(parse(document))
    assert str(doubt).startswith("space.momentum: has no domain, so no trial is given it")
    document["space"]["momentum"] = {"type": "choice", "values": [None, 0.9]}
    assert warnings(parse(document)) == []


def test_no_metric_in_sight(document: dict[str, Any], sweep: Path) -> None:
    document["metrics"] = []
    assert "no metric in sight" in warnings(parse(document))[0].message
    (sweep.parent / "train.py").write_text("from trialjob.reporting.keras import TrialjobCallback\n")
    assert warnings(parse(document)) == []


def test_a_spec_is_frozen(sweep: Path) -> None:
    spec: ExperimentSpec = load(sweep)
    with pytest.raises(ValueError, match="frozen"):
        spec.name = "other"


@pytest.mark.parametrize("rule", ["none", "median"])
@pytest.mark.parametrize("field", [*LimitsSpec.model_fields])
def test_a_limit_of_null_is_no_limit_or_an_error(sweep: Path, field: str, rule: str) -> None:
    said = [f"stopping.kind={rule}", f"limits.{field}=null"]
    if field in ("max_trials", "max_concurrent_trials", "max_failures", "trial_timeout"):
        with pytest.raises(SpecError, match=f"limits.{field}: (null is not a|has no value)"):
            load(sweep, overrides=said)
    else:
        assert getattr(load(sweep, overrides=said).to_limits(), field) in (None, "none")


@pytest.mark.parametrize(("rule", "deadline"), [("none", None), ("median", 14_400)])
def test_what_a_journal_of_before_left_out_means_what_it_meant(
    sweep: Path, rule: str, deadline: float | None
) -> None:
    spec = load(sweep, overrides=[f"stopping.kind={rule}"])
    assert spec.to_limits().metric_deadline == deadline
    document: dict[str, Any] = spec.document()
    document["limits"]["metric_deadline"] = None  # as every document had it
    assert parse(document, recorded=True).to_limits().metric_deadline == deadline


@pytest.mark.parametrize(
    ("key", "value", "field"),
    [
        ("source_dir", ".", "estimator.source_dir"),
        ("python", "./bin/python", "estimator.python"),
        ("inputs", {"train": "data"}, "estimator.inputs.train"),
    ],
)
def test_a_path_that_no_journal_can_hold_is_refused(key: str, value: object, field: str) -> None:
    given = {"estimator": {"kind": "script", "entry_point": "train.py", key: value}}
    with pytest.raises(SpecError, match="no UTF-8: /caf") as caught:
        parse(given, base=Path("/caf\udce9"))
    assert [problem.field for problem in caught.value.problems] == [field]
