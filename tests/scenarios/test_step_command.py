"""``trialjob step`` in real processes against the fake AWS: alone, two at once, and killed at a call."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from trialjob.testing.fake_aws import Durations, FakeAws, ScaledClock, jobs_by_tags

SCRIPT = "for epoch in 1 2; do echo acc=0.$epoch; done\n"
SPEC = """\
name: stepped
estimator:
  kind: script
  source_dir: .
  entry_point: train.sh
  image_uri: 763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8.0-gpu-py312
  role: {role}
  instance_type: ml.g5.xlarge
space: {{x: {{type: uniform, lower: 0, upper: 1}}}}
objective: {{metric: acc, mode: max}}
metrics: [{{name: acc, regex: "acc=({{number}})"}}]
sampler: {{kind: random, seed: 0}}
limits: {{max_trials: 4, max_concurrent_trials: 2}}
backend: {{kind: sagemaker, s3_uri: s3://bucket/tuning, poll_interval: 1s}}
"""
STORE = "s3://bucket/store"


class Steps:
    """One experiment in S3, stepped from the command line."""

    def __init__(self, fake: FakeAws, folder: Path) -> None:
        self.fake, self.folder = fake, folder
        (folder / "train.sh").write_text(SCRIPT)
        (folder / "sweep.yaml").write_text(SPEC.format(role=fake.create_role()))
        fake.create_bucket("bucket")

    def start(self, *more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "trialjob", "step", "stepped", "sweep.yaml", "--store", STORE, *more],
            cwd=self.folder,
            env={**os.environ, **self.fake.env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def step(self, *more: str) -> tuple[int, dict[str, object]]:
        with self.start("--format", "json", *more) as process:
            out, err = process.communicate(timeout=400)
        assert process.returncode in {0, 3}, err
        told: dict[str, object] = json.loads(out)
        return process.returncode, told

    def to_the_end(self, *more: str) -> dict[str, object]:
        for _ in range(60):
            code, told = self.step(*more)
            if code == 0:
                return told
        raise AssertionError("it does not come to an end")

    def check(self) -> None:
        assert set(
            jobs_by_tags(self.fake.service.jobs.values(), "trialjob:trial", "trialjob:attempt").values()
        ) == {1}
        assert len(self.fake.service.jobs) == 4
        assert all(job.terminal for job in self.fake.service.jobs.values())


@pytest.fixture
def steps(tmp_path: Path) -> Iterator[Steps]:
    with FakeAws(clock=ScaledClock(10), durations=Durations(cold_start=5, download=1, upload=1)) as fake:
        yield Steps(fake, tmp_path)


def test_step_by_step_to_the_end(steps: Steps) -> None:
    code, told = steps.step()
    assert (code, told["state"], told["stepped"]) == (3, "running", True)
    assert told["next_step_at"]
    told = steps.to_the_end("--for", "20s")
    assert told["state"] == "finished"
    assert told["next_step_at"] is None
    assert steps.step() == (0, {**told, "events": 0, "notices": []})
    steps.check()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("operation", ["CreateTrainingJob", "PutObject"])
def test_killed_at_a_call(steps: Steps, operation: str, when: str) -> None:
    """After the append and before the act, and the other way round."""
    kills: list[int] = []
    victims: list[subprocess.Popen[str]] = []

    def hook(at: str, what: str) -> None:
        if (at, what) == (when, operation) and victims[-1].poll() is None:
            kills.append(victims[-1].pid)
            os.kill(kills[-1], signal.SIGKILL)

    if operation == "PutObject":
        steps.step()
    for _ in range(2):
        with steps.start() as process:
            victims.append(process)
            steps.fake.faults.hook = hook
            process.communicate(timeout=400)
        steps.fake.faults.hook = None
    assert kills
    steps.to_the_end("--for", "20s")
    steps.check()


def test_two_at_once(steps: Steps) -> None:
    codes: list[int] = []

    def run() -> None:
        for _ in range(60):  # however slow the machine is
            with steps.start("--for", "10s") as process:
                process.communicate(timeout=400)
            codes.append(process.returncode)
            if process.returncode == 0:
                return

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(codes) <= {0, 3}
    assert 0 in codes
    steps.check()
