"""The command line on the SageMaker backend: real processes, real requests, a fake AWS in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from trialjob.testing.fake_aws import FakeAws

SPEC = """\
name: cloud
estimator:
  kind: script
  source_dir: .
  entry_point: train.sh
  image_uri: 123456789012.dkr.ecr.us-east-1.amazonaws.com/python:3
  role: arn:aws:iam::123456789012:role/SageMakerExecution
  instance_type: ml.m5.large
  keep_alive: 4m
space: {x: {type: uniform, lower: 0, upper: 1}}
objective: {metric: acc, mode: max}
metrics: [{name: acc, regex: "acc=({number})"}]
sampler: {kind: random, seed: 0}
limits: {max_trials: 3, max_concurrent_trials: 2}
backend: {kind: sagemaker, s3_uri: s3://bucket/tuning, poll_interval: 500ms}
"""
SCRIPT = """\
for epoch in 1 2 3; do
    sleep 0.3
    echo "acc=0.$epoch$TRIALJOB_TRIAL"
done
"""


def command(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "trialjob", *arguments],
        cwd=folder,
        env={**os.environ, "TRIALJOB_STORE": str(folder / "store")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def call(folder: Path, *arguments: str) -> str:
    with command(folder, *arguments) as process:
        output, _ = process.communicate(timeout=400)
    assert process.returncode == 0, output
    return output


def test_killed_in_the_middle_and_resumed(tmp_path: Path, quick_aws: FakeAws) -> None:
    (tmp_path / "sweep.yaml").write_text(SPEC)
    (tmp_path / "train.sh").write_text(SCRIPT)
    with command(tmp_path, "run", "sweep.yaml", "--name", "cloud") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "started" in line:
                break
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    call(tmp_path, "resume", "cloud")

    results = json.loads(call(tmp_path, "results", "cloud", "--format", "json"))
    assert [(row["status"], row["attempts"], row["score"]) for row in results["trials"]] == [
        ("completed", 1, 0.31),
        ("completed", 1, 0.32),
        ("completed", 1, 0.33),
    ]
    assert "acc=0.31" in call(tmp_path, "logs", "cloud", "1")
    assert sorted(quick_aws.service.jobs) == ["cloud-0001-1", "cloud-0002-1", "cloud-0003-1"]
    assert quick_aws.service.bill().pools_left == 0
    assert "nothing of trialjob's runs" in call(tmp_path, "audit")
