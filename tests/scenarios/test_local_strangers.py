"""What is of a job and what is not, when numbers and environments cannot tell."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from trialjob.backends.folders import machine
from trialjob.backends.folders.job_folder import JobFolder
from trialjob.backends.local.backend import LocalBackend
from trialjob.model.ids import JobName
from trialjob.model.job import FailureKind, JobState, Outcome, Watch
from trialjob.orchestrator.ports import Postponed, Submitted
from trialjob.testing import namespaces
from trialjob.testing.backend_contract import Reader
from trialjob.testing.local_jobs import LocalJobs

SLEEP = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
#: Forgets its environment, and goes on as another program of the same process.
SCRUBBED = "import os, sys; os.execve(sys.executable, ['sleeper', '-c', {sleep!r}], {{}})"
#: A daemon by the book, which has nothing left of who started it.
DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    os.write(1, b"%d\\n" % os.getpid())
    os.closerange(0, 256)
    os.execve(sys.executable, ["sleeper", "-c", "import time; time.sleep(600)"], {})
time.sleep(600)
"""
#: Stops a job and looks at it; run in another namespace.
STOP = """
import sys, json
from pathlib import Path
from trialjob.backends.local.backend import LocalBackend
from trialjob.model.job import Watch
from trialjob.orchestrator.engine.clock import SystemClock
jobs = LocalBackend(jobs=Path(sys.argv[1]), bundles=Path(sys.argv[1]), clock=SystemClock())
if sys.argv[3] == "stop":
    jobs.stop(sys.argv[2])
seen = jobs.observe([Watch(job=sys.argv[2])])
print(json.dumps([seen[0].state.value, seen[0].end and seen[0].end.outcome.value, jobs.notices()]))
"""


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[LocalJobs]:
    jobs = LocalJobs(tmp_path, stop_grace=0.3)
    yield jobs
    jobs.end_all()


def status_of(jobs: LocalJobs, job: JobName) -> dict[str, Any]:
    status: dict[str, Any] = json.loads((jobs.folder / "jobs" / job / "status.json").read_text())
    return status


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def started(jobs: LocalJobs, script: str) -> tuple[Reader, int]:
    """A job, and the number that its script has printed."""
    jobs.write("train.py", script)
    reader = jobs.start(jobs.request())
    jobs.wait_until(lambda: reader.has(1))
    return reader, int(reader.lines[0])


def from_another_container(jobs: LocalJobs, job: JobName, what: str) -> tuple[str, str | None, list[str]]:
    if reason := namespaces.why_not():
        pytest.skip(reason)
    command = namespaces.pid_namespace(namespaces.python(STOP, str(jobs.folder / "jobs"), job, what))
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    state, outcome, notices = json.loads(told)
    return state, outcome, notices


# Stopping


def test_stop_signals_no_stranger_of_the_same_number(jobs: LocalJobs) -> None:
    reader, _ = started(jobs, SLEEP)
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        status = status_of(jobs, reader.job)
        JobFolder(jobs.folder / "jobs" / reader.job).write_status({**status, "pid": stranger.pid})
        reader.backend.stop(reader.job)
        jobs.wait_until(reader.ended)
        assert reader.end is not None
        assert reader.end.outcome is Outcome.STOPPED
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_stop_from_another_container_reaches_the_job_and_nobody_else(jobs: LocalJobs) -> None:
    reader, script = started(jobs, SLEEP)
    state, outcome, _ = from_another_container(jobs, reader.job, "stop")
    assert (state, outcome) == (JobState.STOPPING.value, None)
    jobs.wait_until(reader.ended)
    assert reader.end is not None
    assert reader.end.outcome is Outcome.STOPPED
    assert is_gone(script)


# Supervisors that are killed


@pytest.mark.parametrize("script", [SLEEP, SCRUBBED.format(sleep=SLEEP), DAEMON])
def test_nothing_outlives_a_killed_supervisor(jobs: LocalJobs, script: str) -> None:
    reader, pid = started(jobs, script)
    os.kill(status_of(jobs, reader.job)["pid"], signal.SIGKILL)
    jobs.wait_until(reader.ended)
    assert reader.end is not None
    assert reader.end.failure is FailureKind.LOST
    assert is_gone(pid)


def test_a_supervisor_that_is_killed_takes_no_other_job_with_it(jobs: LocalJobs) -> None:
    jobs.write("train.py", SLEEP)
    backend = jobs.backend()
    readers = [Reader(backend, request.job) for request in (jobs.request(), jobs.request(trial=2))]
    for reader, trial in zip(readers, (1, 2), strict=True):
        assert backend.submit(jobs.request(trial=trial)) == Submitted()
        jobs.wait_until(partial(reader.has, 1))
    first, second = (int(reader.lines[0]) for reader in readers)
    os.kill(status_of(jobs, readers[0].job)["pid"], signal.SIGKILL)
    jobs.wait_until(readers[0].ended)
    assert is_gone(first)
    assert not is_gone(second)
    assert not readers[1].ended()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process cannot adopt what others leave")
def test_a_guard_ends_what_a_killed_supervisor_leaves_without_a_look(jobs: LocalJobs) -> None:
    reader, pid = started(jobs, SCRUBBED.format(sleep=SLEEP))
    os.kill(status_of(jobs, reader.job)["pid"], signal.SIGKILL)
    jobs.wait_until(lambda: is_gone(pid))


@pytest.mark.parametrize("script", [SLEEP, SCRUBBED.format(sleep=SLEEP)])
def test_nothing_outlives_a_supervisor_that_is_killed_with_its_guard(jobs: LocalJobs, script: str) -> None:
    reader, pid = started(jobs, script)
    supervisor = psutil.Process(status_of(jobs, reader.job)["pid"])
    guard = supervisor.parent()
    assert guard is not None
    reader.backend.close()  # while it starts supervisors, it is known by their folder
    jobs.wait_until(lambda: guard.cmdline()[0] == "trialjob-guard")
    guard.kill()
    supervisor.kill()
    jobs.wait_until(reader.ended)
    assert is_gone(pid)


def test_a_guard_that_is_killed_costs_nothing(jobs: LocalJobs) -> None:
    reader, _ = started(jobs, "import os, time; print(os.getpid(), flush=True); time.sleep(1)")
    guard = psutil.Process(status_of(jobs, reader.job)["pid"]).parent()
    assert guard is not None
    guard.kill()
    jobs.wait_until(reader.ended)
    assert reader.end is not None
    assert reader.end.outcome is Outcome.COMPLETED


def test_who_reads_a_log_is_not_of_the_job(jobs: LocalJobs) -> None:
    reader, pid = started(jobs, SCRUBBED.format(sleep=SLEEP))
    log = jobs.folder / "jobs" / reader.job / "log"
    with subprocess.Popen(["/usr/bin/env", "tail", "-f", str(log)], stdout=subprocess.DEVNULL) as looking:
        supervisor = psutil.Process(status_of(jobs, reader.job)["pid"])
        for process in (supervisor.parent(), supervisor):
            assert process is not None
            process.kill()
        jobs.wait_until(reader.ended)
        assert is_gone(pid)
        assert looking.poll() is None
        looking.kill()


def test_a_job_is_not_over_while_a_process_of_it_cannot_be_seen(jobs: LocalJobs) -> None:
    reader, pid = started(jobs, SCRUBBED.format(sleep=SLEEP))
    supervisor = psutil.Process(status_of(jobs, reader.job)["pid"])
    for process in (supervisor.parent(), supervisor):
        assert process is not None
        process.kill()
        jobs.wait_until(partial(is_gone, process.pid))  # it may wait for the disk, and hold its lock
    state, outcome, (notice,) = from_another_container(jobs, reader.job, "look")
    assert (state, outcome) == (JobState.TRAINING.value, None)
    assert "cannot be seen from here" in notice
    assert not is_gone(pid)
    jobs.wait_until(reader.ended)
    assert is_gone(pid)


def test_a_script_without_environment_ends_when_its_folder_is_removed(jobs: LocalJobs) -> None:
    reader, pid = started(jobs, SCRUBBED.format(sleep=SLEEP))
    folder = jobs.folder / "jobs" / reader.job
    folder.rename(jobs.folder / "old")
    shutil.rmtree(jobs.folder / "old")
    reader.look()
    assert reader.end is not None
    assert reader.end.failure is FailureKind.LOST
    jobs.wait_until(lambda: is_gone(pid))


# Other machines


@pytest.fixture
def foreign(jobs: LocalJobs, monkeypatch: pytest.MonkeyPatch) -> JobFolder:
    """A job that another machine runs, on a disk whose locks it does not share."""
    monkeypatch.setattr(machine, "_OWN_DISKS", frozenset())
    folder = JobFolder(jobs.folder / "jobs" / "local-0001-1")
    folder.path.mkdir(parents=True)
    folder.write_request({"digest": "x"})
    folder.log.write_text("epoch 1\n")
    folder.write_status({
        "state": "training", "pid": 1, "started_at": 1.0,
        **machine.here(), "host": "other", "boot": "another", "machine": "that",
    })  # fmt: skip
    return folder


def test_a_job_of_another_machine_is_never_taken_for_dead(jobs: LocalJobs, foreign: JobFolder) -> None:
    backend, job = jobs.backend(), JobName(foreign.path.name)
    (seen,) = backend.observe([Watch(job=job)])
    assert (seen.state, seen.end) == (JobState.TRAINING, None)
    assert [line.text for line in seen.lines] == ["epoch 1"]
    (notice,) = backend.notices()
    assert notice.startswith(f"{job} runs on other, as far as is known")
    assert backend.stop(job)
    assert foreign.stop_asked()
    (seen,) = backend.observe([Watch(job=job)])
    assert (seen.state, seen.end) == (JobState.STOPPING, None)
    # What the notice says to do when that machine is gone for good.
    shutil.rmtree(foreign.path)
    (seen,) = backend.observe([Watch(job=job)])
    assert seen.end is not None
    assert seen.end.failure is FailureKind.LOST


def test_a_restart_of_this_machine_ends_its_jobs(jobs: LocalJobs, foreign: JobFolder) -> None:
    status = foreign.status() or {}
    foreign.write_status({**status, **machine.here(), "machine": "this", "boot": "the one before"})
    job = JobName(foreign.path.name)
    if not machine.here()["machine"]:
        assert machine.elsewhere(foreign.status() or {}, foreign.path) is not None
        return
    foreign.write_status({**status, **machine.here(), "boot": "the one before"})
    (seen,) = jobs.backend().observe([Watch(job=job)])
    assert seen.end is not None
    assert seen.end.failure is FailureKind.LOST


def test_on_a_disk_of_one_machine_another_start_is_an_earlier_one(tmp_path: Path) -> None:
    other = {**machine.here(), "host": "other", "boot": "another"}
    kinds = dict(machine._mounts())
    assert Path("/") in kinds
    is_own = machine._is_own_disk(tmp_path)
    assert (machine.elsewhere(other, tmp_path) is None) == is_own
    assert machine.elsewhere({**machine.here(), "host": "renamed"}, tmp_path) is None
    assert machine.elsewhere({"pid": 7}, tmp_path) is None


# GPUs


def test_no_gpu_is_shared_by_two_experiments(tmp_path: Path) -> None:
    one, two = LocalJobs(tmp_path / "one", stop_grace=0.3), LocalJobs(tmp_path / "two", stop_grace=0.3)

    def on_gpus(jobs: LocalJobs) -> LocalBackend:
        return jobs.backend(gpus_per_trial=1, gpus=("7",))

    try:
        for jobs in (one, two):
            jobs.write("train.py", SLEEP)
        assert on_gpus(one).submit(one.request()) == Submitted()
        assert on_gpus(two).submit(two.request()) == Postponed(reason="no free GPU: required 1, free 0")
        # A supervisor that is killed keeps its GPU until what used it is gone.
        os.kill(status_of(one, one.request().job)["pid"], signal.SIGKILL)
        one.wait_until(lambda: on_gpus(two).submit(two.request()) == Submitted())
        (script, _) = status_of(one, one.request().job).get("script", (0, 0))
        assert not script or is_gone(script)
    finally:
        one.end_all()
        two.end_all()
