"""A clear word where code or a spec says /opt/ml, and what it names as the remedy is a place of the trial."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from trialjob.backends.local.own_tree import why_not
from trialjob.config import parse, warnings
from trialjob.errors import Problem

#: Has a trial see what is there, as where the kernel allows no mount namespace.
OFF = {"TRIALJOB_OPT_ML": "off"}
SCRIPT = '''\
"""Writes to /opt/ml/model, it says."""
import argparse, os
"/opt/ml/model"
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
{}
'''


def told(folder: Path, line: str, backend: str = "local", **estimator: object) -> list[Problem]:
    (folder / "train.py").write_text(SCRIPT.format(line))
    places = {"sagemaker": {"s3_uri": "s3://bucket/x"}, "slurm": {"folder": str(folder / "jobs")}}
    given = estimator.get("environment")
    document: dict[str, Any] = {
        "name": "x",
        "estimator": {
            "kind": "script",
            "source_dir": str(folder),
            "entry_point": "train.py",
            "image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/python:3",
            "role": "arn:aws:iam::123456789012:role/SageMakerExecution",
            "instance_type": "ml.m5.large",
            **estimator,
            "environment": {**OFF, **(given if isinstance(given, dict) else {})},
        },
        "space": {"lr": {"type": "uniform", "lower": 0, "upper": 1}},
        "objective": {"metric": "acc", "mode": "max"},
        "limits": {"max_trials": 1},
        "backend": {"kind": backend, **places.get(backend, {})},
    }
    return [each for each in warnings(parse(document)) if "/opt/ml" in each.message]


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        ('torch.save(1, "/opt/ml/model/a.pt")', 'write os.environ["SM_MODEL_DIR"] in its place'),
        ('open("/opt/ml/input/data/train/x.csv")', 'write os.environ["SM_CHANNEL_TRAIN"] in its place'),
        ('open(f"/opt/ml/{sub}")', 'write os.environ["SAGEMAKER_BASE_DIR"] in its place'),
        ('OUT = "/opt/ml/output/data"', 'write os.environ["SM_OUTPUT_DATA_DIR"] in its place'),
        (
            'parser.add_argument("--output-dir", default="/opt/ml/checkpoints/run")',
            'write estimator.hyperparameters: {output-dir: "{checkpoint_dir}/run"}',
        ),
    ],
)
def test_a_place_that_is_written_out_is_told(line: str, remedy: str, tmp_path: Path) -> None:
    (problem,) = told(tmp_path, line)
    assert problem.remedy == remedy
    assert "train.py:6 says /opt/ml/" in problem.message
    assert told(tmp_path, line, backend="sagemaker") == []
    (problem,) = told(tmp_path, line, backend="slurm")
    assert problem.remedy == remedy


def test_nothing_is_told_where_a_script_finds_its_tree_there(tmp_path: Path) -> None:
    if reason := why_not(str(tmp_path)):
        pytest.skip(reason)
    assert told(tmp_path, 'OUT = "/opt/ml/output/data"', environment={"TRIALJOB_OPT_ML": "on"}) == []


def test_the_remedy_for_an_option_works(tmp_path: Path) -> None:
    line = 'parser.add_argument("--output-dir", default="/opt/ml/checkpoints")'
    (problem,) = told(tmp_path, line)
    written = YAML(typ="safe", pure=True).load(problem.remedy.removeprefix("write estimator."))
    assert written == {"hyperparameters": {"output-dir": "{checkpoint_dir}"}}
    assert told(tmp_path, line, **written) == []


@pytest.mark.parametrize(
    "line",
    [
        'OUT = os.environ.get("SM_MODEL_DIR", "/opt/ml/model")',
        'parser.add_argument("--model-dir", default=os.getenv("SM_MODEL_DIR", "/opt/ml/model"))',
        "# /opt/ml/model",
        'OUT = "/opt/mlx"',
    ],
)
def test_what_is_never_used_is_not_told(line: str, tmp_path: Path) -> None:
    assert told(tmp_path, line) == []


def test_a_constant_of_the_spec_is_told(tmp_path: Path) -> None:
    (problem,) = told(tmp_path, "", hyperparameters={"out": "/opt/ml/checkpoints/a"})
    assert (problem.field, problem.remedy) == ("estimator.hyperparameters.out", "write {checkpoint_dir}/a")
    (problem,) = told(tmp_path, "", environment={"OUT": "/opt/ml/model"})
    assert (problem.field, problem.remedy) == ("estimator.environment.OUT", "write {model_dir}")
    (problem,) = told(
        tmp_path, "", arguments=["{others}", "/opt/ml/input/data/train"], inputs={"train": str(tmp_path)}
    )
    assert (problem.field, problem.remedy) == ("estimator.arguments[1]", "write {channel:train}")
