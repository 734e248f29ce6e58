"""Trials of an SDK v2 estimator, run to their end by the fake service from the request that the SDK recorded.

That SDK cannot be installed beside v3; what its images have is a program ``train``, of which this has a small
one: it fetches the code from where the request says and starts it with the values, which are JSON texts.
"""

from __future__ import annotations

import io
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from trialjob import TrainingJobRequest, Tuner, maximize, uniform
from trialjob.testing.fake_aws import FakeAws

RECORDED: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "golden" / "sdk-v2-request.json").read_text()
)
TOOLKIT = f"""\
#!{sys.executable}
import boto3, io, json, os, sys, tarfile
root = os.environ["TRIALJOB_ML_ROOT"]
with open(root + "/input/config/hyperparameters.json") as file:
    values = {{name: json.loads(text) for name, text in json.load(file).items()}}
bucket, _, key = values["sagemaker_submit_directory"][len("s3://"):].partition("/")
data = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
os.chdir(root + "/code")
tarfile.open(fileobj=io.BytesIO(data)).extractall(filter="data")
own = {{name: value for name, value in values.items() if not name.startswith("sagemaker_")}}
words = [word for name in sorted(own) for word in ("--" + name, str(own[name]))]
os.execv(sys.executable, [sys.executable, values["sagemaker_program"], *words])
"""
TRAINING = """\
import argparse, os
parser = argparse.ArgumentParser()
for name in ("epochs", "flag", "layers", "lr", "name"):
    parser.add_argument("--" + name)
told = parser.parse_args()
found = (told.epochs, told.flag, told.layers, told.name, os.environ["A"])
assert found == ("3", "True", "[1, 2]", "a b", "b"), found
print("acc=" + told.lr, flush=True)
"""


def code() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        info = tarfile.TarInfo("train.py")
        info.size = len(TRAINING)
        archive.addfile(info, io.BytesIO(TRAINING.encode()))
    return data.getvalue()


def test_every_trial_is_that_request_with_its_own_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick_aws: FakeAws
) -> None:
    (tmp_path / "train").write_text(TOOLKIT)
    (tmp_path / "train").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    s3 = quick_aws.client("s3")
    submitted = json.loads(RECORDED["HyperParameters"]["sagemaker_submit_directory"])
    s3.put_object(Bucket="bucket", Key=submitted.removeprefix("s3://bucket/"), Body=code())
    for channel in ("train", "test"):
        s3.put_object(Bucket="bucket", Key=f"{channel}/data.csv", Body=b"1,2\n")
    before = {row["Key"] for row in s3.list_objects_v2(Bucket="bucket")["Contents"]}
    tuner = Tuner(
        estimator=TrainingJobRequest(RECORDED),
        space={"lr": uniform(0, 1)},
        objective=maximize("acc"),
        limits={"max_trials": 4, "max_concurrent_trials": 2},
        backend={"kind": "sagemaker", "s3_uri": "s3://bucket/tuning", "poll_interval": 0.2},
        name="recorded",
        store=tmp_path / "store",
    )
    with pytest.warns(UserWarning, match="cannot match"):  # the pattern is the estimator's own
        found = tuner.run()
    sagemaker = quick_aws.client("sagemaker")
    jobs = [
        sagemaker.describe_training_job(TrainingJobName=f"recorded-{trial:04d}-1") for trial in range(1, 5)
    ]
    uploads = [
        call for call in quick_aws.ledger.calls if call.service == "s3" and call.operation == "PutObject"
    ]
    assert [trial.status for trial in found.trials] == ["completed"] * 4, found.trials[0].reason
    values = [float(str(trial.config["lr"])) for trial in found.trials]
    assert len(set(values)) == 4
    assert [trial.score for trial in found.trials] == values
    for job, score in zip(jobs, values, strict=True):
        assert job["HyperParameters"] == {**RECORDED["HyperParameters"], "lr": json.dumps(score)}
        assert "ContainerEntrypoint" not in job["AlgorithmSpecification"]
        assert job["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"] in (
            "s3://bucket/train",
            "s3://bucket/test",
        )
    # What was uploaded is what this test has put there.
    assert len(uploads) == len(before)
