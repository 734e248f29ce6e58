"""What an estimator costs: a job's start, what is shipped, the way to the first job, calls beside the SDK's.

``python -m benchmarks.estimators``; what AWS would be is our fake, and a proxy before it counts.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.counting_proxy import Asked, Counted, calls, counting

from trialjob.estimators.bundle import pack
from trialjob.in_job import entrypoint
from trialjob.testing.fake_aws import Durations, FakeAws
from trialjob.testing.fake_aws.engines import Epoch

_REPETITIONS = 15
_TRIALS = 8
_HERE = Path(__file__).parent
_MB = 1024**2
_QUICK = Durations(cold_start=1, warm_start=1, download=0.5, upload=0.5, stop=0.5)
_SPEC = """\
name: beside
estimator:
  kind: script
  entry_point: train.py
  source_dir: {source}
  image_uri: 123456789012.dkr.ecr.us-east-1.amazonaws.com/python:3
  role: arn:aws:iam::123456789012:role/SageMakerExecution
  instance_type: ml.m5.large
space:
  lr: {{type: uniform, lower: 0, upper: 1}}
objective: {{metric: acc, mode: max}}
metrics: [{{name: acc, regex: "acc=({{number}})"}}]
limits: {{max_trials: {trials}, max_concurrent_trials: {trials}}}
backend: {{kind: sagemaker, s3_uri: "s3://bucket/tuning", poll_interval: 1s}}
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        _shipped()
        _start_up(folder)
        _packing(folder)
        with FakeAws(durations=_QUICK, curve=_curve) as fake, counting(fake.url) as counted:
            fake.create_bucket("bucket")
            fake.create_role()
            variables = {**os.environ, **fake.env, "AWS_ENDPOINT_URL": counted.url}
            _first_request(folder, counted, variables)
            _beside(folder, counted, variables)


def _curve(_values: Mapping[str, str], epoch: int) -> Epoch | None:
    """A job that works for a second and says one line."""
    return Epoch(seconds=1, lines=["acc=0.5"]) if epoch == 1 else None


def _shipped() -> None:
    home = Path(entrypoint.__file__).parent
    sizes = {name: (home / name).stat().st_size for name in ("entrypoint.py", *entrypoint.SHIPPED)}
    print("shipped beside the code:", sum(sizes.values()), "bytes;", sizes)


def _start_up(folder: Path) -> None:
    home = Path(entrypoint.__file__).parent
    (folder / "code").mkdir()
    (folder / "code" / "train.py").write_text("print('up')")
    ours = [sys.executable, str(home / "entrypoint.py"), "--root", str(folder), "--entry-point", "train.py"]
    bare = [sys.executable, str(folder / "code" / "train.py")]
    taken: dict[str, list[float]] = {"bare": [], "ours": []}
    for _ in range(_REPETITIONS):  # in turns, because the machine may be busy
        for name, line in (("bare", bare), ("ours", ours)):
            began = time.perf_counter()
            subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
            taken[name].append(time.perf_counter() - began)
    least = {name: min(times) * 1000 for name, times in taken.items()}
    print(f"start to end of an empty script, least of {_REPETITIONS}: {least} ms")
    print(f"ratio {least['ours'] / least['bare']:.2f}, more by {least['ours'] - least['bare']:.0f} ms")


def _packing(folder: Path) -> None:
    source = _folder_of_code(folder / "large", files=50, size=_MB)
    for turn in ("first", "second"):
        began = time.perf_counter()
        pack(source, folder / "bundles")
        print(f"packing 50 MB, {turn} time: {time.perf_counter() - began:.2f} s")


def _first_request(folder: Path, counted: Counted, variables: dict[str, str]) -> None:
    """From the command to CreateTrainingJob, with a small folder and with 50 MB of code."""
    small = _folder_of_code(folder / "small", files=1, size=0)
    for name, source in (("a small folder", small), ("50 MB", folder / "large")):
        for turn in ("first", "second"):
            began = time.perf_counter()
            asked = _tune(folder, source, counted, variables, trials=1)
            first = next(each for each in asked if each.operation.endswith("CreateTrainingJob"))
            sent = sum(each.size for each in asked if each.at <= first.at)
            print(
                f"`trialjob run` to the first CreateTrainingJob, {name}, {turn} time: "
                f"{first.at - began:.2f} s, {sent:,} bytes sent"
            )


def _beside(folder: Path, counted: Counted, variables: dict[str, str]) -> None:
    """The same trials of the same folder, by us and by the SDK's ModelTrainer."""
    source = _folder_of_code(folder / "source", files=20, size=_MB // 20)
    ours = _tune(folder, source, counted, variables, trials=_TRIALS)
    again = _tune(folder, source, counted, variables, trials=_TRIALS)
    subprocess.run(
        [sys.executable, str(_HERE / "drive_model_trainer.py"), str(source), str(_TRIALS)],
        check=True,
        env={**variables, "SAGEMAKER_VALIDATE_ROLE": "false"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    theirs = counted.take()
    for name, asked in (("trialjob", ours), ("trialjob again", again), ("ModelTrainer", theirs)):
        creations = [each.operation.endswith("CreateTrainingJob") for each in asked]
        last = len(asked) - creations[::-1].index(True)
        print(f"{name}, {sum(creations)} trials of a folder of 1 MB")
        _tell("until the last CreateTrainingJob", asked[:last])
        _tell("behind it", asked[last:])


def _tell(what: str, asked: Sequence[Asked]) -> None:
    sent = sum(each.size for each in asked)
    stored = sum(each.size for each in asked if each.operation.startswith("s3"))
    print(f"  {what}: {len(asked) / _TRIALS:.1f} calls and {sent / _TRIALS:,.0f} bytes a trial,")
    print(f"    of these to S3 {stored / _TRIALS:,.0f}; {calls(asked)}")


def _tune(
    folder: Path, source: Path, counted: Counted, variables: dict[str, str], *, trials: int
) -> list[Asked]:
    """Everything that was asked for by an experiment, from the command to its end."""
    counted.take()
    spec = folder / "sweep.yaml"
    spec.write_text(_SPEC.format(source=source, trials=trials))
    line = [sys.executable, "-m", "trialjob", "run", str(spec), "--yes", "--store", str(folder / "store")]
    subprocess.run(line, check=True, env=variables, stdout=subprocess.DEVNULL)
    return counted.take()


def _folder_of_code(folder: Path, *, files: int, size: int) -> Path:
    folder.mkdir()
    (folder / "train.py").write_text("print('acc=0.5')")
    for number in range(files):
        (folder / f"{number}.bin").write_bytes(os.urandom(size))
    return folder


if __name__ == "__main__":
    main()
