"""What the papers show is what happens."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel
from ruamel.yaml import YAML

from program_output import output_of
from trialjob.apps.cli.commands import cli
from trialjob.config import load
from trialjob.config.plugins import PLUGINS, keys_of
from trialjob.config.spec import ExperimentSpec
from trialjob.testing.fake_aws import FakeAws, ScaledClock

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SPEC_PAGE = (ROOT / "docs" / "spec.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def test_the_spec_in_the_readme_is_the_example() -> None:
    shown = blocks("yaml")[0].removeprefix("# examples/digits/sweep.yaml\n")
    assert shown == (ROOT / "examples" / "digits" / "sweep.yaml").read_text()


def test_the_sagemaker_spec_in_the_readme_is_one_that_the_service_takes(tmp_path: Path) -> None:
    shown = YAML(typ="safe", pure=True).load(blocks("yaml")[1])
    spec = YAML(typ="safe", pure=True).load((ROOT / "examples" / "digits" / "sweep.yaml").read_text())
    with FakeAws(clock=ScaledClock(1000)) as aws:
        aws.create_bucket("bucket")
        aws.create_role("SageMakerExecution")
        (tmp_path / "sweep.yaml").write_text(json.dumps({**spec, **shown}))
        (tmp_path / "train.py").touch()
        said = output_of([sys.executable, "-m", "trialjob", "doctor", "sweep.yaml"], tmp_path, aws.env)
    assert "WRONG" not in said
    assert "first job    SageMaker will take the request" in said


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("examples/*/sweep.yaml")), ids=lambda path: path.parent.name
)
def test_every_example_is_a_sound_spec(path: Path) -> None:
    load(path)


def run(arguments: list[str], store: Path, folder: Path = ROOT) -> str:
    env = {"PATH": "/usr/bin:/bin", "TRIALJOB_STORE": str(store), "OMP_NUM_THREADS": "1"}
    return output_of([sys.executable, *arguments], folder, env)


def test_the_shell_example_runs(tmp_path: Path) -> None:
    output = run(["-m", "trialjob", "run", "examples/shell/sweep.yaml"], tmp_path)
    assert "finished: all 12 trials of max_trials have ended" in output


def test_the_error_in_the_readme_is_the_error(tmp_path: Path) -> None:
    command, shown = re.search(
        r"\$ trialjob (run sweep.yaml --set.*?)\n(error: .*?)\n```", README, re.DOTALL
    ).groups()  # type: ignore[union-attr]
    done = subprocess.run(
        [sys.executable, "-m", "trialjob", *command.split()],
        cwd=ROOT / "examples" / "digits",
        env={"TRIALJOB_STORE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.strip() == shown.replace("/home/ada/digits", str(ROOT / "examples" / "digits"))


def test_every_command_is_in_the_readme() -> None:
    for name in cli.commands:
        assert f"`trialjob {name}" in README, name


def fields(model: type[BaseModel], seen: frozenset[type[BaseModel]] = frozenset()) -> set[str]:
    """The names of all fields of a model and of the models inside it, which may be inside themselves."""
    names = set(model.model_fields)
    for field in model.model_fields.values():
        for inner in _models(field.rebuild_annotation()):
            if inner not in seen:
                names |= fields(inner, seen | {model})
    return names


def _models(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in getattr(annotation, "__args__", ()) for model in _models(inner)]


def test_every_field_of_a_spec_is_explained() -> None:
    plugins = {
        key for name, kinds in PLUGINS.items() for kind in kinds.kinds() for key in keys_of(name, kind)
    }
    known = (fields(ExperimentSpec) | plugins) - {"kind", "type", "regex"}
    assert {"max_trials", "gpus_per_trial", "reduction_factor", "seed"} <= known
    for name in known:
        assert re.search(rf"(^## |`){name}\b", SPEC_PAGE, re.MULTILINE), name
