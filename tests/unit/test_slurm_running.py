"""A job that SLURM shows as running, and that never begins, is put into the queue again; no other one is.

The commands are programs of a few lines: what squeue prints, and a list of what the others were asked.
"""

from __future__ import annotations

import os
import shutil
from datetime import datetime
from pathlib import Path

import pytest

from trialjob.backends.folders.job_folder import Facts
from trialjob.backends.slurm.backend import LAG, SlurmBackend
from trialjob.backends.slurm.job_comment import Mark
from trialjob.backends.slurm.running import UNBEGUN
from trialjob.backends.slurm.slurm_folder import SlurmFolder
from trialjob.model.ids import JobName
from trialjob.model.job import FailureKind, JobSeen, Watch
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.testing.slurm_jobs import SlurmJobs

JOB = JobName("a-0001-1")
#: Of which no test is near to a limit.
LONG, SHORT = "1:00:00", "0:05"


class Cluster:
    """What the commands say, and what they were asked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._jobs = SlurmJobs(folder)
        jobs = self._jobs.job_folder(JOB).parent
        self._mark = Mark(token="t", job=JOB, folder=str(jobs), owner="me@here")  # noqa: S106 - no password
        self.folder = SlurmFolder(jobs / JOB)
        self.folder.path.mkdir(parents=True)
        self.folder.write_request({"job": JOB})
        self.folder.write_submission({"token": "t", "number": "7", "calls": 1})
        self._program("squeue", f'echo "$(<{folder}/queue)"')
        self.scontrol_says(0)
        self._program("scancel", f'echo "scancel $*" >> {folder}/asked')

    def scontrol_says(self, code: int) -> None:
        self._program("scontrol", f'echo "scontrol $*" >> {self._folder}/asked\nexit {code}')

    def _program(self, name: str, line: str) -> None:
        program = self._folder / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/bash\n{line}\n")
        program.chmod(0o755)

    def forget_scontrol(self) -> None:
        (self._folder / "bin" / "scontrol").unlink()

    def look(self, state: str, running: str, *, ago: float = 3600.0) -> None:
        """Look once, as each step under cron does, while the queue shows a run that began so long ago."""
        began = datetime.fromtimestamp(self._jobs.clock.now() - ago).isoformat(timespec="seconds")  # noqa: DTZ006 - as squeue does
        line = f"7|{state}|{began}|{running}|{began}|{self._mark.comment()}|{JOB}|None\n"
        (self._folder / "queue").write_text(line)
        (seen,) = self._jobs.backend().observe([Watch(job=JOB)])
        assert seen.end is None

    def backend_by(self, clock: SystemClock) -> SlurmBackend:
        self._jobs.clock = clock
        return self._jobs.backend()

    def knows_nothing(self, backend: SlurmBackend) -> JobSeen | None:
        """What is seen when the queue has no job."""
        (self._folder / "queue").write_text("")
        return next(iter(backend.observe([Watch(job=JOB)])), None)

    def asked(self) -> list[str]:
        place = self._folder / "asked"
        return place.read_text().splitlines() if place.exists() else []

    def kept(self, status: Facts, *, ago: float) -> None:
        """The last word of the job's supervisor."""
        self.folder.write_status(status)
        self.touch("status.json", ago=ago)

    def touch(self, name: str, *, ago: float) -> None:
        at = self._jobs.clock.now() - ago
        os.utime(self.folder.path / name, (at, at))

    def has_begun(self, state: str, *, ago: float) -> None:
        """A run of it has, and has said nothing since."""
        self.folder.claim({"token": "t"})
        self.folder.write_run({"run": "1", "runs": 1})
        self.folder.beat({"run": "1", "seconds": 1.0, "over": False})
        self.folder.write_status({"state": state, "restarts": 0})
        for name in self.names():
            self.touch(name, ago=ago)

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.path.iterdir())


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setenv("PATH", f"{tmp_path}/bin")  # and no real cluster is asked for anything
    return Cluster(tmp_path)


REQUEUED = ["scontrol requeue 7"]
INTERRUPTED: Facts = {"state": "interrupted", "restarts": 0}


def test_a_job_that_never_began_is_requeued_and_its_folder_is_left_as_it_is(cluster: Cluster) -> None:
    before = cluster.names()
    cluster.look("RUNNING", LONG)
    assert cluster.asked() == REQUEUED
    # No claim, no end and no stop: whichever run begins, late or again, is the job's only one.
    assert cluster.names() == sorted([*before, "requeued.json"])


def test_a_run_that_was_interrupted_and_shown_as_running_ever_since_is_requeued(cluster: Cluster) -> None:
    cluster.folder.claim({"token": "t"})
    cluster.kept(INTERRUPTED, ago=2 * UNBEGUN)
    cluster.look("RUNNING", LONG)
    assert cluster.asked() == REQUEUED
    assert (cluster.folder.status() or {})["state"] == "interrupted"
    assert not cluster.folder.stop_asked()


def test_a_run_that_was_claimed_and_said_nothing_is_requeued(cluster: Cluster) -> None:
    cluster.folder.claim({"token": "t"})
    cluster.look("RUNNING", LONG)
    assert cluster.asked() == REQUEUED


@pytest.mark.parametrize("state", ["PENDING", "COMPLETING", "CONFIGURING", "SUSPENDED"])
def test_only_what_runs_is_requeued(cluster: Cluster, state: str) -> None:
    cluster.look(state, LONG)
    assert cluster.asked() == []


def test_a_run_has_time_to_begin(cluster: Cluster) -> None:
    cluster.look("RUNNING", SHORT)
    cluster.kept(INTERRUPTED, ago=2 * UNBEGUN)
    cluster.look("RUNNING", SHORT)
    assert cluster.asked() == []


def test_a_long_run_that_was_interrupted_just_now_is_left_to_slurm(cluster: Cluster) -> None:
    cluster.kept(INTERRUPTED, ago=-UNBEGUN)
    cluster.look("RUNNING", LONG)
    assert cluster.asked() == []


@pytest.mark.parametrize("state", ["starting", "training"])
def test_a_run_that_has_begun_is_left_alone_also_without_signs_of_life(cluster: Cluster, state: str) -> None:
    cluster.has_begun(state, ago=100 * UNBEGUN)
    cluster.look("RUNNING", LONG, ago=100 * UNBEGUN + 2)
    assert cluster.asked() == []


@pytest.mark.parametrize("state", ["starting", "training"])
def test_a_run_that_no_node_was_given_is_requeued_whatever_the_one_before_it_said(
    cluster: Cluster, state: str
) -> None:
    cluster.has_begun(state, ago=UNBEGUN + 2)
    cluster.look("RUNNING", "10:00", ago=UNBEGUN)
    assert cluster.asked() == REQUEUED
    cluster.has_begun(state, ago=0.0)
    cluster.look("RUNNING", LONG, ago=UNBEGUN - 2)
    assert cluster.asked() == REQUEUED


def test_a_run_whose_clock_is_behind_shows_signs_of_life(cluster: Cluster) -> None:
    """The file system's clock and that of slurmctld are two."""
    cluster.has_begun("training", ago=UNBEGUN + 30)
    cluster.touch("alive.json", ago=35)
    cluster.look("RUNNING", "10:00", ago=UNBEGUN)
    assert cluster.asked() == []


def test_a_job_that_is_to_stop_is_not_begun_again(cluster: Cluster) -> None:
    cluster.folder.claim({"token": "t"})
    cluster.folder.ask_stop()
    cluster.touch("stop", ago=-UNBEGUN)
    cluster.look("RUNNING", LONG)
    assert cluster.asked() == []
    cluster.touch("stop", ago=UNBEGUN)
    cluster.look("RUNNING", LONG)
    assert [each.split()[0] for each in cluster.asked()] == ["scancel"]


@pytest.mark.parametrize("code", [0, 1])
def test_whoever_takes_long_to_begin_is_given_more_time_at_each_requeue(cluster: Cluster, code: int) -> None:
    cluster.scontrol_says(code)
    for running in ("10:00", "19:59", "20:00", "39:59"):
        cluster.look("RUNNING", running)
    assert cluster.asked() == REQUEUED * 2


def test_without_scontrol_it_is_waited_for(cluster: Cluster) -> None:
    cluster.forget_scontrol()
    cluster.look("RUNNING", LONG)
    assert cluster.asked() == []


# What is waited for as it may only not be seen yet


class Hand(SystemClock):
    """A clock that is set."""

    at = 1_700_000_000.0

    def now(self) -> float:
        return self.at


def test_a_clock_that_is_set_back_lets_nobody_wait_for_longer_for_a_lost_job(cluster: Cluster) -> None:
    cluster.folder.claim({"token": "t"})
    cluster.folder.write_run({"run": "1", "runs": 1})
    clock = Hand()
    for passed in (0.0, -86_400.0):
        clock.at += passed
        seen = cluster.knows_nothing(cluster.backend_by(clock))
        assert seen is not None
        assert seen.end is None
    clock.at += LAG
    seen = cluster.knows_nothing(cluster.backend_by(clock))
    assert seen is not None
    assert seen.end is not None
    assert seen.end.failure is FailureKind.LOST


def test_nor_for_a_folder_that_is_gone(cluster: Cluster) -> None:
    shutil.rmtree(cluster.folder.path)
    clock = Hand()
    backend = cluster.backend_by(clock)
    for passed in (0.0, -86_400.0):
        clock.at += passed
        assert cluster.knows_nothing(backend) is None
    clock.at += LAG
    assert cluster.knows_nothing(backend) is not None


def test_a_folder_is_waited_for_each_time_that_it_is_not_seen(cluster: Cluster) -> None:
    cluster.folder.claim({"token": "t"})
    cluster.folder.write_run({"run": "1", "runs": 1})
    clock = Hand()
    backend, folder, away = cluster.backend_by(clock), cluster.folder.path, cluster.folder.path.with_name("x")
    for _ in range(3):
        folder.rename(away)
        assert cluster.knows_nothing(backend) is None
        away.rename(folder)
        cluster.folder.write_missing(None)  # its job goes on meanwhile
        seen = cluster.knows_nothing(backend)
        assert seen is not None
        assert seen.end is None
        clock.at += LAG


def test_the_last_line_is_waited_for_also_where_the_folder_was_waited_for(cluster: Cluster) -> None:
    clock = Hand()
    backend, folder, away = cluster.backend_by(clock), cluster.folder.path, cluster.folder.path.with_name("x")
    folder.rename(away)
    assert cluster.knows_nothing(backend) is None
    away.rename(folder)
    clock.at += LAG
    cluster.folder.write_status({"state": "ended", "outcome": "completed", "log_size": 9, "seconds": 1.0})
    seen = cluster.knows_nothing(backend)
    assert seen is not None
    assert seen.end is None
    cluster.folder.log.write_text("score: 1\n")
    seen = cluster.knows_nothing(backend)
    assert seen is not None
    assert seen.end is not None
