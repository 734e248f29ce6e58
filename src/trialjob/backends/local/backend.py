"""Jobs on this machine: one supervised process tree each.

It decides what a job's folder means. It keeps nothing in memory, so any number of these objects, in any
number of processes, see the same jobs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from trialjob.backends.filling import environment_of, how_of, program_of, values_of, wants_values_file
from trialjob.backends.local.folder import Facts, JobFolder, files_below
from trialjob.backends.local.gpus import GpuClaims
from trialjob.backends.local.log import read_lines, tail
from trialjob.backends.local.machine import elsewhere, terminate
from trialjob.backends.local.status import doubt, end_of, gone, lost, state_of
from trialjob.errors import BackendError, BackendUnavailable, StoreError
from trialjob.files import DISK, Disk
from trialjob.model.ids import JobName
from trialjob.model.job import JobRequest, JobSeen, LogLine, Outcome, Watch
from trialjob.model.secret import Reveal, Secret, revealed, unknown
from trialjob.orchestrator.journals.private import FILE, make_private
from trialjob.orchestrator.ports import Clock, Kept, Part, Postponed, Rejected, Submitted

#: Bytes that are read at once.
_PIECE = 1024 * 1024


class LocalBackend:
    """Runs each job in a folder of its own below ``jobs``."""

    def __init__(
        self,
        *,
        jobs: Path,
        bundles: Path,
        clock: Clock,
        python: str = sys.executable,
        stop_grace: float = 30.0,
        gpus_per_trial: int = 0,
        gpus: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        reveal: Reveal = unknown,
        disk: Disk = DISK,
    ) -> None:
        """``environment`` is for every job, beside what its request says; ``reveal`` looks secrets up."""
        # Absolute, because the supervisors compare and keep these paths.
        self._jobs = jobs.absolute()
        self._bundles = bundles.absolute()
        self._clock = clock
        # A name is looked up in PATH; a path must not depend on where the script runs.
        self._python = str(Path(python).absolute()) if os.sep in python else python
        self._stop_grace = stop_grace
        self._gpus_per_trial = gpus_per_trial
        self._environment = dict(environment or {})
        self._claims = GpuClaims(gpus)
        #: Of which jobs nobody here can say whether they live, and why.
        self._doubts: dict[str, str] = {}
        self._reveal = reveal
        self._disk = disk

    def submit(self, request: JobRequest) -> Submitted | Postponed | Rejected:
        """Start the job, or find that it was started before.

        Killed at any instruction, this may be called again: the job's lock passes from here to the
        supervisor without a gap, and a supervisor leaves a status before it starts anything.
        """
        folder = self._folder(request.job)
        secrets = revealed(
            {name: value for name, value in request.environment.items() if isinstance(value, Secret)},
            self._reveal,
        )
        with _store(folder.path):
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
                    folder.write_request(self._facts(request, tuple(claimed)))
                    _start_supervisor(folder, lock, tuple(claimed.values()), secrets)
        return Submitted()

    def stop(self, job: JobName) -> bool:
        """Ask for the job's end; a job that was never started is given a grave, so that it never will be."""
        folder = self._folder(job)
        with _store(folder.path):
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

    def observe(self, watched: Sequence[Watch]) -> Sequence[JobSeen]:
        """What became of these jobs, with the log lines behind each one's cursor."""
        return [seen for watch in watched if not watch.bill and (seen := self._look(watch)) is not None]

    def log(self, job: JobName, cursor: str = "") -> Sequence[LogLine]:
        """Some lines of a job's log behind ``cursor``; empty at its present end."""
        folder = self._folder(job)
        with _store(folder.path):
            status = folder.status()
            ended = status is not None and status["state"] == "ended"
            return read_lines(folder.log, cursor, ended=ended).lines

    def location(self, job: JobName, part: Part) -> str:
        """The folder of a part."""
        return str(self._folder(job).part(part))

    def kept(self, job: JobName, part: Part) -> Sequence[Kept]:
        """The files of a part. Links are followed as long as they stay inside of it."""
        root = self._folder(job).part(part)
        with _store(root):
            return [Kept(path=path, size=(root / path).stat().st_size) for path in files_below(root)]

    def read(self, job: JobName, part: Part, path: str, start: int = 0) -> Iterator[bytes]:
        """The bytes of a file from ``start`` on."""
        root = self._folder(job).part(part)
        with _store(root), (root / path).open("rb") as file:
            file.seek(start)
            while piece := file.read(_PIECE):
                yield piece

    def end_pools(self, jobs: Sequence[JobName]) -> bool:  # noqa: ARG002 - the port
        """This machine is kept warm by other means."""
        return True

    def notices(self) -> Sequence[str]:
        """What a person should know now."""
        return [*self._doubts.values()]

    def close(self) -> None:
        """Nothing: jobs run on, and this object holds nothing."""

    # What a folder means

    def _folder(self, job: str) -> JobFolder:
        return JobFolder(self._jobs / job, disk=self._disk)

    def _look(self, watch: Watch) -> JobSeen | None:
        folder = self._folder(watch.job)
        if not folder.path.is_dir():
            return gone(watch.job, folder.path)
        with _store(folder.path):
            status = self._settled(folder)
            if status is None and folder.request() is None:
                return None
            ended = status is not None and status["state"] == "ended"
            found = read_lines(folder.log, watch.cursor, ended=ended)
            return JobSeen(
                job=watch.job,
                state=state_of(status, stopping=folder.stop_asked()),
                lines=found.lines,
                end=end_of(status, folder) if status is not None and ended and not found.more else None,
                more=found.more,
            )

    def _settled(self, folder: JobFolder) -> Facts | None:
        """The job's status; that of a job whose supervisor has died is brought to its end first."""
        status = folder.status()
        self._doubts.pop(folder.path.name, None)
        if status is not None and status["state"] == "ended":
            return status
        with _locked(folder) as lock:
            if lock is None:
                return status
            # Nobody can change it now; and it may have changed since it was read.
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

    def _bury(self, folder: JobFolder) -> Facts:
        """End a job that was never started."""
        status: Facts = {
            "state": "ended",
            "buried": True,
            "outcome": Outcome.STOPPED.value,
            "message": "stopped before it was started",
            "ended_at": self._clock.now(),
        }
        folder.write_status(status)
        return status

    def _check_ours(self, folder: JobFolder, request: JobRequest) -> None:
        known = folder.request()
        if known is not None and known["digest"] != request.digest:
            raise BackendError(
                f"job {request.job} exists with other content in {folder.path} "
                f"(digest {known['digest']}, not {request.digest}); "
                "give the experiment another name, or remove that folder"
            )

    def _facts(self, request: JobRequest, gpus: Sequence[str]) -> Facts:
        root = str(self._folder(request.job).tree)
        return {
            "job": request.job,
            "experiment": request.experiment,
            "trial": request.trial,
            "attempt": request.attempt,
            "hyperparameters": dict(values_of(request, root)),
            "entry_point": request.entry_point,
            "program": [*chain(*program_of(request, request.program, root))] if request.program else None,
            "arguments": list(how_of(request)),
            "values_file": wants_values_file(request),
            "max_runtime": request.max_runtime,
            # What is secret is in no file: the supervisor has it in its own environment.
            "environment": self._environment
            | {name: text for name, text in environment_of(request, root).items() if isinstance(text, str)},
            "inputs": dict(request.inputs),
            "source": request.source,
            "digest": request.digest,
            "plain_values": request.program is not None and not request.program.json_values,
            "bundle_file": str(self._bundles / f"{request.bundle}.tar.gz") if request.bundle else None,
            "python": self._python,
            "stop_grace": self._stop_grace,
            "gpus": list(gpus),
        }


@contextmanager
def _store(path: Path) -> Iterator[None]:
    """Name the place and the reason of what went wrong with a file."""
    try:
        yield
    except OSError as error:
        place = error.filename if isinstance(error.filename, str) else path
        raise StoreError(f"cannot use {place}: {error.strerror or error}") from error


@contextmanager
def _locked(folder: JobFolder) -> Iterator[int | None]:
    lock = folder.lock()
    try:
        yield lock
    finally:
        if lock is not None:
            os.close(lock)


def _start_supervisor(
    folder: JobFolder, lock: int, claims: Sequence[int], secrets: Mapping[str, str]
) -> None:
    """Start it with the job's lock and claims in its hands, and return when it has accepted the job."""
    answer, ack = os.pipe()
    # Its log is the owner's alone from the start, whatever the umask.
    log_file = os.open(folder.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, FILE)
    with os.fdopen(answer, "rb") as answers, os.fdopen(log_file, "ab") as log:
        try:
            starter = subprocess.Popen(  # noqa: S603 - ourselves
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "trialjob.backends.local.supervisor",
                    str(folder.path),
                    str(ack),
                    *map(str, claims),
                ],
                env={**os.environ, **secrets},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lock, ack, *claims),
                start_new_session=True,
            )
        finally:
            os.close(ack)
        said = answers.read().decode("utf-8", "replace")
        code = starter.wait()
    if said == "ok":
        return
    if said:
        raise StoreError(f"the supervisor of {folder.path} could not begin: {said}")
    if code > 0:
        raise BackendError(
            f"the supervisor of {folder.path} ended with exit status {code}: {tail(folder.log)}"
        )
    raise BackendUnavailable(f"the supervisor of {folder.path} was killed before it accepted the job")
