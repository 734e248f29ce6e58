"""Without what only POSIX has, as on Windows: SageMaker is tuned, and local trials are refused in words."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.testing.fake_aws import Durations, FakeAws, ScaledClock

#: Runs the command line in an interpreter that lacks what Windows lacks. The path of files stays POSIX's.
HIDING = """\
import os, signal, sys
# The standard library and others' packages have ways of their own for Windows, which are not tested here.
import asyncio, boto3, botocore.httpsession, click, filelock, getpass, multiprocessing, optuna
import platform, psutil, pydantic, rich.console, rich.live, ruamel.yaml, shutil, socket, subprocess
import tarfile, tempfile, tenacity
for name in ("fcntl", "pwd", "grp", "resource", "termios", "tty", "pty", "syslog"):
    sys.modules[name] = None
for name in (
    "fork", "forkpty", "setsid", "killpg", "getpgid", "getuid", "geteuid", "getgid", "getegid",
    "getgroups", "pwrite", "pread", "waitid", "WNOHANG", "WNOWAIT",
    "WEXITED", "P_ALL", "mkfifo", "uname", "sysconf",
    "getloadavg", "sched_getaffinity", "chown", "fchown", "statvfs", "sync", "set_blocking", "O_DIRECTORY",
    "posix_fallocate", "getpriority",
):
    if hasattr(os, name):
        delattr(os, name)
for name in (
    "SIGKILL", "SIGHUP", "SIGCHLD", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGQUIT", "SIGPIPE", "SIGTSTP",
    "SIGCONT", "SIGWINCH", "SIGSTOP", "alarm", "setitimer", "pthread_sigmask", "pause", "sigwait",
):
    delattr(signal, name)
shutil._use_fd_functions = False
opened = os.open
def windows_open(path, flags, *args, **given):
    if os.path.isdir(path):
        raise PermissionError(13, "Permission denied", str(path))
    return opened(path, flags, *args, **given)
def windows_kill(pid, number):
    raise SystemExit("os.kill ends a process on Windows, whatever the number")
os.open, os.kill = windows_open, windows_kill
from trialjob.apps.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
SPEC = """\
name: windows
estimator:
  kind: script
  source_dir: .
  entry_point: train.py
  image_uri: 763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8.0-cpu-py312
  role: arn:aws:iam::123456789012:role/SageMakerExecution
  instance_type: ml.m5.large
space: {lr: {type: uniform, lower: 0, upper: 1}}
objective: {metric: acc, mode: max}
metrics: [{name: acc, regex: 'acc=({number})'}]
sampler: {kind: random, seed: 0}
limits: {max_trials: 1}
backend: {kind: sagemaker, s3_uri: 's3://bucket/tuning', poll_interval: 0.2s, price_per_hour: 1}
"""


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeAws]:
    quick = Durations(cold_start=5, download=1, upload=1, stop=1)
    with FakeAws(clock=ScaledClock(100), durations=quick) as fake:
        fake.create_bucket("bucket")
        fake.create_role()
        (tmp_path / "train.py").write_text("print('acc=0.5')", encoding="utf-8")
        (tmp_path / "sweep.yaml").write_text(SPEC, encoding="utf-8")
        (tmp_path / "local.yaml").write_text(
            "\n".join(line for line in SPEC.splitlines() if not line.startswith("backend")), encoding="utf-8"
        )
        yield fake


def trialjob(folder: Path, fake: FakeAws, *words: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", HIDING, *words],
        cwd=folder,
        env={**os.environ, **fake.env, "TRIALJOB_STORE": str(folder / "store")},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_sagemaker_is_tuned_without_posix(tmp_path: Path, fake: FakeAws) -> None:
    for words in (["--help"], ["list"], ["plan", "sweep.yaml"]):
        status, said = trialjob(tmp_path, fake, *words)
        assert status == 0, (words, said)
    status, said = trialjob(tmp_path, fake, "step", "windows", "sweep.yaml")
    assert status == 3, said
    assert "running: 1 running" in said
    wait_until_ended(fake)
    for _ in range(10):
        status, said = trialjob(tmp_path, fake, "step", "windows", "sweep.yaml")
        if status != 3:
            break
    assert status == 0, said
    assert "1 of 1 trials ended, best acc 0.5" in said
    assert len(fake.service.jobs) == 1
    for words in (["list"], ["status", "windows"], ["logs", "windows", "1"]):
        status, said = trialjob(tmp_path, fake, *words)
        assert status == 0, (words, said)
    assert "acc=0.5" in said


def wait_until_ended(fake: FakeAws) -> None:
    clock = SystemClock()
    end = clock.now() + 240
    while not all(job.terminal for job in fake.service.jobs.values()):
        assert clock.now() < end
        clock.sleep(0.05)


@pytest.mark.parametrize("words", [["run", "local.yaml"], ["plan", "local.yaml"]])
def test_local_trials_are_refused_in_words(tmp_path: Path, fake: FakeAws, words: list[str]) -> None:
    status, said = trialjob(tmp_path, fake, *words)
    assert status == 2, said
    assert "need Linux or macOS" in said
    assert "backend.kind: sagemaker" in said
    assert not (tmp_path / "store").exists()
