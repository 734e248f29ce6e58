"""Trouble with nodes, partitions and the shared folder, on real daemons: it is told, and no job is lost."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from slurm_cluster import Cluster
from trialjob.backends.folders.job_folder import Facts
from trialjob.backends.slurm import commands
from trialjob.backends.slurm.backend import SlurmBackend
from trialjob.backends.slurm.slurm_folder import SlurmFolder
from trialjob.errors import StoreError
from trialjob.model.job import FailureKind, Outcome
from trialjob.orchestrator.ports import Submitted
from trialjob.testing.backend_contract import Reader
from trialjob.testing.slurm_jobs import SlurmJobs

SCRIPT = """
import sys, time
for epoch in range(int(sys.argv[sys.argv.index("--epochs") + 1])):
    print(f"epoch {epoch + 1}", flush=True)
    time.sleep(0.2)
"""
NODE = "nodename=node1"


@pytest.fixture
def jobs(tmp_path: Path, slurm: Cluster) -> Iterator[SlurmJobs]:
    assert slurm.conf.exists()
    made = SlurmJobs(tmp_path)
    made.write("train.py", SCRIPT)
    yield made
    slurm.ask("scontrol", "update", "partition=main", "state=up")
    slurm.ask("scontrol", "update", NODE, "state=resume")
    made.end_all()


# Nodes and partitions


def test_a_partition_that_is_down_is_waited_for(jobs: SlurmJobs, slurm: Cluster) -> None:
    slurm.ask("scontrol", "update", "partition=main", "state=down")
    request = jobs.request({"epochs": 1})
    reader = jobs.start(request)
    jobs.wait_for_notice(request, "the partition is down; it starts when that is up again")
    slurm.ask("scontrol", "update", "partition=main", "state=up")
    assert jobs.end_of(reader).outcome is Outcome.COMPLETED


def test_a_node_that_is_drained_is_waited_for(jobs: SlurmJobs, slurm: Cluster) -> None:
    slurm.ask("scontrol", "update", NODE, "state=drain", "reason=by hand")
    request = jobs.request({"epochs": 1})
    reader = jobs.start(request)
    jobs.wait_for_notice(request, "the nodes that it needs are down or reserved")
    slurm.ask("scontrol", "update", NODE, "state=resume")
    assert jobs.end_of(reader).outcome is Outcome.COMPLETED


def test_a_node_that_fails_and_takes_its_job_along_is_a_lost_job(jobs: SlurmJobs, slurm: Cluster) -> None:
    request = jobs.request({"epochs": 1000})
    reader = jobs.start(request)
    jobs.wait_until(lambda: reader.ended() or "epoch 2" in reader.lines)
    (job,) = [each for each in commands.queue(request.job) if each.state == "RUNNING"]
    slurm.ask("scontrol", "update", f"jobid={job.number}", "requeue=0")
    slurm.ask("scontrol", "update", NODE, "state=down", "reason=failed")
    end = jobs.end_of(reader)
    assert (end.outcome, end.failure) == (Outcome.FAILED, FailureKind.LOST)
    assert "its node failed" in end.message


def test_a_dependency_that_will_never_be_is_told(jobs: SlurmJobs, slurm: Cluster) -> None:
    failed = slurm.ask("sbatch", "--parsable", "--output=/dev/null", "--wrap", "false").strip()
    jobs.wait_until(
        lambda: "FAILED" in slurm.ask("squeue", "-h", "--states=all", f"--jobs={failed}", "-o", "%T")
    )
    request = jobs.request({"epochs": 1})
    backend = jobs.backend(f"--dependency=afterok:{failed}")
    backend.submit(request)
    end = jobs.end_of(Reader(backend, request.job))
    assert end.failure is FailureKind.REJECTED
    assert "DependencyNeverSatisfied" in end.message
    assert "take the dependency out of backend.sbatch" in end.message


def test_a_partition_takes_trials_as_long_as_its_longest_job(jobs: SlurmJobs) -> None:
    request = jobs.request({"epochs": 1}, max_runtime=120.0)
    backend = jobs.backend("--partition=short")
    backend.submit(request)
    assert jobs.end_of(Reader(backend, request.job)).outcome is Outcome.COMPLETED


# The shared folder


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Makes a disk of a megabyte at the shared folder, and fills and clears it."""
    place = tmp_path / "shared"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")

    def to(what: str) -> None:
        (place / "filling").unlink(missing_ok=True)
        if what == "full":
            with suppress(OSError), (place / "filling").open("wb", buffering=0) as file:
                while file.write(b"x" * 4096):
                    pass

    yield to
    subprocess.run(["umount", "--lazy", str(place)], check=False)  # noqa: S607 - root's own


def test_a_full_folder_loses_no_job_and_no_end(small: Callable[[str], None], jobs: SlurmJobs) -> None:
    small("full")
    request = jobs.request({"epochs": 4})
    with pytest.raises(StoreError, match="No space left on device"):
        jobs.backend().submit(request)
    small("clear")
    reader = jobs.start(request)
    jobs.wait_until(lambda: reader.ended() or "epoch 1" in reader.lines)
    small("full")
    script = SlurmFolder(jobs.job_folder(request.job)).status() or {}
    jobs.wait_until(lambda: not Path(f"/proc/{script['script'][0]}").exists())
    reader.look()
    assert reader.end is None
    small("clear")
    assert jobs.end_of(reader).outcome is Outcome.COMPLETED
    assert jobs.backend().submit(request) == Submitted(adopted=True)


class LateFolder(SlurmFolder):
    """Shows everything as it was up to two seconds ago, as a client of NFS may; the log as late as can be."""

    LATE = 2.0
    remembered: dict[tuple[Path, str], tuple[float, object]]

    def _late(self, name: str, now: Callable[[], object]) -> object:
        at, seen = self.remembered.get((self.path, name), (-self.LATE, None))
        if time.monotonic() >= at + self.LATE:
            seen = now()
            self.remembered[self.path, name] = time.monotonic(), seen
        return seen

    def has(self, name: str) -> bool:
        return bool(self._late(f"has {name}", lambda: super(LateFolder, self).has(name)))

    def _read(self, name: str) -> Facts | None:
        facts = self._late(name, lambda: super(LateFolder, self)._read(name))
        return facts if isinstance(facts, dict) else None


class LateBackend(SlurmBackend):
    remembered: dict[tuple[Path, str], tuple[float, object]]

    def _folder(self, job: str) -> SlurmFolder:
        folder = LateFolder(self._jobs / job, disk=self._disk)
        folder.remembered = self.remembered
        shown = self._jobs / f"{job}.log"
        whole = folder.log.read_bytes() if folder.log.exists() else b""
        # The last line of the log comes seconds after the word of the job's end.
        late = folder._late("log", lambda: whole)
        shown.parent.mkdir(parents=True, exist_ok=True)
        shown.write_bytes(late if isinstance(late, bytes) else b"")
        folder.log = shown
        return folder


def test_a_folder_that_is_seen_late_doubles_and_loses_nothing(jobs: SlurmJobs) -> None:
    late: list[LateBackend] = []
    remembered: dict[tuple[Path, str], tuple[float, object]] = {}
    for _ in range(2):
        backend = jobs.backend()
        backend.__class__ = LateBackend
        assert isinstance(backend, LateBackend)
        backend.remembered = remembered
        late.append(backend)
    request = jobs.request({"epochs": 4})
    assert late[0].submit(request) == Submitted()
    reader = Reader(late[1], request.job)
    assert jobs.end_of(reader).outcome is Outcome.COMPLETED
    assert reader.lines == [f"epoch {number}" for number in range(1, 5)]


def test_a_node_that_sees_the_folder_late_waits_for_it(jobs: SlurmJobs) -> None:
    request = jobs.request({"epochs": 1})
    backend = jobs.backend("--begin=now+1")
    backend.submit(request)
    place = jobs.job_folder(request.job) / "request.json"
    place.rename(place.with_name("unseen"))
    jobs.wait_until(lambda: "RUNNING" in [each.state for each in commands.queue(request.job)])
    jobs.clock.sleep(1.0)
    place.with_name("unseen").rename(place)
    reader = Reader(backend, request.job)
    assert jobs.end_of(reader).outcome is Outcome.COMPLETED
    assert reader.lines == ["epoch 1"]


def test_a_folder_that_is_gone_is_told_when_nothing_runs(jobs: SlurmJobs) -> None:
    request = jobs.request({"epochs": 1000})
    reader = jobs.start(request)
    jobs.wait_until(lambda: reader.ended() or "epoch 1" in reader.lines)
    jobs.job_folder(request.job).rename(jobs.folder / "elsewhere")
    shutil.rmtree(jobs.folder / "elsewhere")
    end = jobs.end_of(reader)
    assert (end.outcome, end.failure) == (Outcome.FAILED, FailureKind.LOST)
    assert "its folder is gone" in end.message
    assert not [each for each in commands.queue(request.job) if each.state == "RUNNING"]
