"""A journal in S3 is gone, and no mark of it: it was begun before there was one, or both were removed.

Nothing then tells the name from a new one but the jobs that SageMaker has, by which no job runs twice, none
of another experiment is ended, and no score is taken from one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest

from trialjob import config
from trialjob.errors import BackendError
from trialjob.experiment import Session, create
from trialjob.model.ids import TrialId
from trialjob.model.trial import Phase
from trialjob.testing.fake_aws import FakeAws

SPEC: dict[str, Any] = {
    "name": "lost",
    "estimator": {
        "kind": "script",
        "entry_point": "train.sh",
        "image_uri": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8.0-gpu-py312",
    },
    "space": {"x": {"type": "uniform", "lower": 0.0, "upper": 1.0}},
    "objective": {"metric": "acc", "mode": "max"},
    "metrics": [{"name": "acc", "regex": "acc=({number})"}],
    "limits": {"max_trials": 1},
}
MACHINE = {"role": "arn:aws:iam::123456789012:role/SageMakerExecution", "instance_type": "ml.m5.large"}


@pytest.fixture(scope="module")
def fake(aws_here: FakeAws) -> FakeAws:
    aws_here.create_role("SageMakerExecution")
    return aws_here


def begun(folder: Path, *, seed: int) -> Session:
    code = folder / "code"
    code.mkdir(exist_ok=True)
    (code / "train.sh").write_text("echo acc=0.5\n")
    name = folder.name.replace("_", "-")
    document = {
        **SPEC,
        "name": name,
        "estimator": {**SPEC["estimator"], "source_dir": str(code)},
        "sampler": {"kind": "random", "seed": seed},
        "backend": {"kind": "sagemaker", "s3_uri": f"s3://bucket/{name}/tuning", **MACHINE},
    }
    return create(config.parse(document), store=f"s3://bucket/{name}/store")


def lose(session: Session) -> None:
    client = boto3.client("s3")
    prefix = session.store.removeprefix("s3://bucket/")
    for key in (f"journals/{session.name}.jsonl.gz", f"experiments/{session.name}/begun"):
        client.delete_object(Bucket="bucket", Key=f"{prefix}/{key}")


def jobs(fake: FakeAws, session: Session) -> list[str]:
    return [
        f"{job.name}: {job.status}" for job in fake.service.jobs.values() if job.name.startswith(session.name)
    ]


def test_the_same_again_finds_its_jobs(fake: FakeAws, tmp_path: Path) -> None:
    first = begun(tmp_path, seed=1)
    first.step(lambda _state, _events: None)
    lose(first)
    again = begun(tmp_path, seed=1)
    state = again.step(lambda _state, _events: None)
    assert [attempt.adopted for attempt in state.trials[TrialId(1)].attempts] == [True]
    assert jobs(fake, again) == [f"{first.name}-0001-1: InProgress"]


def test_another_starts_none_of_that_name_and_ends_none(fake: FakeAws, tmp_path: Path) -> None:
    first = begun(tmp_path, seed=1)
    first.step(lambda _state, _events: None)
    lose(first)
    other = begun(tmp_path, seed=2)
    for _ in range(2):
        with pytest.raises(BackendError, match="is not this experiment's"):
            other.step(lambda _state, _events: None)
    other.ask_stop()
    state = other.step(lambda _state, _events: None)
    assert state.phase is Phase.ENDED
    assert state.trials[TrialId(1)].reports == ()
    assert jobs(fake, other) == [f"{first.name}-0001-1: InProgress"]
