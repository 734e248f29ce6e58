"""The whole call that hands an experiment over, for each kind of estimator, and no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trialjob import config
from trialjob.experiment.resolving import resolve
from trialjob.testing.fake_aws import wire
from trialjob.testing.fake_aws.tuning_rules import check_tuning

HERE = Path(__file__).parent / "hosted-requests"
IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8.0-cpu-py312"
SPACE = {
    "lr": {"type": "loguniform", "lower": 0.001, "upper": 1.0},
    "layers": {"type": "randint", "lower": 1, "upper": 9},
    "opt": {"type": "choice", "values": ["sgd", "adam"]},
}
CODED = {"w": {"type": "normal", "mu": 0, "sigma": 1}}
CODE = {"source_dir": ".", "entry_point": "train.py"}
REQUEST = {
    "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
    "HyperParameters": {"epochs": "3"},
    "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
    "StoppingCondition": {"MaxRuntimeInSeconds": 1200},
}
#: Where no version is looked up, so that each is the same on every machine.
KINDS: dict[str, dict[str, Any]] = {
    "script": {**CODE, "image_uri": IMAGE, "inputs": {"train": "s3://bucket/data"}},
    "function": {"source_dir": ".", "function": "train:main", "image_uri": IMAGE},
    "pytorch": {**CODE, "image_uri": IMAGE, "framework_version": "2.8.0", "py_version": "py312"},
    "tensorflow": {**CODE, "image_uri": IMAGE, "framework_version": "2.18.0", "py_version": "py310"},
    "sklearn": {**CODE, "image_uri": IMAGE, "framework_version": "1.2-1"},
    "xgboost": {**CODE, "image_uri": IMAGE, "framework_version": "1.7-1"},
    "huggingface": {
        **CODE,
        "image_uri": IMAGE,
        "transformers_version": "4.49.0",
        "pytorch_version": "2.5.1",
        "py_version": "py311",
    },
    "container": {"image_uri": IMAGE, "hyperparameter_format": "json"},
    "request": {"request": REQUEST},
}


def made(folder: Path, kind: str) -> dict[str, Any]:
    """The call for an estimator of that kind."""
    (folder / "train.py").write_text("def main(lr, layers, opt, w, epochs=3): ...\n")
    estimator = {"kind": kind, **KINDS[kind]}
    if kind != "request":
        estimator |= {"hyperparameters": {"epochs": 3}, "environment": {"MODE": "quick"}}
    if "source_dir" in estimator:
        estimator["source_dir"] = str(folder)
    document: dict[str, Any] = {
        "name": "digits",
        "engine": "hosted",
        "estimator": estimator,
        "space": SPACE | (CODED if "source_dir" in estimator else {}),
        "objective": {"metric": "accuracy", "mode": "max"},
        "metrics": [{"name": "accuracy", "regex": "accuracy=({number})"}],
        "sampler": {"kind": "random", "seed": 7},
        "limits": {"max_trials": 20, "max_concurrent_trials": 4, "trial_timeout": "20m"},
        "backend": {
            "kind": "sagemaker",
            "s3_uri": "s3://bucket/tuning",
            "role": "arn:aws:iam::123456789012:role/SageMaker",
            "instance_type": "ml.m5.xlarge",
            "fallback_instance_types": ["ml.c5.xlarge"],
            "region": "us-east-1",
        },
    }
    resolved = resolve(config.parse(document), to_run=False)
    request = dict(resolved.spec.backend.first_request(resolved.jobs) or {})
    # Who asks, and for which code, differs from machine to machine.
    request["Tags"] = [
        {**tag, "Value": "0" if tag["Key"] in {"trialjob:owner", "trialjob:digest"} else tag["Value"]}
        for tag in request["Tags"]
    ]
    return request


@pytest.mark.parametrize("kind", KINDS)
def test_the_call_is_this_and_no_other(tmp_path: Path, kind: str) -> None:
    request = made(tmp_path, kind)
    wire.check("sagemaker", "CreateHyperParameterTuningJob", request)
    check_tuning(request, parallel=10)
    assert request == json.loads((HERE / f"{kind}.json").read_text())
