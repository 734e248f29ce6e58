"""The JSON schema of a spec: what it takes and refuses, and that everything in it is explained."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from trialjob import config
from trialjob.apps.cli.main import main
from trialjob.config.plugins import PLUGINS
from trialjob.config.schema import spec_schema
from trialjob.config.yaml_text import load_yaml
from trialjob.errors import SpecError
from trialjob.testing.installed import install

ROOT = Path(__file__).parents[2]
SCHEMA = spec_schema(packages=False)
READER = jsonschema.Draft202012Validator(SCHEMA)
SPEC: dict[str, Any] = {
    "name": "digits",
    "estimator": {"kind": "script", "source_dir": ".", "entry_point": "train.py"},
    "space": {
        "lr": {"type": "loguniform", "lower": 1e-4, "upper": 1},
        "seed": 7,
        "optimizer": {
            "type": "choice",
            "values": {"sgd": {"momentum": {"type": "uniform", "lower": 0, "upper": 1}}, "adam": None},
        },
    },
    "objective": {"metric": "acc", "mode": "max"},
    "limits": {"max_trials": 4},
}
TAKEN: list[dict[str, Any]] = [
    {},
    {"limits": {"max_trials": 4, "timeout": "10m", "trial_timeout": 90, "stall_timeout": "none"}},
    {
        "estimator": {
            **SPEC["estimator"],
            "inputs": {"a": "data/", "b": {"location": "s3://b/c", "mode": "Pipe"}},
        }
    },
    {"estimator": {**SPEC["estimator"], "environment": {"A": "1", "T": {"secret": {"ssm": "/t"}}}}},
    {"estimator": {"kind": "container", "image_uri": "i", "entrypoint": ["./train"]}},
    {"backend": "local"},
    {"backend": {"stop_grace": "5s"}},
    {"backend": "here", "backends": {"here": {"kind": "local"}, "slurm": {"folder": "/shared"}}},
    {"estimator": {**SPEC["estimator"], "instance_type": "ml.m5.large"}},
    {"on_log": [{"match": "NCCL", "then": "retry"}], "notify": {"webhook": {"secret": "HOOK"}}},
    {"sampler": {"kind": "tpe", "seed": 3}, "stopping": {"kind": "asha", "max_resource": 9}},
]
REFUSED: list[dict[str, Any]] = [
    {"stoping": {"kind": "none"}},
    {"limits": {"max_trials": 0}},
    {"limits": {}},
    {"objective": {"metric": "acc", "mode": "maximise"}},
    {"space": {"lr": {"type": "loguniform", "lower": 1}}},
    {"space": {"lr": {"type": "logunifrom", "lower": 1, "upper": 2}}},
    {"space": {"lr": [1, 2]}},
    {"sampler": {"kind": "tpee"}},
    {"sampler": {"kind": "grid", "seed": 3}},
    {"sampler": "tpe"},
    {"stopping": {"kind": "asha"}},
    {"backend": {"kind": "local", "gpus": 1}},
    {"estimator": {"kind": "script", "source_dir": "."}},
]


def parts(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:  # noqa: ANN401 - JSON
    """Every property that is anywhere in a schema."""
    if isinstance(schema, dict):
        for name, value in schema.get("properties", {}).items():
            yield f"{path}/{name}", value
        for name, value in schema.items():
            yield from parts(value, f"{path}/{name}")
    elif isinstance(schema, list):
        for value in schema:
            yield from parts(value, path)


@pytest.mark.parametrize("change", TAKEN, ids=str)
def test_what_is_a_spec_is_one_by_the_schema(change: dict[str, Any]) -> None:
    document = {**deepcopy(SPEC), **change}
    READER.validate(document)
    spec = config.parse(document, files=False)
    READER.validate(json.loads(json.dumps(spec.document())))


@pytest.mark.parametrize("change", REFUSED, ids=str)
def test_what_the_schema_refuses_is_no_spec(change: dict[str, Any]) -> None:
    document = {**deepcopy(SPEC), **change}
    assert not READER.is_valid(document)
    with pytest.raises(SpecError):
        config.parse(document, files=False)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "examples").rglob("sweep*.yaml")), ids=lambda path: path.parent.name
)
def test_every_example_is_taken(path: Path) -> None:
    READER.validate(load_yaml(path.read_text(), str(path)))


def test_every_key_and_every_kind_is_explained() -> None:
    backends = tuple(f"/properties/backends/{kind}" for kind in PLUGINS["backend"].builtin())
    bare = [path for path, part in parts(SCHEMA) if not part.get("description")]
    assert [path for path in bare if path not in backends] == []
    for section, registry in PLUGINS.items():
        for kind in registry.builtin():
            assert SCHEMA["$defs"][f"{section}.{kind}"]["description"], (section, kind)


def test_a_package_explains_its_kind_as_we_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = """
from dataclasses import dataclass
from typing import ClassVar
from trialjob.orchestrator.core.search import BaseSampler

@dataclass(frozen=True, kw_only=True)
class Halton(BaseSampler):
    #: Points of a Halton sequence.
    kind: ClassVar[str] = "halton"
    #: So many points are left out
    #: ([why](https://example.org)).
    skip: int = 3

    def make(self, search):
        raise NotImplementedError
"""
    project = """
[project]
name = "halton"
version = "1"
[project.entry-points."trialjob.samplers"]
halton = "halton_sampler:Halton"
"""
    source, site = tmp_path / "source", tmp_path / "site"
    source.mkdir()
    site.mkdir()
    (source / "halton_sampler.py").write_text(code)
    (source / "pyproject.toml").write_text(project)
    install(source, site)
    monkeypatch.syspath_prepend(site)
    found = spec_schema()["$defs"]["sampler.halton"]
    assert found["description"] == "Points of a Halton sequence."
    assert found["properties"]["skip"] == {
        "type": "integer", "default": 3, "description": "So many points are left out (why)."
    }  # fmt: skip


def test_the_command_writes_it_and_says_the_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["schema", "-o", ".trialjob/spec.schema.json"]) == 0
    assert "# yaml-language-server: $schema=.trialjob/spec.schema.json\n" in capsys.readouterr().out
    assert main(["schema"]) == 0
    assert (tmp_path / ".trialjob/spec.schema.json").read_text() == capsys.readouterr().out
    (tmp_path / "file").touch()
    assert main(["schema", "-o", "file/spec.schema.json"]) == 2
    assert "-o" in capsys.readouterr().err
