"""Every remedy that is printed for a spec is carried out here, word for word, and the complaint is gone."""

from __future__ import annotations

import re
import shlex
import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from trialjob.config import load, parse
from trialjob.config.error_messages import OR_NULL
from trialjob.config.grammar import takes_null
from trialjob.config.paths import parse_path
from trialjob.config.spec import LimitsSpec
from trialjob.errors import Problem, SpecError
from trialjob.model.durations import FORMS
from trialjob.model.space import Uniform

ROOT = Path(__file__).parents[2]
SWEEP = """\
name: digits
estimator:
  kind: script
  source_dir: .
  entry_point: train.py
  hyperparameters: {epochs: 27}
  environment: {}
space:
  lr: {type: loguniform, lower: 1e-4, upper: 1.0}
  units: {type: randint, lower: 1, upper: 64}
  hidden: {type: choice, values: [16, 32]}
objective: {metric: val_accuracy, mode: max, resource: epoch}
metrics:
  - {name: val_accuracy, regex: "val_acc=({number})"}
sampler: {kind: random, seed: 0}
stopping: {kind: asha, min_resource: 1, max_resource: 27, reduction_factor: 3}
limits: {max_trials: 32, max_concurrent_trials: 2, timeout: 1h, trial_timeout: 10m, max_failures: 3}
backend: {kind: local}
"""
BIG = "9" * 30
UNFIT = [BIG, f"-{BIG}", "9" * 5000, "2024-01-01", "2024-99-99", ".nan", "-.inf"]
PLACES = [
    "name",
    "estimator.hyperparameters.x",
    "estimator.environment.X",
    "estimator.kind",
    "space.lr.lower",
    "space.lr.upper",
    "space.lr.type",
    "space.units.upper",
    "space.hidden.values",
    "space.hidden.values[1]",
    "objective.mode",
    "metrics[0].regex",
    "sampler.kind",
    "sampler.seed",
    "stopping.max_resource",
    "stopping.reduction_factor",
    "limits.max_trials",
    "limits.max_failures",
    "limits.max_cost",
    "limits.timeout",
    "backend.poll_interval",
]


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text("print('val_acc=0.5')\n")
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP)
    return path


def complaint(sweep: Path, overrides: list[str], field: str) -> Problem | None:
    """What is said at ``field`` of the sweep, if anything."""
    try:
        load(sweep, overrides=overrides)
    except SpecError as error:
        return next((problem for problem in error.problems if problem.field == field), None)
    return None


def as_told(remedy: str, value: str) -> str:
    """What a reader who does as ``remedy`` says would write instead of ``value``, as YAML."""
    remedy = remedy.removesuffix(OR_NULL)  # which has a test of its own
    if remedy == "put it in quotes":
        return f'"{value}"'
    if bound := re.fullmatch(
        r"write a (?:value|number) (?:of )?(?:at (?:least|most)|above) (-?\d+)(?:\.0)?", remedy
    ):
        return str(int(bound[1]) + ("above" in remedy))
    if digits := re.fullmatch(r"write a number of at most (\d+) digits", remedy):
        return "9" * (int(digits[1]) if not value.startswith("-") else 1)
    if named := re.search(r"did you mean '([^']+)'|^write '([^']+)'|known: (\w+)", remedy):
        return next(word for word in named.groups() if word)
    known = {
        FORMS: "90s",
        "write a name such as digits-1": "digits-1",
        "put the number in a group: loss=({number})": "loss=({number})",
        "write a whole number": "9",
        "write a number": "9",
        "write a number without quotes": "9",
        "write a finite number": "9",
        "write a list: [a, b]": "[a, b]",
        "put the value in quotes": f'"{value}"',
        "write true or false": "true",
    }
    assert remedy in known, f"no test carries out: {remedy}"
    return known[remedy]


@pytest.mark.parametrize("value", UNFIT, ids=lambda value: value[:12])
@pytest.mark.parametrize("place", PLACES)
def test_what_no_spec_can_hold_is_replaced_as_told(sweep: Path, place: str, value: str) -> None:
    found = complaint(sweep, [f"{place}={value}"], place)
    assert found is not None
    assert found.message
    again = complaint(sweep, [f"{place}={as_told(found.remedy, value)}"], place)
    assert again is None, f"{found} was followed, and then: {again}"


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("limits.max_trials", "0"),
        ("limits.max_trials", "1000000"),
        ("limits.max_trials", '"8"'),
        ("limits.max_trials", "true"),
        ("limits.max_failures", "-1"),
        ("limits.timeout", "soon"),
        ("limits.trial_timeout", "-1"),
        ("limits.max_cost", "0"),
        ("limits.max_cost", "x"),
        ("sampler.seed", "1.5"),
        ("sampler.kind", "randon"),
        ("stopping.kind", "ahsa"),
        ("backend.kind", "lokal"),
        ("objective.mode", "maximize"),
        ("space.hidden.values", "3"),
        ("space.lr.type", "loguniforn"),
        ("estimator.environment.A", "4"),
        ("estimator.environment.A", "true"),
        ("estimator.entry_point", "trian.py"),
        ("estimator.kind", "skript"),
    ],
)
def test_a_mistake_is_mended_as_told(sweep: Path, place: str, value: str) -> None:
    found = complaint(sweep, [f"{place}={value}"], place)
    assert found is not None
    again = complaint(sweep, [f"{place}={as_told(found.remedy, value)}"], place)
    assert again is None, f"{found} was followed, and then: {again}"


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("space.lr.upper", "upper: 10"),
        ("space.units.lower", "lower: 1"),
        ("limits.max_trials", "max_trials: 32"),
        ("stopping.max_resource", "max_resource: 27"),
        ("metrics[0].name", "name: val_accuracy"),
        ("name", "name: digits-1"),
    ],
)
def test_where_a_value_was_forgotten_it_is_told_what_may_stand_there(
    sweep: Path, place: str, line: str
) -> None:
    found = complaint(sweep, [f"{place}=null"], place)
    assert found is not None
    assert (found.message, found.remedy) == ("has no value", f"write {line}")
    assert complaint(sweep, [f"{place}={line.partition(': ')[2]}"], place) is None


@pytest.mark.parametrize(("theirs", "ours"), [("min", "lower"), ("max", "upper"), ("max_value", "upper")])
def test_bounds_by_the_names_of_others_are_told_ours(sweep: Path, theirs: str, ours: str) -> None:
    found = complaint(sweep, [f"space.lr={{{theirs}: 0.1, type: uniform}}"], f"space.lr.{theirs}")
    assert found is not None
    assert found.remedy == f"write {ours}, with the same value"


NO_LIMIT = [f"limits.{key}" for key in LimitsSpec.model_fields if takes_null(["limits", key], None)]


@pytest.mark.parametrize("value", ["none", "unlimited", "0", "-1", "false"])
@pytest.mark.parametrize("place", [*NO_LIMIT, "sampler.seed"])
def test_where_no_limit_is_meant_it_is_told_how_to_write_that(sweep: Path, place: str, value: str) -> None:
    found = complaint(sweep, [f"{place}={value}"], place)
    if found is None:
        assert value in ("0", "-1")  # a number as any other
        return
    assert found.remedy.endswith(OR_NULL)
    assert complaint(sweep, [f"{place}=null"], place) is None


@pytest.mark.parametrize(
    ("place", "value"), [("limits.max_trials", "none"), ("limits.trial_timeout", "none")]
)
def test_where_there_is_always_a_limit_it_is_not(sweep: Path, place: str, value: str) -> None:
    found = complaint(sweep, [f"{place}={value}"], place)
    assert found is not None
    assert OR_NULL not in found.remedy


def test_a_hyperparameter_is_added_as_told(sweep: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load(sweep, overrides=["space.lrr=0.1"])
    (found,) = caught.value.problems
    assert found.remedy.startswith("did you mean 'lr'?; a new one is given as a whole: ")
    _option, new = shlex.split(found.remedy.partition("a whole: ")[2])
    assert load(sweep, overrides=[new]).space["lrr"] == Uniform(lower=0, upper=1)
    nested = "space.opt={type: choice, values: {sgd: {}, adam: {}}}"
    inner = "space.opt.values.sgd.momentum={type: uniform, lower: 0, upper: 0.9}"
    added = load(sweep, overrides=[nested, inner]).document()["space"]["opt"]["values"]["sgd"]  # type: ignore[index, call-overload]
    assert [*added] == ["momentum"]


@pytest.mark.parametrize(
    "place",
    ["limits.max_trails", "sampler.sed", "metrics[0].regexp", "space.lr.uper", "nmae", "stopping.kin"],
)
def test_a_key_that_is_close_is_the_one_that_is_meant(sweep: Path, place: str) -> None:
    document: dict[str, Any] = load(sweep).document()
    *outer, key = parse_path(place) or []
    holder: Any = document
    for part in outer:
        holder = holder[part]
    wrong = deepcopy(document)
    at: Any = wrong
    for part in outer:
        at = at[part]
    at[key] = 1
    with pytest.raises(SpecError) as caught:
        parse(wrong)
    remedy = next(problem.remedy for problem in caught.value.problems if problem.field == place)
    meant = re.fullmatch(r"did you mean '(\w+)'\?", remedy)
    assert meant is not None
    del at[key]
    at[meant[1]] = holder[meant[1]]
    parse(wrong)


@pytest.mark.parametrize(
    "section",
    [
        *(f"stopping={{kind: {kind}}}" for kind in ("asha", "truncation", "python", "pbt", "hyperband")),
        *(f"space.x={{type: {kind}}}" for kind in ("uniform", "qnormal", "lograndint", "choice", "grid")),
        *("objective={}", "limits={}", "estimator={kind: script}", "metrics=[{}]", "on_log=[{}]"),
        *("estimator={kind: pytorch}", "estimator={kind: huggingface}", "estimator={kind: function}"),
    ],
)
def test_what_is_missing_is_written_as_told(sweep: Path, section: str) -> None:
    with pytest.raises(SpecError) as caught:
        load(sweep, overrides=[section])
    told = {each.field: each.remedy for each in caught.value.problems if each.message == "is missing"}
    assert told
    pairs = [remedy.removeprefix("write ").partition(": ") for remedy in told.values()]
    written = [f"{field}={example}" for field, (_, _, example) in zip(told, pairs, strict=True)]
    assert [each for each in told if complaint(sweep, [section, *written], each)] == []


@pytest.mark.parametrize(("place", "kind"), [("sampler", "tpe"), ("stopping", "none")])
def test_a_kind_alone_is_told_as_a_section(sweep: Path, place: str, kind: str) -> None:
    found = complaint(sweep, [f"{place}={kind}"], place)
    assert found is not None
    load(sweep, overrides=[f"{place}={found.remedy.removeprefix('write ')}"])


def test_a_point_outside_is_told_its_domain(sweep: Path) -> None:
    found = complaint(sweep, ["points_to_evaluate=[{lr: 5}]"], "points_to_evaluate[0].lr")
    assert found is not None
    assert 'its domain (lower 0.0001, upper 1.0, type "loguniform")' in found.remedy


def test_a_word_that_cannot_be_read_is_named_with_its_line(sweep: Path) -> None:
    path = sweep
    path.write_text(SWEEP.replace("max_trials: 32", "max_trials: 2024-99-99"))
    with pytest.raises(SpecError) as caught:
        load(path)
    (found,) = caught.value.problems
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if "2024" in text)
    assert (found.field, found.remedy) == ("limits.max_trials", "write a whole number")
    assert f'line {line}: "2024-99-99"' in found.message


def test_thousands_of_dates_are_told_soon(sweep: Path) -> None:
    dates = ", ".join(["2024-01-01"] * 20_000)
    with pytest.raises(SpecError) as caught:
        load(sweep, overrides=[f"space.hidden.values=[{dates}]"])
    assert len(caught.value.problems) == 21
    assert "19,980 more" in str(caught.value)


def test_every_extra_that_a_remedy_installs_is_there_to_install() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    named = {
        extra
        for path in (ROOT / "src").rglob("*.py")
        for listed in re.findall(r"trialjob\[([a-z,-]+)\]", path.read_text())
        for extra in listed.split(",")
    }
    assert named
    assert named <= set(extras)
