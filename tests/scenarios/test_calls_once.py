"""No command asks AWS the same thing twice: what one part of it has learned, the others are given."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from trialjob.apps.cli.main import main
from trialjob.testing.fake_aws import FakeAws

SPEC = """\
name: once
estimator:
  kind: script
  source_dir: code
  entry_point: train.sh
  image_uri: 123456789012.dkr.ecr.us-east-1.amazonaws.com/python:3
  inputs: {train: s3://bucket/data}
space: {x: {type: uniform, lower: 0, upper: 1}}
objective: {metric: acc, mode: max}
metrics: [{name: acc, regex: "acc=({number})"}]
limits: {max_trials: 2, max_concurrent_trials: 2, max_cost: 5, trial_timeout: 10m}
backend:
  kind: sagemaker
  s3_uri: s3://bucket/tuning
  role: arn:aws:iam::123456789012:role/SageMakerExecution
  instance_type: ml.m5.large
  fallback_instance_types: [ml.m5.xlarge]
  keep_alive: 4m
"""
#: What a store in S3 says of an experiment is looked at again because others may have written to it.
_SHARED = "/bucket/store/journals/"


@pytest.fixture(scope="module")
def aws(aws_here: FakeAws) -> Iterator[FakeAws]:
    """Where every experiment comes as far as its first job, and no further."""
    aws_here.create_role("SageMakerExecution")
    aws_here.world.write("bucket", "data/x", b"1")
    aws_here.faults.denied = {"sagemaker:CreateTrainingJob", "sagemaker:CreateHyperParameterTuningJob"}
    yield aws_here
    aws_here.faults.denied = set()


@pytest.mark.parametrize(
    "command",
    [
        "plan sweep.yaml",
        "plan sweep.yaml --account",
        "doctor sweep.yaml",
        "run sweep.yaml --name here",
        "run sweep.yaml --name tuned --engine hosted --set backend.keep_alive=null",
        "step there sweep.yaml --store s3://bucket/store",
    ],
)
def test_nothing_is_asked_twice(
    aws: FakeAws, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sweep.yaml").write_text(SPEC)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.sh").write_text("echo acc=0.5\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIALJOB_STORE", str(tmp_path / "store"))
    before = len(aws.ledger.calls)
    main(command.split())
    calls = [call for call in aws.ledger.calls[before:] if not call.subject.startswith(_SHARED)]
    assert len(calls) > 1 or command == "plan sweep.yaml"
    asked = Counter((call.operation, json.dumps(call.params, sort_keys=True, default=str)) for call in calls)
    assert [call for call, times in asked.items() if times > 1] == []
