"""The command line with SageMaker's own tuner: real processes, real requests, a fake AWS in between."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from program_output import output_of
from trialjob.testing.fake_aws import Durations, FakeAws, ScaledClock

SPEC = """\
name: tuned
engine: hosted
estimator:
  kind: script
  source_dir: .
  entry_point: train.py
  image_uri: 123456789012.dkr.ecr.us-east-1.amazonaws.com/python:3
  hyperparameters: {epochs: 2}
space:
  x: {type: uniform, lower: 0, upper: 1}
  w: {type: qnormal, mu: 0, sigma: 1, q: 0.1}
  size: {type: ordinal, values: [s, m, l]}
  opt: {type: choice, values: {sgd: {momentum: {type: uniform, lower: 0, upper: 0.9}}, adam: {}}}
objective: {metric: acc, mode: max}
sampler: {kind: random, seed: 0}
limits: {max_trials: 3, max_concurrent_trials: 3, trial_timeout: 10m, max_cost: 5}
backend:
  kind: sagemaker
  s3_uri: s3://bucket/tuning
  poll_interval: 500ms
  role: arn:aws:iam::123456789012:role/SageMakerExecution
  instance_type: ml.m5.large
"""
SCRIPT = """\
import json
from trialjob.reporting import get_context, report

context = get_context()
values = context.hyperparameters
print("TOLD", json.dumps([context.trial, values]), flush=True)
for epoch in range(1, values["epochs"] + 1):
    report(epoch=epoch, acc=values["x"] / epoch)
"""


def call(folder: Path, aws: FakeAws, *arguments: str) -> str:
    environment = {**os.environ, **aws.env, "TRIALJOB_STORE": str(folder / "store")}
    return output_of([sys.executable, "-m", "trialjob", *arguments], folder, environment)


def check_a_script(tmp_path: Path, spec: str) -> None:
    """The service tunes it, and its results are its own values."""
    (tmp_path / "sweep.yaml").write_text(spec)
    (tmp_path / "train.py").write_text(SCRIPT)
    quick = Durations(cold_start=0.5, warm_start=0.1, download=0.1, upload=0.1, stop=0.1)
    with FakeAws(clock=ScaledClock(5), durations=quick) as aws:
        aws.create_bucket("bucket")
        aws.create_role("SageMakerExecution")
        assert "tried again" not in call(tmp_path, aws, "plan", "sweep.yaml")  # a tuning job tries none again
        call(tmp_path, aws, "run", "sweep.yaml", "--name", "tuned")
        results = json.loads(call(tmp_path, aws, "results", "tuned", "--format", "json"))
        log = call(tmp_path, aws, "logs", "tuned", "1")
        calls = [call.operation for call in aws.ledger.calls]
        again = call(tmp_path, aws, "confirm", "tuned", "--top", "1", "--seeds", "2", "--yes")
    assert "acc of each configuration, repeated:" in again  # by us: the service takes no points
    assert calls.count("CreateHyperParameterTuningJob") == 1
    assert "CreateTrainingJob" not in calls
    assert [row["status"] for row in results["trials"]] == ["completed"] * 3
    for row in results["trials"]:
        # The best of the values reported, and not the last.
        assert row["score"] == row["config"]["x"]
        assert ("momentum" in row["config"]) is (row["config"]["opt"] == "sgd")
    first = results["trials"][0]
    told = next(line for line in log.splitlines() if line.startswith("TOLD "))
    assert json.loads(told[5:]) == [1, {"epochs": 2, **first["config"]}]
    assert log.count(f"[trialjob-best] {first['score']!r}") == 2


def test_a_script_is_tuned_by_the_service_and_its_results_are_its_own_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.defpath)  # and not by a toolkit that may be installed here
    check_a_script(tmp_path, SPEC)


def toolkit() -> bool:
    """Whether the program ``train`` of sagemaker-training is on the PATH."""
    train = shutil.which("train")
    return train is not None and b"sagemaker_training" in Path(train).read_bytes()


#: A container's name is known in its network, and there is no such network here.
_NAMES = """\
import socket
real = socket.gethostbyname
socket.gethostbyname = lambda name: "127.0.0.1" if name == "algo-1" else real(name)
"""


@pytest.mark.skipif(not toolkit(), reason="needs sagemaker-training, with its `train` on the PATH")
def test_the_training_toolkit_of_awss_images_starts_it(tmp_path: Path) -> None:
    names = tmp_path / "names"
    names.mkdir()
    (names / "sitecustomize.py").write_text(_NAMES)
    environment = f"hyperparameters: {{epochs: 2}}\n  environment: {{PYTHONPATH: {names}}}"
    check_a_script(tmp_path, SPEC.replace("hyperparameters: {epochs: 2}", environment))
