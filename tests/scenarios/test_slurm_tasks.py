"""Trials of several tasks, which srun starts: one log, reports of the first, one end for all of them."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurm_cluster import Cluster
from trialjob.model.job import FailureKind, JobRequest, Outcome
from trialjob.testing.backend_contract import Reader
from trialjob.testing.slurm_jobs import SlurmJobs

#: Says who it is in a long line, which srun would tear, and does as it is told.
SCRIPT = """
import os, signal, sys, time
from trialjob.reporting import report
def print(line, **_):
    # In one piece: an unbuffered print writes a line and its end apart, and others may write between these.
    os.write(1, (line + "\\n").encode())
task, told = os.environ["SLURM_PROCID"], sys.argv[1:]
def save(*_):
    print(f"task {task} has saved", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
print(f"task {task} of {os.environ['SLURM_NTASKS']} begins", flush=True)
report(epoch=1, loss=0.5, **{f"more_{number}": 0.123456789 for number in range(100)})
print("-" * 2000, flush=True)
if "--fails" in told and task == told[told.index("--fails") + 1]:
    raise ValueError(f"task {task} has failed")
while "--long" in told:
    time.sleep(0.05)
"""


@pytest.fixture
def jobs(tmp_path: Path, slurm: Cluster) -> Iterator[SlurmJobs]:
    assert slurm.conf.exists()
    made = SlurmJobs(tmp_path / "with space %j")
    made.write("train.py", SCRIPT)
    yield made
    made.end_all()


def started(jobs: SlurmJobs, request: JobRequest) -> Reader:
    backend = jobs.backend(tasks_per_node=3)
    backend.submit(request)
    return Reader(backend, request.job)


def test_all_tasks_print_into_one_log_and_the_first_reports(jobs: SlurmJobs) -> None:
    reader = started(jobs, jobs.request())
    assert jobs.end_of(reader).outcome is Outcome.COMPLETED
    assert {line for line in reader.lines if "begins" in line} == {f"task {n} of 3 begins" for n in range(3)}
    reports = [line for line in reader.lines if "[trialjob]" in line]
    assert len(reports) == 1
    assert reports[0].startswith('[trialjob] {"seq":1,')
    assert reports[0].endswith('"more_99":0.123456789}}')


def test_a_task_that_fails_ends_the_others_and_its_reason_is_the_trials(jobs: SlurmJobs) -> None:
    reader = started(jobs, jobs.request({"fails": "2", "long": 1}))
    end = jobs.end_of(reader)
    assert (end.outcome, end.failure, end.exit_code) == (Outcome.FAILED, FailureKind.USER_CODE, 1)
    assert "ValueError: task 2 has failed" in reader.lines
    assert not any("srun:" in line for line in reader.lines)


def test_a_stop_lets_every_task_save(jobs: SlurmJobs) -> None:
    request = jobs.request({"long": 1})
    reader = started(jobs, request)
    begun(jobs, reader, 3)
    assert reader.backend.stop(request.job)
    end = jobs.end_of(reader)
    assert (end.outcome, end.exit_code) == (Outcome.STOPPED, 0)
    assert sorted(line for line in reader.lines if "saved" in line) == [
        f"task {n} has saved" for n in range(3)
    ]


def test_a_step_that_will_not_end_is_killed(jobs: SlurmJobs) -> None:
    deaf = (
        "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint('deaf', flush=True)\ntime.sleep(600)\n"
    )
    jobs.write("train.py", deaf)
    request = jobs.request(max_runtime=1.5)
    reader = started(jobs, request)
    end = jobs.end_of(reader)
    assert end.outcome is Outcome.TIMED_OUT
    assert end.seconds is not None
    assert end.seconds < 30.0


# Several nodes


@pytest.fixture
def two_nodes(slurm: Cluster) -> Cluster:
    slurm.start_second()
    return slurm


def on_two_nodes(jobs: SlurmJobs, request: JobRequest) -> Reader:
    backend = jobs.backend("--partition=several", nodes=2)
    backend.submit(request)
    return Reader(backend, request.job)


def begun(jobs: SlurmJobs, reader: Reader, tasks: int) -> None:
    """Return when so many tasks run."""
    jobs.wait_until(lambda: reader.ended() or sum("begins" in line for line in reader.lines) >= tasks)
    assert reader.end is None


@pytest.mark.usefixtures("two_nodes")
def test_one_log_one_reporter_and_one_stop_over_two_nodes(jobs: SlurmJobs) -> None:
    request = jobs.request({"long": 1})
    reader = on_two_nodes(jobs, request)
    begun(jobs, reader, 2)
    assert reader.backend.stop(request.job)
    end = jobs.end_of(reader)
    assert (end.outcome, end.exit_code, end.instances) == (Outcome.STOPPED, 0, 2)
    assert sum("[trialjob]" in line for line in reader.lines) == 1
    said = {word: sorted(line for line in reader.lines if word in line) for word in ("begins", "saved")}
    assert said["begins"] == ["task 0 of 2 begins", "task 1 of 2 begins"]
    assert said["saved"] == ["task 0 has saved", "task 1 has saved"]


def test_a_requeue_ends_and_begins_again_on_both_nodes(jobs: SlurmJobs, two_nodes: Cluster) -> None:
    request = jobs.request({"long": 1})
    reader = on_two_nodes(jobs, request)
    begun(jobs, reader, 2)
    (job,) = jobs.queued(request.job)
    two_nodes.ask("scontrol", "requeue", job.number)
    again = ("squeue", "-h", f"--jobs={job.number}", "--states=PENDING")
    jobs.wait_until(lambda: bool(two_nodes.ask(*again)))
    assert not [line for line in processes() if "train.py" in line and str(jobs.folder) in line]
    assert reader.backend.stop(request.job)
    assert jobs.end_of(reader).outcome is Outcome.STOPPED


def processes() -> list[str]:
    """The command lines of all processes."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found.append((place / "cmdline").read_text(errors="replace").replace("\0", " "))
    return found


@pytest.mark.usefixtures("two_nodes")
def test_torchrun_is_told_where_the_others_are(jobs: SlurmJobs) -> None:
    # In torchrun's place, as it is found first: it says what it is called with.
    for folder in ("torch", "torch/distributed"):
        jobs.write(f"{folder}/__init__.py", "")
    jobs.write(
        "torch/distributed/run.py", "import os, sys\nprint(os.environ['PET_NODE_RANK'], sys.argv[1:-1])"
    )
    told = {"TRIALJOB_DISTRIBUTION": "torchrun", "TRIALJOB_PROCESSES": "4", "MASTER_PORT": "29999"}
    reader = on_two_nodes(jobs, jobs.request(environment=told))
    assert jobs.end_of(reader).outcome is Outcome.COMPLETED
    master = ["--master_addr", socket.gethostname(), "--master_port", "29999"]
    words = ["--nproc_per_node", "4", "--nnodes", "2", *master]
    assert sorted(reader.lines) == [f"{node} {words}" for node in (0, 1)]


def test_tasks_which_are_children_of_slurm_are_not_sampled(jobs: SlurmJobs) -> None:
    jobs.write("train.py", "import os\nos.write(1, (os.environ['TRIALJOB_USE'] + '\\n').encode())")
    reader = started(jobs, jobs.request())
    assert jobs.end_of(reader).outcome is Outcome.COMPLETED
    assert reader.lines == ["off"] * 3
