"""A trial that begins with another's checkpoint, with real processes: its counter goes on from there."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from program_output import output_of
from trialjob.aws import faults
from trialjob.backends.folders.checkpoints import copy_checkpoints
from trialjob.backends.limiter import Limiter
from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.backends.sagemaker.object_calls import Stored
from trialjob.backends.sagemaker.rates import RATES
from trialjob.errors import BackendError, BackendUnavailable
from trialjob.experiment import attach
from trialjob.model.ids import JobName, TrialId, job_name
from trialjob.model.limits import Limits
from trialjob.orchestrator.ports import Submitted
from trialjob.testing.fake_aws import FakeAws, VirtualClock
from trialjob.testing.local_jobs import LocalJobs
from trialjob.testing.sagemaker_simulation import BUNDLED, SETTINGS, SageMakerSimulation, epochs
from trialjob.testing.simulation import NAME

SCRIPT = """\
import json, os, time
saved = os.path.join(os.environ["TRIALJOB_CHECKPOINT_DIR"], "state.json")
trained_by = json.load(open(saved)) if os.path.exists(saved) else []
print("begins with", json.dumps(trained_by), flush=True)
while len(trained_by) < 8:
    time.sleep(float(os.environ["PACE"]))
    trained_by.append(int(os.environ["TRIALJOB_TRIAL"]))
    with open(saved + ".new", "w") as file:
        json.dump(trained_by, file)
    os.replace(saved + ".new", saved)
    print("epoch=%d acc=%s" % (len(trained_by), os.environ["SM_HP_X"]), flush=True)
"""
SPEC: dict[str, Any] = {
    "name": "population",
    "estimator": {
        "kind": "script",
        "source_dir": ".",
        "entry_point": "train.py",
        "image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/python:3",
        "role": "arn:aws:iam::123456789012:role/SageMakerExecution",
        "instance_type": "ml.m5.large",
    },
    "space": {"x": {"type": "uniform", "lower": 0, "upper": 1}},
    "objective": {"metric": "acc", "mode": "max"},
    "metrics": [{"name": "epoch", "regex": "epoch=({number})"}, {"name": "acc", "regex": "acc=({number})"}],
    "sampler": {"kind": "random", "seed": 0},
    "stopping": {"kind": "pbt", "max_resource": 8, "perturbation_interval": 2},
    "limits": {"max_trials": 6, "max_concurrent_trials": 3},
}


def trialjob(folder: Path, *arguments: str, env: Mapping[str, str] = {}) -> str:
    command = [sys.executable, "-m", "trialjob", *arguments]
    return output_of(command, folder, {**os.environ, "TRIALJOB_STORE": str(folder / "store"), **env})


def check(folder: Path, env: Mapping[str, str] = {}) -> None:
    """Each copy began where its source was, and counted on."""
    state = attach("population", store=folder / "store").state
    copies = {trial.id: trial.source for trial in state.trials if trial.source is not None and trial.attempts}
    assert copies
    for trial, source in copies.items():
        log = trialjob(folder, "logs", "population", str(trial), env=env)
        begun = json.loads(re.findall(r"begins with (\[.*\])", log)[0])
        assert len(begun) >= 2
        assert begun[-1] == source
        epochs = [int(epoch) for epoch in re.findall(r"epoch=(\d+)", log)]
        assert epochs == list(range(len(begun) + 1, len(begun) + 1 + len(epochs)))


def test_on_this_machine(tmp_path: Path) -> None:
    document = {**SPEC, "estimator": {**SPEC["estimator"], "environment": {"PACE": "0.3"}}}
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "sweep.yaml").write_text(json.dumps(document))
    trialjob(tmp_path, "run", "sweep.yaml", "--name", "population")
    check(tmp_path)


def test_on_sagemaker(tmp_path: Path, quick_aws: FakeAws) -> None:
    document = {
        **SPEC,
        "estimator": {**SPEC["estimator"], "environment": {"PACE": "1.5"}},
        "backend": {"kind": "sagemaker", "s3_uri": "s3://bucket/tuning", "poll_interval": 0.5},
    }
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "sweep.yaml").write_text(json.dumps(document))
    trialjob(tmp_path, "run", "sweep.yaml", "--name", "population", env=quick_aws.env)
    check(tmp_path, quick_aws.env)


# Once, whatever happens


def test_a_copy_on_this_machine_is_there_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    source, target = tmp_path / "000001", tmp_path / "000002"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "weights").write_bytes(b"1")
    (source / "latest").symlink_to("deep/weights")
    # What a killed process has left of an earlier attempt.
    (tmp_path / ".000002").mkdir()
    (tmp_path / ".000002" / "half").touch()
    copy_checkpoints(source, target)
    assert sorted(path.relative_to(target).as_posix() for path in target.rglob("*")) == [
        "deep", "deep/weights", "latest",
    ]  # fmt: skip
    assert (target / "latest").read_bytes() == b"1"
    assert not (tmp_path / ".000002").exists()


def test_one_that_saved_nothing_leaves_an_empty_folder(tmp_path: Path) -> None:
    copy_checkpoints(tmp_path / "none", tmp_path / "000002")
    assert list((tmp_path / "000002").iterdir()) == []


def test_a_later_attempt_goes_on_from_its_own(tmp_path: Path) -> None:
    jobs = LocalJobs(tmp_path)
    jobs.write("train.sh", 'cd "$TRIALJOB_CHECKPOINT_DIR"; cat state; echo "$TRIALJOB_ATTEMPT" >> state\n')
    (tmp_path / "checkpoints" / "000001").mkdir(parents=True)
    (tmp_path / "checkpoints" / "000001" / "state").write_text("source\n")
    first = replace(jobs.request(trial=2, entry_point="train.sh"), source=TrialId(1))
    second = replace(first, job=JobName(f"{first.job[:-1]}2"), attempt=2)
    assert [jobs.run(first)[0], jobs.run(second)[0]] == [["source"], ["source", "1"]]


class InS3:
    """A backend on the fake, whose trial 1 has saved two files."""

    def __init__(self, aws: FakeAws, folder: Path) -> None:
        self.aws = aws
        self.simulation = SageMakerSimulation(
            limits=Limits(max_trials=4),
            folder=folder,
            settings=SETTINGS,
            clock=aws.clock,  # type: ignore[arg-type]
        )
        self.client = self.simulation.client = SageMakerClient(aws.clock, Limiter(aws.clock, RATES))
        plain = BUNDLED.request(job_name(NAME, TrialId(12), 1), TrialId(12), 1, {"lr": 0.5}, 3600)
        self.request = replace(plain, source=TrialId(1))
        self.put(1, "a/weights", b"1")
        self.put(1, "step", b"7")

    def put(self, trial: int, name: str, data: bytes) -> None:
        self.client.put(f"{SETTINGS.s3_uri}/{NAME}/checkpoints/{trial:06d}/{name}", data)

    def saved(self) -> dict[str, bytes]:
        prefix = f"tuning/{NAME}/checkpoints/000012/"
        world = self.aws.service.world
        return {key.removeprefix(prefix): world.read("bucket", key) for key in world.keys("bucket", prefix)}


@pytest.fixture
def in_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InS3]:
    with FakeAws(clock=VirtualClock(), curve=epochs) as aws:
        for name, value in aws.env.items():
            monkeypatch.setenv(name, value)
        aws.create_bucket("bucket")
        assert aws.create_role() == SETTINGS.role
        yield InS3(aws, tmp_path)


def test_in_s3_a_copy_is_made_before_the_job_and_never_over_what_it_has_saved(in_s3: InS3) -> None:
    assert in_s3.simulation.backend().submit(in_s3.request) == Submitted()
    assert in_s3.saved() == {"a/weights": b"1", "step": b"7"}
    in_s3.put(12, "step", b"8")
    in_s3.aws.clock.sleep(2)
    # Another process tries again, as its answer was lost; and a later attempt goes on from there.
    assert in_s3.simulation.backend().submit(in_s3.request) == Submitted(adopted=True)
    in_s3.aws.clock.sleep(2)
    again = replace(in_s3.request, job=job_name(NAME, TrialId(12), 2), attempt=2)
    assert in_s3.simulation.backend().submit(again) == Submitted()
    assert in_s3.saved() == {"a/weights": b"1", "step": b"8"}


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (faults.Unreachable("no answer"), BackendUnavailable),
        (faults.Invalid("AccessControlListNotSupported"), BackendError),
    ],
    ids=["unclear", "refused"],
)
def test_in_s3_a_copy_that_was_broken_off_is_made_again_before_there_is_a_job(
    in_s3: InS3, monkeypatch: pytest.MonkeyPatch, fault: faults.Fault, told: type[BackendError]
) -> None:
    copied: list[str] = []
    copy = in_s3.client.copy

    def broken(stored: Stored, to: str) -> None:
        copied.append(stored.uri)
        if len(copied) == 2:
            raise fault
        copy(stored, to)

    monkeypatch.setattr(in_s3.client, "copy", broken)
    with pytest.raises(told):
        in_s3.simulation.backend().submit(in_s3.request)
    assert not in_s3.aws.service.jobs
    assert in_s3.simulation.backend().submit(in_s3.request) == Submitted()
    assert in_s3.saved() == {"a/weights": b"1", "step": b"7"}


def test_in_s3_what_vanishes_meanwhile_is_left_out(in_s3: InS3, monkeypatch: pytest.MonkeyPatch) -> None:
    def listed(uri: str) -> list[Stored]:
        return [Stored(uri=f"{uri}{name}", size=1, etag='"0"') for name in ("gone", "step")]

    monkeypatch.setattr(in_s3.client, "objects", listed)
    assert in_s3.simulation.backend().submit(in_s3.request) == Submitted()
    assert in_s3.saved() == {"step": b"7"}


def test_in_s3_a_large_object_is_copied_in_pieces_and_none_is_left_of_a_copy_that_breaks_off(
    in_s3: InS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    piece = 5 * 2**20  # the least that S3 takes
    monkeypatch.setattr("trialjob.backends.sagemaker.object_calls._PIECE", piece)
    content = b"ab" * (piece // 2) + b"end"
    in_s3.client.put("s3://bucket/large/from", content)
    (stored,) = in_s3.client.objects("s3://bucket/large/from")
    in_s3.client.copy(stored, "s3://bucket/large/to")
    assert in_s3.aws.world.read("bucket", "large/to") == content
    in_s3.aws.world.delete("bucket", "large/from")
    with pytest.raises(faults.Fault):
        in_s3.client.copy(stored, "s3://bucket/large/again")
    assert not in_s3.aws.client("s3").list_multipart_uploads(Bucket="bucket").get("Uploads")
