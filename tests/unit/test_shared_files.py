"""A file system that machines share is away for a while: what runs goes on, and nothing is concluded."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from trialjob.backends.folders.backend import files_of
from trialjob.backends.local.backend import LocalBackend
from trialjob.errors import BackendUnavailable, StoreError
from trialjob.model.ids import JobName
from trialjob.model.job import JobSeen, Outcome, Watch
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.testing.local_jobs import LocalJobs

#: Runs a job whose folder cannot be looked at while its script runs.
SUPERVISOR = """
import errno, os, sys
from pathlib import Path
from trialjob.backends.folders.job_folder import JobFolder
from trialjob.backends.folders.supervisor import Supervisor
from trialjob.backends.slurm.slurm_folder import SlurmFolder
from trialjob.backends.slurm.supervisor import SlurmSupervisor

def away(*_):
    raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

kind, path = sys.argv[1], Path(sys.argv[2])
folder = (JobFolder if kind == "local" else SlurmFolder)(path)
if kind == "local":
    supervisor = Supervisor(folder, folder.request())
    supervisor.accept()
else:
    supervisor = SlurmSupervisor(folder, "token")
    assert supervisor.begin()
folder.stop_asked = folder.is_gone = folder.log_size = away
supervisor.run()
"""


@pytest.mark.parametrize("kind", ["local", "slurm"])
def test_a_script_goes_on_while_its_folder_cannot_be_looked_at(tmp_path: Path, kind: str) -> None:
    jobs = LocalJobs(tmp_path)
    jobs.write("train.py", "print('trained')")
    request = jobs.request()
    backend = jobs.backend()
    folder = backend._folder(request.job)
    folder.path.mkdir(parents=True)
    folder.write_request(backend._facts(request))
    folder.lock_file.touch()
    subprocess.run([sys.executable, "-c", SUPERVISOR, kind, str(folder.path)], check=True)
    status = json.loads((folder.path / "status.json").read_text())
    assert (status["state"], status["outcome"]) == ("ended", "completed"), status
    (seen,) = jobs.backend().observe([Watch(job=request.job)])
    assert seen.end is not None
    assert seen.end.outcome is Outcome.COMPLETED


def test_what_passes_is_tried_again_and_said(tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailable, match=r"Stale file handle; jobs go on"), files_of(tmp_path):
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
    with pytest.raises(StoreError, match="No space left"), files_of(tmp_path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Away(LocalBackend):
    """Its jobs are on a file system that does not answer."""

    def _look(self, watch: Watch) -> JobSeen | None:
        with files_of(self._folder(watch.job).path):
            raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))


def test_a_look_that_could_not_be_made_is_said_until_one_is(tmp_path: Path) -> None:
    backend = Away(jobs=tmp_path / "jobs", bundles=tmp_path / "bundles", clock=SystemClock())
    job = JobName("local-0001-1")
    with pytest.raises(BackendUnavailable):
        backend.observe([Watch(job=job)])
    assert backend.notices() == [f"{tmp_path / 'jobs' / job}: Connection timed out; jobs go on"]
    backend.observe([])
    assert backend.notices() == []
