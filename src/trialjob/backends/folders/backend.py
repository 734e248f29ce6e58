"""What backends share whose jobs are folders: what a folder says, and what is put into one.

It keeps nothing in memory, so any number of these objects, in any number of processes, see the same jobs.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from trialjob.backends.filling import environment_of, how_of, program_of, values_of, wants_values_file
from trialjob.backends.folders.job_folder import Facts, JobFolder, files_below
from trialjob.backends.folders.log import Lines, read_lines
from trialjob.backends.folders.status import end_of
from trialjob.errors import BackendError, BackendUnavailable, StoreError
from trialjob.files import Disk
from trialjob.in_job.init_process import was_killed
from trialjob.model.ids import JobName
from trialjob.model.job import JobRequest, JobSeen, JobState, LogLine, Outcome, Watch
from trialjob.model.secret import Reveal, Secret, revealed
from trialjob.orchestrator.journals.os_errors import trouble
from trialjob.orchestrator.ports import Clock, Kept, Part
from trialjob.private_files import FOLDER

#: Bytes that are read at once.
_PIECE = 1024 * 1024
#: What file systems that machines share say while they are away, or of a file that was replaced just now.
_PASSES = frozenset({
    errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENOTCONN, errno.ESHUTDOWN,
})  # fmt: skip


class FolderBackend:
    """Has a folder for each job below ``jobs``."""

    def __init__(
        self,
        *,
        jobs: Path,
        bundles: Path,
        clock: Clock,
        python: str,
        stop_grace: float,
        code: Callable[[str], bytes] | None,
        environment: Mapping[str, str] | None,
        reveal: Reveal,
        disk: Disk,
    ) -> None:
        """``code`` gives out a bundle by its digest that is not among ``bundles`` yet.

        ``environment`` is for every job, beside what its request says; ``reveal`` looks secrets up.
        """
        # Absolute, because the supervisors compare and keep these paths.
        self._jobs = jobs.absolute()
        self._bundles = bundles.absolute()
        self._clock = clock
        # A name is looked up in PATH; a path must not depend on where the script runs.
        self._python = str(Path(python).absolute()) if os.sep in python else python
        self._stop_grace = stop_grace
        self._code = code
        self._environment = dict(environment or {})
        self._reveal = reveal
        self._disk = disk
        #: Why no job could be looked at; "" when they could.
        self._unseen = ""

    def observe(self, watched: Sequence[Watch]) -> Sequence[JobSeen]:
        """What became of these jobs, with the log lines behind each one's cursor."""
        self._unseen = ""
        try:
            return self._observe([watch for watch in watched if not watch.bill])
        except BackendUnavailable as error:
            self._unseen = str(error)
            raise

    def _observe(self, watched: Sequence[Watch]) -> Sequence[JobSeen]:
        raise NotImplementedError("say what became of them")

    def notices(self) -> Sequence[str]:
        """What a person should know now."""
        return [self._unseen] if self._unseen else []

    def log(self, job: JobName, cursor: str = "") -> Sequence[LogLine]:
        """Some lines of a job's log behind ``cursor``; empty at its present end."""
        folder = self._folder(job)
        with files_of(folder.path):
            return _read_lines(folder, cursor, folder.status()).lines

    def location(self, job: JobName, part: Part) -> str:
        """The folder of a part."""
        return str(self._folder(job).part(part))

    def kept(self, job: JobName, part: Part) -> Sequence[Kept]:
        """The files of a part. Links are followed as long as they stay inside of it."""
        root = self._folder(job).part(part)
        with files_of(root):
            return [_kept(path, (root / path).stat()) for path in files_below(root)]

    def read(self, job: JobName, part: Part, path: str, start: int = 0) -> Iterator[bytes]:
        """The bytes of a file from ``start`` on."""
        root = self._folder(job).part(part)
        with files_of(root), (root / path).open("rb") as file:
            file.seek(start)
            while piece := file.read(_PIECE):
                yield piece

    def end_pools(self, jobs: Sequence[JobName]) -> bool:  # noqa: ARG002 - the port
        """No machine is kept warm for an experiment."""
        return True

    def close(self) -> None:
        """Nothing: jobs run on, and this object holds nothing."""

    # What is in a folder

    def _seen(self, watch: Watch, folder: JobFolder, status: Facts | None, state: JobState) -> JobSeen:
        """A job with the lines behind its cursor; its end comes with the last of them."""
        found = _read_lines(folder, watch.cursor, status)
        return JobSeen(
            job=watch.job,
            state=state,
            lines=found.lines,
            end=end_of(status, folder) if status and _has_ended(status) and not found.more else None,
            more=found.more,
        )

    def _secrets(self, request: JobRequest) -> dict[str, str]:
        """What is secret of its environment; it is kept in no file."""
        given = {name: value for name, value in request.environment.items() if isinstance(value, Secret)}
        return revealed(given, self._reveal)

    def _folder(self, job: str) -> JobFolder:
        return JobFolder(self._jobs / job, disk=self._disk)

    def _bring_code(self, digest: str) -> None:
        place = self._bundles / f"{digest}.tar.gz"
        if not digest or self._code is None or place.exists():
            return
        self._disk.make_folder(self._bundles, mode=FOLDER)
        self._disk.write(place, self._code(digest))

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
        if is_other(folder, request.digest):
            theirs = (folder.request() or {})["digest"]
            raise BackendError(
                f"job {request.job} exists with other content in {folder.path} "
                f"(digest {theirs}, not {request.digest}); "
                "give the experiment another name, or remove that folder"
            )

    def _facts(self, request: JobRequest) -> Facts:
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
            "gpus": [],
        }


def _has_ended(status: Facts | None) -> bool:
    return status is not None and status["state"] == "ended"


def _read_lines(folder: JobFolder, cursor: str, status: Facts | None) -> Lines:
    ended = _has_ended(status)
    return read_lines(folder.log, cursor, ended=ended, cut_off=ended and _was_cut_off(status or {}))


def _was_cut_off(status: Facts) -> bool:
    """Whether it could not write all that it had to say: what ends by itself, well or not, does."""
    code = status.get("exit_code")
    failed = status.get("outcome") == Outcome.FAILED.value
    return code is None or was_killed(code) or (code != 0 and not failed)


def is_other(folder: JobFolder, digest: str) -> bool:
    """Whether the folder is of a job with another content, where that is known."""
    known = folder.request()
    return bool(digest) and known is not None and known["digest"] != digest


@contextmanager
def files_of(path: Path) -> Iterator[None]:
    """Name the place and the reason of what went wrong with a file; what passes is tried again."""
    try:
        yield
    except OSError as error:
        if error.errno in _PASSES:
            raise BackendUnavailable(f"{error.filename or path}: {error.strerror}; jobs go on") from error
        raise StoreError(trouble(error, path, doing="used")) from error


def _kept(path: str, found: os.stat_result) -> Kept:
    return Kept(path=path, size=found.st_size, version=f"{found.st_ino}-{found.st_mtime_ns}")
