"""Where the jobs of a spec run: one section or several, and what once was written in the estimator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trialjob import Container, Local, SageMaker, Tuner
from trialjob.config import choose, load, old_places, parse
from trialjob.config.overrides import apply_overrides
from trialjob.config.plugins import once_in_estimator
from trialjob.errors import SpecError

ESTIMATOR: dict[str, Any] = {
    "kind": "container",
    "image_uri": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8.0-gpu-py312",
    "entrypoint": ["true"],
}
MACHINES: dict[str, Any] = {
    "role": "arn:aws:iam::123456789012:role/SageMakerExecution",
    "instance_type": "ml.g5.xlarge",
    "keep_alive": "4m",
    "tags": {"team": "vision"},
    "request": {"RetryStrategy": {"MaximumRetryAttempts": 2}},
}
CLOUD: dict[str, Any] = {"kind": "sagemaker", "s3_uri": "s3://bucket/tuning"}
SEVERAL: dict[str, Any] = {"here": {"kind": "local", "gpus_per_trial": 1}, "cloud": {**CLOUD, **MACHINES}}


def document(estimator: dict[str, Any] | None = None, **sections: object) -> dict[str, Any]:
    return {
        "name": "digits",
        "estimator": {**ESTIMATOR, **(estimator or {})},
        "space": {"x": {"type": "uniform", "lower": 0, "upper": 1}},
        "objective": {"metric": "acc", "mode": "max"},
        "metrics": [{"name": "acc", "regex": "acc=({number})"}],
        "limits": {"max_trials": 3},
        **sections,
    }


def problems(given: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(SpecError) as caught:
        parse(given)
    return {each.field: f"{each.message} → {each.remedy}" for each in caught.value.problems}


# What once was written in the estimator


def test_what_stood_in_the_estimator_means_the_same_in_the_backend() -> None:
    old = parse(document(MACHINES, backend=CLOUD))
    new = parse(document(backend={**CLOUD, **MACHINES}))
    assert old == new
    assert old.document() == new.document()
    assert parse(old.document()) == old
    assert not once_in_estimator().keys() & old.document()["estimator"].keys()  # type: ignore[union-attr]


def test_one_line_says_where_it_lives_now_but_not_for_a_journal() -> None:
    given = document(MACHINES, backend=CLOUD)
    (line,) = old_places(parse(given))
    assert "role, instance_type, keep_alive, tags, request" in line.message
    assert "lives in backend now" in line.message
    assert old_places(parse(given, recorded=True)) == []
    assert old_places(parse(document(backend={**CLOUD, **MACHINES}))) == []


def test_this_machine_has_no_use_for_it_and_says_what_is_wrong_with_it_all_the_same() -> None:
    assert parse(document(MACHINES)).backend == Local()
    assert "whole number" in problems(document({"instance_count": "x"}))["estimator.instance_count"]


@pytest.mark.parametrize(("old", "new"), [("4m", 240), ("4m", "240s"), (240, "4m")])
def test_the_same_in_both_places_is_taken(old: object, new: object) -> None:
    spec = parse(document({"keep_alive": old}, backend={**CLOUD, **MACHINES, "keep_alive": new}))
    assert isinstance(spec.backend, SageMaker)
    assert spec.backend.keep_alive == 240


def test_unlike_values_in_both_places_are_an_error_that_names_both() -> None:
    found = problems(document({"keep_alive": "5m"}, backend={**CLOUD, **MACHINES}))
    assert 'backend.keep_alive says: "5m" and "4m"' in found["estimator.keep_alive"]
    assert "remove estimator.keep_alive" in found["estimator.keep_alive"]


@pytest.mark.parametrize(
    ("machines", "field"),
    [
        ({"keep_alive": "soon"}, "keep_alive"),
        ({"spot": {"max_wait": "soon"}}, "spot.max_wait"),
        ({"spot": {"max_wait": "2h", "maximum": 5}}, "spot.maximum"),
        ({"tags": {"cost": 5}}, "tags.cost"),
        ({"subnets": [5]}, "subnets[0]"),
    ],
)
def test_a_problem_is_told_where_it_was_written(machines: dict[str, Any], field: str) -> None:
    assert f"estimator.{field}" in problems(document({**MACHINES, **machines}, backend=CLOUD))
    assert f"backend.{field}" in problems(document(backend={**CLOUD, **MACHINES, **machines}))
    several = {**SEVERAL, "cloud": {**CLOUD, **MACHINES, **machines}}
    for chosen in ("here", "cloud"):
        assert f"backends.cloud.{field}" in problems(document(backends=several, backend=chosen))


def test_what_is_missing_is_asked_for_at_its_new_place() -> None:
    given = {**CLOUD, "region": "eu-west-1"}
    assert {"backend.role", "backend.instance_type"} == problems(document(backend=given)).keys()


def test_a_misspelt_key_is_told_its_new_place() -> None:
    found = problems(document({"instance_typ": "x"}, backend={**CLOUD, **MACHINES}))
    assert "did you mean 'backend.instance_type'?" in found["estimator.instance_typ"]


@pytest.mark.parametrize("place", ["estimator", "backend"])
@pytest.mark.parametrize("written", ["estimator", "backend"])
def test_an_override_wins_at_either_place(place: str, written: str) -> None:
    spot = {**MACHINES, "keep_alive": None, "spot": {"max_wait": "2h", "on_demand_after": 2}}
    old, new = (spot, CLOUD) if written == "estimator" else ({}, {**CLOUD, **spot})
    given = document(old, backend=dict(new))
    apply_overrides(given, [f"{place}.spot.max_wait=3h", f"{place}.instance_type=ml.p4d.24xlarge"], "")
    backend = parse(given).backend
    assert isinstance(backend, SageMaker)
    assert backend.spot is not None
    assert (backend.spot.max_wait, backend.spot.on_demand_after) == (10_800, 2)
    assert backend.instance_type == "ml.p4d.24xlarge"


def test_what_a_raw_request_says_is_overridden_in_the_backend() -> None:
    raw = {"RoleArn": "arn:aws:iam::123456789012:role/Old", "ResourceConfig": {"InstanceType": "ml.m5.large"}}
    raw["AlgorithmSpecification"] = {"TrainingImage": ESTIMATOR["image_uri"]}
    given = document(backend={**CLOUD, "instance_type": "ml.g5.xlarge"})
    given["estimator"] = {"kind": "request", "request": raw}
    spec = parse(given)
    assert isinstance(spec.backend, SageMaker)
    assert (spec.backend.role, spec.backend.instance_type) == (raw["RoleArn"], "ml.g5.xlarge")


# Several backends


@pytest.mark.parametrize(
    ("name", "kind", "role"), [("here", "local", None), ("cloud", "sagemaker", MACHINES["role"])]
)
def test_one_of_several_is_picked_by_its_name(name: str, kind: str, role: str | None) -> None:
    spec = parse(document(backends=SEVERAL, backend=name))
    assert (spec.backend.kind, getattr(spec.backend, "role", None)) == (kind, role)
    recorded = spec.document()
    assert recorded["backend"]["kind"] == kind  # type: ignore[index, call-overload]
    assert "backends" not in recorded
    assert parse(recorded) == spec


@pytest.mark.parametrize(
    ("sections", "field", "words"),
    [
        ({"backends": SEVERAL}, "backend", "backends has here, cloud"),
        ({"backends": SEVERAL, "backend": "clud"}, "backend", "did you mean 'cloud'?"),
        ({"backends": SEVERAL, "backend": {"kind": "local"}}, "backend", "put it under backends"),
        ({"backends": {}}, "backends", "write NAME: {kind: …} for each"),
        ({"backends": [{"kind": "local"}]}, "backends", "write NAME: {kind: …} for each"),
        ({"backends": {"cloud": {"s3_uri": "s3://bucket/x"}}}, "backends.cloud.kind", "is missing"),
        ({"backends": {**SEVERAL, "x": {"kind": "lokal"}}, "backend": "here"}, "backends.x.kind", "'local'"),
        ({"backends": {**SEVERAL, "x": 5}, "backend": "here"}, "backends.x", "is not a mapping"),
        ({"backends": {**SEVERAL, "x": CLOUD}, "backend": "here"}, "backends.x.role", "is missing"),
        ({"backend": "lokal"}, "backend.kind", "did you mean 'local'?"),
        ({"backend": None}, "backend", "is not a mapping"),
    ],
)
def test_a_choice_that_is_none_is_refused(sections: dict[str, Any], field: str, words: str) -> None:
    assert words in problems(document(**sections))[field]


def test_a_section_named_as_its_kind_need_not_repeat_it() -> None:
    assert parse(document(backends={"local": {}})).backend == Local()
    assert parse(document(backend="local")).backend == Local()


def test_machines_in_the_estimator_are_for_each_section_that_has_them() -> None:
    several = {"here": {"kind": "local"}, "a": CLOUD, "b": {**CLOUD, "s3_uri": "s3://bucket/other"}}
    for name in ("a", "b"):
        backend = parse(document(MACHINES, backends=several, backend=name)).backend
        assert isinstance(backend, SageMaker)
        assert backend.role == MACHINES["role"]


def test_the_command_line_picks_and_overrides_what_it_picked(tmp_path: Path) -> None:
    given = document(backends=SEVERAL, backend="here")
    choose(given, "cloud")
    apply_overrides(given, ["backend.keep_alive=5m", "backends.here.gpus_per_trial=0"], "")
    backend = parse(given).backend
    assert isinstance(backend, SageMaker)
    assert backend.keep_alive == 300
    path = tmp_path / "sweep.yaml"
    path.write_text("name: [")  # what is no YAML says so, whatever was picked
    with pytest.raises(SpecError):
        load(path, backend="cloud")


def test_where_there_is_one_section_a_kind_takes_its_place() -> None:
    given = document(backend={**CLOUD, **MACHINES})
    choose(given, "local")
    assert parse(given).backend == Local()
    kept = document(backend={**CLOUD, **MACHINES})
    choose(kept, "sagemaker")
    assert parse(kept) == parse(document(backend={**CLOUD, **MACHINES}))


def test_python_says_it_with_objects() -> None:
    spec = Tuner(
        estimator=Container(ESTIMATOR["image_uri"], entrypoint=["true"]),
        space={"x": {"type": "uniform", "lower": 0, "upper": 1}},
        objective={"metric": "acc", "mode": "max"},
        limits={"max_trials": 1},
        metrics={"acc": "acc=({number})"},
        backend="here",
        backends={"here": Local(gpus_per_trial=2), "there": {"kind": "local"}},
    ).spec
    assert spec.backend == Local(gpus_per_trial=2)
