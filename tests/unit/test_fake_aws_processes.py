"""Jobs of the fake AWS that are real processes: their world, their output, their end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
import urllib.request
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.testing.fake_aws import Durations, FakeAws, ScaledClock
from trialjob.testing.fake_aws.requests import BUCKET, Value, spot, training_request

ROOT = "ml = os.environ['TRIALJOB_ML_ROOT']\n"


@pytest.fixture
def fake() -> Iterator[FakeAws]:
    durations = Durations(cold_start=10, download=1, upload=1, stop=1, grace=100, interruption=5)
    with FakeAws(clock=ScaledClock(100), durations=durations) as fake:
        fake.create_bucket(BUCKET)
        fake.create_role()
        yield fake


def start(fake: FakeAws, script: str, name: str = "a", **changes: Value) -> None:
    # The model allows an entrypoint's string 256 characters, so a script travels in S3, as a bundle would.
    fake.world.write(
        BUCKET, f"code/{name}/main.py", ("import json, os, signal, sys, time\n" + ROOT + script).encode()
    )
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/code/{name}"}}
    channel = {"ChannelName": "code", "DataSource": source}
    specification = {
        "TrainingImage": "image",
        "TrainingInputMode": "File",
        "ContainerEntrypoint": ["python3", "-u"],
        "ContainerArguments": ["/opt/ml/input/data/code/main.py"],
    }
    request = training_request(name, AlgorithmSpecification=specification)
    request["InputDataConfig"] = [channel, *changes.pop("InputDataConfig", [])]
    fake.client("sagemaker").create_training_job(**(request | changes))


def wait_for(fake: FakeAws, condition: Callable[[], object]) -> None:
    world = SystemClock()  # processes are as slow as the machine, however quick the fake's clock is
    end = world.now() + 240
    while not condition():
        assert world.now() < end, [(job.name, job.history) for job in fake.service.jobs.values()]
        world.sleep(0.02)


def ended(fake: FakeAws, name: str = "a") -> dict[str, Any]:
    wait_for(fake, lambda: fake.service.jobs[name].terminal)
    answer: dict[str, Any] = fake.client("sagemaker").describe_training_job(TrainingJobName=name)
    return answer


def output(fake: FakeAws, name: str = "a") -> list[str]:
    return [event.message for event in fake.service.lines(f"{name}/")]


def test_a_job_finds_the_world_of_a_container(fake: FakeAws) -> None:
    fake.world.write(BUCKET, "data/train/deep/x.csv", b"1,2")
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/data/train"}}
    script = (
        "print(open(ml + '/input/data/train/deep/x.csv').read())\n"
        "print(json.load(open(ml + '/input/config/hyperparameters.json')))\n"
        "print(json.load(open(ml + '/input/config/resourceconfig.json'))['hosts'])\n"
        "print(os.environ['TRAINING_JOB_NAME'], os.environ['TRAINING_JOB_ARN'], os.environ['MINE'])\n"
        "print('to stderr', file=sys.stderr)\n"
        "open(ml + '/model/weights', 'w').write('w')\n"
        "open(ml + '/output/data/plot', 'w').write('p')\n"
    )
    channel = {"ChannelName": "train", "DataSource": source}
    start(fake, script, InputDataConfig=[channel], HyperParameters={"lr": "0.1"}, Environment={"MINE": "yes"})
    job = ended(fake)
    assert job["TrainingJobStatus"] == "Completed", job
    arn = "arn:aws:sagemaker:us-east-1:123456789012:training-job/a"
    assert sorted(output(fake)) == sorted(["1,2", "{'lr': '0.1'}", "['algo-1']", f"a {arn} yes", "to stderr"])
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{BUCKET}/out/a/output/model.tar.gz"
    model = BytesIO(fake.world.read(BUCKET, "out/a/output/model.tar.gz"))
    with tarfile.open(fileobj=model) as archive:
        assert archive.getnames() == ["weights"]
    assert fake.world.keys(BUCKET, "out/a/output/output") == ["out/a/output/output.tar.gz"]


def test_a_failing_job_leaves_its_words(fake: FakeAws) -> None:
    start(fake, "open(ml + '/output/failure', 'w').write('no GPU'); sys.exit(7)")
    job = ended(fake)
    assert job["FailureReason"] == "AlgorithmError: no GPU, exit code: 7"


def test_a_killed_job_is_out_of_memory(fake: FakeAws) -> None:
    start(fake, "os.kill(os.getpid(), signal.SIGKILL)")
    assert "more memory" in ended(fake)["FailureReason"]


def test_a_container_that_cannot_start(fake: FakeAws) -> None:
    specification = {
        "TrainingImage": "image",
        "TrainingInputMode": "File",
        "ContainerEntrypoint": ["/no/such/program"],
    }
    request = training_request("a", AlgorithmSpecification=specification)
    fake.client("sagemaker").create_training_job(**request)
    assert "CannotStartContainerError" in ended(fake)["FailureReason"]


def test_lines_are_seen_while_the_job_runs_and_a_stop_is_a_sigterm(fake: FakeAws) -> None:
    script = (
        "def end(*_):\n    print('saved'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('epoch=1')\n"
        "time.sleep(600)\n"
    )
    fake.service.lifecycle.durations.grace = 24_000  # minutes of ours
    start(fake, script)
    wait_for(fake, lambda: output(fake))
    assert not fake.service.jobs["a"].terminal
    fake.client("sagemaker").stop_training_job(TrainingJobName="a")
    job = ended(fake)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert output(fake) == ["epoch=1", "saved"]


def test_a_stubborn_job_and_its_children_are_killed_after_the_grace(fake: FakeAws) -> None:
    script = (
        "import subprocess\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid)\n"
        "time.sleep(600)\n"
    )
    start(fake, script)
    wait_for(fake, lambda: output(fake))
    child = int(output(fake)[0])
    fake.client("sagemaker").stop_training_job(TrainingJobName="a")
    assert ended(fake)["TrainingJobStatus"] == "Stopped"
    wait_for(fake, lambda: not is_running(child))


def test_a_child_in_a_session_of_its_own_goes_with_its_container(fake: FakeAws) -> None:
    script = (
        "import subprocess\n"
        "sleep = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
        "child = subprocess.Popen(sleep, start_new_session=True)\n"
        "print(child.pid)\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "time.sleep(600)\n"
    )
    start(fake, script)
    wait_for(fake, lambda: output(fake))
    child = int(output(fake)[0])
    assert is_running(child)
    fake.client("sagemaker").stop_training_job(TrainingJobName="a")
    assert ended(fake)["TrainingJobStatus"] == "Stopped"
    assert not is_running(child)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_reclaimed_job_goes_on_from_its_checkpoint(fake: FakeAws) -> None:
    script = (
        "path = ml + '/checkpoints/epoch'\n"
        "epoch = int(open(path).read()) if os.path.exists(path) else 0\n"
        "print('from', epoch)\n"
        "if epoch:\n    os.remove(path); sys.exit(0)\n"
        "open(path + '.tmp', 'w').write('5')\n"
        "os.rename(path + '.tmp', path)\n"
        "time.sleep(600)\n"
    )
    start(fake, script, CheckpointConfig={"S3Uri": f"s3://{BUCKET}/checkpoints/a"}, **spot())
    wait_for(fake, lambda: fake.world.keys(BUCKET, "checkpoints/a/epoch"))
    fake.service.interrupt("a")
    job = ended(fake)
    assert job["TrainingJobStatus"] == "Completed"
    assert "Interrupted" in [row["Status"] for row in job["SecondaryStatusTransitions"]]
    assert output(fake) == ["from 0", "from 5"]
    assert fake.world.keys(BUCKET, "checkpoints/a/") == []  # what is deleted there is deleted in S3


def test_junk_output_breaks_nothing(fake: FakeAws) -> None:
    script = (
        "sys.stdout.buffer.write(b'\\xff\\x00binary\\n' + b'x' * 600_000 + b'\\nhalf a line')\n"
        "sys.stdout.flush()\n"
    )
    start(fake, script)
    assert ended(fake)["TrainingJobStatus"] == "Completed"
    lines = output(fake)
    assert lines[0].endswith("binary")
    assert sum(map(len, lines[1:-1])) == 600_000
    assert lines[-1] == "half a line"


def test_leaving_the_fake_ends_its_jobs() -> None:
    with FakeAws(clock=ScaledClock(1000)) as fake:
        fake.create_bucket(BUCKET)
        fake.create_role()
        start(fake, "print(os.getpid()); time.sleep(600)")
        wait_for(fake, lambda: output(fake))
        pid = int(output(fake)[0])
        assert is_running(pid)
    assert not is_running(pid)


def test_the_command_prints_what_to_export() -> None:
    command = [sys.executable, "-m", "trialjob.testing.fake_aws", "--port", "0", "--time-scale", "1000"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as served:
        assert served.stdout is not None
        exports = dict(served.stdout.readline().strip().removeprefix("export ").split("=") for _ in range(6))
        comments = [served.stdout.readline().strip() for _ in range(3)]
        with urllib.request.urlopen(exports["AWS_ENDPOINT_URL"] + "/moto-api/data.json") as answer:  # noqa: S310
            assert answer.status == 200
        served.send_signal(signal.SIGTERM)
        assert served.wait(240) == 0
    assert comments[0] == "# s3_uri: s3://trialjob-demo/tuning"
    assert comments[1] == "# role: arn:aws:iam::123456789012:role/SageMakerExecution"


def test_a_wrong_scale_is_refused_in_words() -> None:
    command = [sys.executable, "-m", "trialjob.testing.fake_aws", "--time-scale", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--time-scale must be above 0, not 0.0" in done.stderr
