"""Jobs on this machine: one supervised process tree each.

It decides what a job's folder means. It keeps no job in memory, so any number of these objects, in any
number of processes, see the same jobs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from trialjob.backends.folders.backend import FolderBackend, files_of, is_other
from trialjob.backends.folders.job_folder import Facts, JobFolder
from trialjob.backends.folders.machine import elsewhere, terminate
from trialjob.backends.folders.status import state_of
from trialjob.backends.local.gpus import GpuClaims
from trialjob.backends.local.starter import Starter
from trialjob.backends.local.status import doubt, lost, without_folder
from trialjob.errors import BackendUnavailable
from trialjob.files import DISK, Disk
from trialjob.model.ids import JobName
from trialjob.model.job import JobRequest, JobSeen, Watch
from trialjob.model.secret import Reveal, unknown
from trialjob.orchestrator.ports import Clock, Postponed, Rejected, Submitted
from trialjob.private_files import make_private


class LocalBackend(FolderBackend):
    """Runs each job in a folder of its own below ``jobs``."""

    def __init__(
        self,
        *,
        jobs: Path,
        bundles: Path,
        clock: Clock,
        python: str = sys.executable,
        stop_grace: float = 30.0,
        code: Callable[[str], bytes] | None = None,
        gpus_per_trial: int = 0,
        gpus: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        reveal: Reveal = unknown,
        disk: Disk = DISK,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        """``on_end`` is called, in another thread, when a job that this object has started has ended."""
        super().__init__(
            jobs=jobs,
            bundles=bundles,
            clock=clock,
            python=python,
            stop_grace=stop_grace,
            code=code,
            environment=environment,
            reveal=reveal,
            disk=disk,
        )
        self._gpus_per_trial = gpus_per_trial
        self._claims = GpuClaims(gpus)
        self._starter = Starter(self._jobs, on_end)
        #: Jobs of which it is unknown here whether they live, and why.
        self._doubts: dict[str, str] = {}

    def submit(self, request: JobRequest) -> Submitted | Postponed | Rejected:
        """Start the job, or find that it was started before.

        Killed at any instruction, this may be called again: the job's lock passes from here to the
        supervisor without a gap, and a supervisor leaves a status before it starts anything.
        """
        folder = self._folder(request.job)
        secrets = self._secrets(request)
        with files_of(folder.path):
            make_private(folder.path, root=self._jobs, disk=self._disk)
            with _locked(folder) as lock:
                self._check_ours(folder, request)
                if folder.status() is not None:
                    return Submitted(adopted=True)
                if lock is None:
                    raise BackendUnavailable(f"job {request.job} is being started by another process")
                if folder.stop_asked():
                    self._bury(folder)
                    return Submitted(adopted=True)
                with self._claims.claim(self._gpus_per_trial) as claimed:
                    free = len(claimed)
                    if free < self._gpus_per_trial:
                        return Postponed(reason=f"no free GPU: required {self._gpus_per_trial}, free {free}")
                    self._bring_code(request.bundle)
                    # Nothing is started before a status is in the same folder, and durable with its name.
                    folder.write_request({**self._facts(request), "gpus": [*claimed]}, named=False)
                    self._starter.start(folder, lock, tuple(claimed.values()), {**os.environ, **secrets})
        return Submitted()

    def stop(self, job: JobName, digest: str = "") -> bool:
        """Ask for the job's end; a job that was never started gets a tombstone, so that it never will be."""
        folder = self._folder(job)
        with files_of(folder.path):
            if is_other(folder, digest):
                return False
            make_private(folder.path, root=self._jobs, disk=self._disk)
            with _locked(folder) as lock:
                status = folder.status()
                if lock is not None:
                    if status is None:
                        self._bury(folder)
                        return False
                    if status["state"] != "ended" and elsewhere(status, folder.path) is not None:
                        folder.ask_stop()  # it looks for that, if it lives
                    return not status.get("buried", False)
                folder.ask_stop()
                if status is not None and status["state"] != "ended":
                    # The quick way; it may be of another container, and finds what was asked by itself.
                    terminate(int(status["pid"]), folder.lock_file)
        return True

    def _observe(self, watched: Sequence[Watch]) -> Sequence[JobSeen]:
        return [seen for watch in watched if (seen := self._look(watch)) is not None]

    def close(self) -> None:
        """Let go of what starts supervisors; jobs run on."""
        self._starter.close()

    def notices(self) -> Sequence[str]:
        """What a person should know now."""
        return [*super().notices(), *self._doubts.values()]

    # What a folder means

    def _look(self, watch: Watch) -> JobSeen | None:
        folder = self._folder(watch.job)
        if not folder.path.is_dir():
            return without_folder(watch.job, folder.path)
        with files_of(folder.path):
            status = self._settled(folder)
            if status is None and folder.request() is None:
                return None
            return self._seen(watch, folder, status, state_of(status, stopping=folder.stop_asked()))

    def _settled(self, folder: JobFolder) -> Facts | None:
        """The job's status; that of a job whose supervisor has died is brought to its end first."""
        status = folder.status()
        self._doubts.pop(folder.path.name, None)
        if status is not None and status["state"] == "ended":
            return status
        with _locked(folder) as lock:
            if lock is None:
                return status
            # No other process can change it now; and it may have changed since it was read.
            status = folder.status()
            if status is None:
                return self._bury(folder) if folder.stop_asked() else None
            return status if status["state"] == "ended" else self._without_supervisor(folder, status)

    def _without_supervisor(self, folder: JobFolder, status: Facts) -> Facts:
        """The status of a job of which this machine has no supervisor."""
        host = elsewhere(status, folder.path)
        if host is None:
            status = lost(folder, status)
        if status["state"] != "ended":
            self._doubts[folder.path.name] = doubt(folder, status, host)
        return status


@contextmanager
def _locked(folder: JobFolder) -> Iterator[int | None]:
    lock = folder.lock()
    try:
        yield lock
    finally:
        if lock is not None:
            os.close(lock)
