"""Every field of the schema is given what it cannot be, and what is told is done: the complaint is gone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

import trialjob
from trialjob.config import parse
from trialjob.config.error_messages import NOT_KNOWN, OR_NULL
from trialjob.config.paths import parse_path
from trialjob.config.yaml_text import load_yaml
from trialjob.errors import Problem, SpecError
from trialjob.model.durations import FORMS

SCHEMA = json.loads((Path(trialjob.__file__).parent / "spec.schema.json").read_text(encoding="utf-8"))
SPEC = """
name: digits
estimator: {kind: container, image_uri: team/image:1, entrypoint: [train]}
space: {lr: {type: uniform, lower: 1, upper: 10}}
objective: {metric: loss, mode: min, resource: epoch}
metrics: [{name: loss, regex: "loss=({number})"}, {name: size, regex: "size=({number})"}]
limits: {max_trials: 32}
on_log: [{match: out of memory, then: no_retry}]
engine: {kind: trialjob}
mlflow: {}
notify: {webhook: https://host/path}
"""
SAGEMAKER = {
    "kind": "sagemaker",
    "s3_uri": "s3://bucket/tuning",
    "role": "arn:aws:iam::123456789012:role/SageMakerExecution",
    "instance_type": "ml.m5.large",
}
#: What is missing in a section of nothing but its kind.
NEEDED = {
    "lower": 1, "upper": 10, "mu": 0, "sigma": 1, "q": 1, "values": [1, 2], "max_resource": 27,
    "slack_factor": 0.1, "truncation_percentage": 20, "early_stop": "rules:early_stop",
    "perturbation_interval": 4, "folder": "/shared/jobs", "source_dir": ".", "entry_point": "train.py",
    "function": "train:run", "framework_version": "2.8.0", "transformers_version": "4.56.2",
    "pytorch_version": "2.8.0", "image_uri": "team/image:1",
}  # fmt: skip
UNFIT: tuple[Any, ...] = (None, "soon", "none", "", "8", True, -1, 0, 1.5, 1e-9, 10**9, [], [1], {}, {"a": 1})
TOLD = {
    FORMS: "90s",
    "write a whole number": 9,
    "write a number": 9,
    "write a number without quotes": 9,
    "write true or false": True,
    "write a list: [a, b]": ["a", "b"],
    "write a text": "a",
    "write {secret: VARIABLE}, {secret: {ssm: /path}} or {secret: {secretsmanager: id}}": {
        "secret": "VARIABLE"
    },
}


def spec() -> dict[str, Any]:
    document: Any = load_yaml(SPEC, "")
    return dict(document)


def with_section(place: str, section: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever stands in a spec
    """The spec with ``section`` there."""
    document = spec()
    *outer, last = parse_path(place) or []
    at(document, outer)[last] = section
    return document


def at(document: Any, path: list[Any]) -> Any:  # noqa: ANN401 - as above
    for part in path:
        document = document[part]
    return document


def sections() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The name of each section's definition, its place, and a spec that has it."""
    parts = {
        "objective": "ObjectiveSpec",
        "limits": "LimitsSpec",
        "engine": "EngineSpec",
        "mlflow": "MlflowSpec",
    }
    parts |= {"notify": "NotifySpec", "metrics[0]": "MetricSpec", "on_log[0]": "OnLogSpec"}
    for place, name in parts.items():
        yield name, place, spec()
    for name, definition in SCHEMA["$defs"].items():
        known = definition.get("properties", {})
        needed = {key: value for key, value in NEEDED.items() if key in definition.get("required", ())}
        sort, _, kind = name.partition(".")
        if kind == "bandit":
            needed["slack_factor"] = NEEDED["slack_factor"]
        if sort in {"sampler", "stopping"}:
            document = with_section(sort, {"kind": kind, **needed})
            document["space"] |= {"lr": {"type": "choice", "values": [1, 2]}} if kind == "grid" else {}
            document["limits"] |= {"max_concurrent_trials": 4} if kind == "pbt" else {}
            document["objective"] |= (
                {"others": [{"metric": "size", "mode": "min"}]} if kind == "mo_asha" else {}
            )
            yield name, sort, document
        elif sort == "backend":
            section = SAGEMAKER if kind == "sagemaker" else {"kind": kind, **needed}
            yield name, "backend", with_section("backend", dict(section))
            several = {"here": {"kind": "local"}, "the b.c": dict(section)}
            yield name, 'backends["the b.c"]', {**with_section("backends", several), "backend": "the b.c"}
        elif "type" in known and "kind" not in known:
            needed |= {"lower": 0.1, "upper": 0.9} if name == "ReverseLogUniform" else {}
            needed |= {"values": {"a": {}, "b": {"y": 1}}} if name == "BranchesSpec" else {}
            yield name, "space.x", with_section("space.x", {"type": known["type"]["const"], **needed})
    for name, kind in (
        ("ScriptSpec", "script"),
        ("FrameworkSpec", "pytorch"),
        ("HuggingFaceSpec", "huggingface"),
    ):
        needed = {key: NEEDED[key] for key in SCHEMA["$defs"][name].get("required", ()) if key in NEEDED}
        document = with_section(
            "estimator", {"kind": kind, "source_dir": ".", "image_uri": "a/b:1", **needed}
        )
        yield name, "estimator", {**document, "backend": dict(SAGEMAKER)}
    several = with_section("objective.others", [{"metric": "size", "mode": "min"}])
    yield "MetricGoalSpec", "objective.others[0]", several
    spot = with_section("backend", {**SAGEMAKER, "spot": {"max_wait": "4h"}})
    yield "Spot", "backend.spot", spot


SECTIONS = {f"{name} in {place}": (name, place, document) for name, place, document in sections()}


def complaints(document: dict[str, Any]) -> list[Problem]:
    try:
        parse(document, files=False)
    except SpecError as error:
        return error.problems
    return []


def done(document: dict[str, Any], told: Problem) -> list[dict[str, Any]]:
    """``document`` with what was told done, in each way that was told; none where it needs a person."""
    path, remedy = parse_path(told.field) or [], told.remedy.removesuffix(OR_NULL)
    values: list[Any] = []
    if meant := re.match(r"did you mean '(\w+)'\?", remedy):
        if told.message != NOT_KNOWN:
            return [changed(document, path, meant[1])]
        moved = changed(document, [*path[:-1], meant[1]], at(document, path))
        del at(moved, path[:-1])[path[-1]]
        return [moved]
    if remedy in TOLD:
        values = [TOLD[remedy]]
    elif named := re.fullmatch(r"write ((?:'\w[\w.-]*'(?:, | or )?)+)", remedy):
        values = re.findall(r"'([^']+)'", named[1])
    elif bound := re.fullmatch(r"write a value (above|of at least|of at most) (-?[\d.e-]+)", remedy):
        values = [float(bound[2]) + 1 if bound[1] == "above" else load_yaml(bound[2], "")]
    elif typed := re.fullmatch(r"use '(\w+)' instead", remedy):
        return [changed(document, [*path, "type"], typed[1])]
    elif (written := re.fullmatch(r"write (\w+: .+?)(?:, or .*)?", remedy)) and "key: value" not in remedy:
        (key, value), *_ = load_yaml(written[1], "").items()
        field = told.message == "is missing" or path[-1] == key
        return [changed(document, [*path[:-1], key] if field else [*path, key], value)]
    elif whole := re.fullmatch(r"write (\{type: .+\})", remedy):
        values = [load_yaml(whole[1], "")]
    elif remedy == "put the value in quotes":
        values = [str(at(document, path))]
    elif remedy == "remove it":
        moved = deepcopy(document)
        del at(moved, path[:-1])[path[-1]]
        return [moved]
    ways = [changed(document, path, value) for value in values]
    return [*ways, changed(document, path, None)] if told.remedy.endswith(OR_NULL) else ways


def changed(document: dict[str, Any], path: list[Any], value: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
    new = deepcopy(document)
    at(new, path[:-1])[path[-1]] = value
    return new


def mistakes(name: str, place: str, document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The spec with every mistake that one field of the section may have."""
    path = parse_path(place) or []
    for key in SCHEMA["$defs"][name]["properties"]:
        for value in UNFIT:
            yield changed(document, [*path, key], value)
        given = at(document, path).get(key, "1")
        for misspelt in (f"{key[:-1]}x", key.upper(), key[1:]):
            wrong = changed(document, [*path, misspelt], given)
            at(wrong, path).pop(key, None)
            yield wrong


@pytest.mark.parametrize("section", SECTIONS)
def test_what_is_told_of_a_field_is_done_and_the_complaint_is_gone(section: str) -> None:
    name, place, document = SECTIONS[section]
    assert complaints(document) == []
    failed = list[str]()
    for wrong in mistakes(name, place, document):
        for told in complaints(wrong):
            assert told.message, told
            assert told.remedy, told
            for mended in done(wrong, told):
                if told in complaints(mended):
                    failed.append(str(told))
    assert not failed, "\n".join(dict.fromkeys(failed))
