"""The process beside each trial: starts the script, watches it, keeps how it ended.

It decides nothing but that. How it is started, and how anyone tells that it lives, differs from backend to
backend: each has a supervisor of its own, made of this one.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from trialjob.backends.folders.checkpoints import copy_checkpoints
from trialjob.backends.folders.descendants import end_descendants, is_subreaper
from trialjob.backends.folders.inherited import inherited
from trialjob.backends.folders.job_folder import MARK, Facts, JobFolder
from trialjob.backends.folders.machine import here, start_of
from trialjob.in_job import code_setup, entrypoint, init_process
from trialjob.in_job.command_line import FIRST, SDK_V3, How, text_of
from trialjob.in_job.entrypoint import VALUES_CHANNEL
from trialjob.in_job.log_reader import LogReader
from trialjob.in_job.machine_use import UseSampler
from trialjob.in_job.tracker_logs import METRICS_FROM
from trialjob.in_job.variables import local_resources
from trialjob.private_files import tighten, tighten_below

#: How the service would describe an input channel.
_CHANNEL: Facts = {
    "TrainingInputMode": "File",
    "S3DistributionType": "FullyReplicated",
    "RecordWrapperType": "None",
}
#: A process that cannot signal us leaves a file in the folder, which is looked for so often, in seconds.
_LOOK = 2.0
#: Seconds between two tries to write an end, and for which anything but a full disk is tried again.
_PAUSE, _HICCUP = 5.0, 120.0
_FULL = (errno.ENOSPC, errno.EDQUOT)
#: The job has put something else in its place, which is left there.
_TAKEN = (errno.EISDIR, errno.ENOTDIR, errno.ELOOP)
#: Seconds in which the signal that the script has died of reaches us, too.
_SAME_SIGNAL = 1.0
_KILLED = frozenset({-signal.SIGTERM, 128 + signal.SIGTERM, -signal.SIGKILL, 128 + signal.SIGKILL})
_PRIVATE = 0o077
_OUT_OF_MEMORY = 128 + signal.SIGKILL


class Supervisor:
    """Runs one job from its start to its status."""

    #: Words before the script's command.
    launcher: Sequence[str] = ()
    #: Seconds for which an end is kept for a disk that is full; after that the job is lost.
    waits_for_room = 24 * 3600.0

    def __init__(self, folder: JobFolder, request: Facts) -> None:
        self._folder = folder
        self._request = request
        self._status: Facts = {"state": "starting", "pid": os.getpid(), **here()}
        self._stop_asked = False
        self._group: int | None = None
        self._woken, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)

    def _on_stop(self, _number: int, _frame: object) -> None:
        self._stop_asked = True

    def accept(self) -> None:
        """From here on, the job is started and will never be started again."""
        self._folder.write_status(self._status)

    def run(self) -> None:
        """Everything that follows, until the final status has been written."""
        try:
            ended = self._run()
        except (code_setup.SetupError, OSError) as error:
            entrypoint.write_failure(self._folder.tree, str(error))
            ended = {"outcome": "failed", "failure": "setup", "message": str(error)}
        except Exception as error:  # noqa: BLE001 - a bug of ours must not look like a lost machine
            sys.excepthook(*sys.exc_info())
            ended = {
                "outcome": "failed",
                "failure": "internal",
                "message": f"the supervisor broke: {error!r}",
            }
        self._end_descendants()
        self._tighten()
        self._leave({"ended_at": _now(), **self._status, **ended, "state": "ended"})

    # What differs

    def _why(self) -> str:
        """Why the script is to end now: ``stopped`` when it was asked for; "" while it may go on.

        A backend that stops a job says so in its folder. The signal alone, ``interrupted``, is of a machine
        that shuts down, or is wanted for another job.
        """
        if self._folder_says_stop():
            return "stopped"
        return "interrupted" if self._stop_asked else ""

    def _folder_says_stop(self) -> bool:
        """Whether a stop is in the folder; one that cannot be looked at now, as NFS has it, says nothing."""
        with contextlib.suppress(OSError):
            return self._folder.stop_asked() or self._folder.is_gone()
        return False

    def _why_it_ended(self, status: int) -> str:
        """The same of a script that has ended, by itself as far as anyone here has heard."""
        if self._may_be_told_too(status) and not self._stop_asked:
            select.select([self._woken], [], [], _SAME_SIGNAL)
        return self._why() if self._stop_asked else ""

    def _may_be_told_too(self, status: int) -> bool:
        """Whether a script may have died of a signal that is on its way to us, too."""
        return status in _KILLED

    def _lent(self) -> Path | None:
        """Where the package is that the script imports ``report`` from, if it is not to have its own."""
        return None

    def _seconds_left(self) -> float:
        """How long the script may run from now on."""
        return float(self._request["max_runtime"])

    def _ask_to_end(self, child: subprocess.Popen[bytes], why: str) -> None:  # noqa: ARG002 - as above
        """Have the script end by itself."""
        init_process.signal_group(child, signal.SIGTERM)

    def _make_end(self, child: subprocess.Popen[bytes]) -> None:  # noqa: ARG002 - for those that look
        """End what was asked to and has not; called every second until it has."""
        self._kill_descendants()

    def _leave(self, status: Facts) -> None:
        """Keep how it ended, also where the disk is full for a while; where all was removed, nothing."""
        began = time.monotonic()
        while not self._folder.is_removed():
            try:
                self._folder.write_status(status)
                break
            except OSError as error:
                waits = self.waits_for_room if error.errno in _FULL else _HICCUP
                if error.errno in _TAKEN or time.monotonic() >= began + waits:
                    raise
            time.sleep(_PAUSE)  # noqa: TID251 - a process of its own, which has no Clock

    # What is the same

    def _tighten(self) -> None:
        """Leave nothing of the job that others may read; while it runs, the folder above keeps them out."""
        checkpoints = self._folder.tree / "checkpoints"
        for folder in (self._folder.path, Path(os.path.realpath(checkpoints))):
            tighten(folder)
            tighten_below(folder)

    def _run(self) -> Facts:
        # The script has its starter's umask: what it writes elsewhere is its own business.
        umask = os.umask(_PRIVATE)
        try:
            self._prepare()
        finally:
            os.umask(umask)
        if why := self._why():
            return {"outcome": why, "message": "stopped before the script was started"}
        environ = {name: value for name, value in self._environment().items() if name != MARK}
        reads = environ.get(METRICS_FROM)
        reader = LogReader(
            self._folder.tree, entrypoint.environment(self._folder.tree, environ) if reads else {}
        )
        # Of a machine that is shared, only the GPUs that the script was given are its own.
        use = UseSampler(self._folder.tree, {"CUDA_VISIBLE_DEVICES": "", **environ})
        child = self._start()
        use.start()
        self._group = child.pid
        started, began = _now(), time.monotonic()
        self._status.update(state="training", started_at=started, script=[child.pid, start_of(child.pid)])
        with contextlib.suppress(OSError):  # the end is what counts, and it is written again
            self._folder.write_status(self._status, named=False)
        why = self._watch(child, began + self._seconds_left()) or self._why_it_ended(child.returncode)
        # By the monotonic clock, because the other one may be set while a script runs.
        self._status["ended_at"] = started + time.monotonic() - began
        use.finish()
        wrong = reader.finish()
        if wrong and not why and child.returncode == 0:
            entrypoint.write_failure(self._folder.tree, wrong)
            return {"outcome": "failed", "failure": "user_code", "exit_code": 1, "message": wrong}
        return self._verdict(child.returncode, why)

    def _start(self) -> subprocess.Popen[bytes]:
        tree, environment, request = self._folder.tree, self._environment(), self._request
        dialect, words = request.get("arguments", (FIRST, None))
        how = How(dialect, None if words is None else tuple(words))
        if request.get("program"):
            line = [*self.launcher, *request["program"]]
            return entrypoint.launch(tree, line, entrypoint.environment(tree, environment, how=how))
        return entrypoint.start(
            tree, request["entry_point"], request["python"], environment, how, launcher=self.launcher
        )

    def _prepare(self) -> None:
        """Lay out what the script finds."""
        tree, request = self._folder.tree, self._request
        self._share_checkpoints()
        entrypoint.lay_out(tree, self._lent())
        if request["bundle_file"] is not None:
            code_setup.unpack(Path(request["bundle_file"]), tree / "code")
        (tree / "input" / "config").mkdir(parents=True, exist_ok=True)
        written = self._plain if request.get("plain_values") else json.dumps
        configs = {
            "hyperparameters": {name: written(value) for name, value in request["hyperparameters"].items()},
            "resourceconfig": local_resources(),
            "inputdataconfig": dict.fromkeys(request["inputs"], _CHANNEL),
        }
        for name, config in configs.items():
            (tree / "input" / "config" / f"{name}.json").write_text(json.dumps(config), encoding="utf-8")
        if request.get("values_file"):
            entrypoint.write_values(tree / "input" / "data" / VALUES_CHANNEL, request["hyperparameters"])
        for channel, location in request["inputs"].items():
            _deliver(channel, Path(location), tree / "input" / "data" / channel)

    def _plain(self, value: object) -> str:
        """A value as a container's own program reads it, as on SageMaker."""
        dialect = self._request.get("arguments", (FIRST, None))[0]
        return text_of(value, SDK_V3 if dialect == SDK_V3 else FIRST)

    def _share_checkpoints(self) -> None:
        """Give every attempt of a trial the same checkpoint folder, so that the next goes on from there."""
        # Beside the folder of all jobs, as on SageMaker it is beside what each job leaves.
        checkpoints = self._folder.path.parent.parent / "checkpoints"
        shared = checkpoints / f"{self._request['trial']:06d}"
        source = self._request.get("source")
        if source is not None and not shared.exists():
            copy_checkpoints(checkpoints / f"{source:06d}", shared)
        shared.mkdir(parents=True, exist_ok=True)
        place = self._folder.tree / "checkpoints"
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            place.symlink_to(shared.absolute())

    def _environment(self) -> dict[str, str]:
        """The submitter's environment, as far as it concerns the job, and what names the job."""
        request = self._request
        environment = inherited(os.environ)
        environment.update(request["environment"])
        if request["gpus"]:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(request["gpus"])
        environment.update(
            TRAINING_JOB_NAME=request["job"],
            TRIALJOB_EXPERIMENT=request["experiment"],
            TRIALJOB_TRIAL=str(request["trial"]),
            TRIALJOB_ATTEMPT=str(request["attempt"]),
        )
        environment[MARK] = str(self._folder.path)
        return environment

    def _watch(self, child: subprocess.Popen[bytes], latest: float) -> str:
        """Wait for the script's end, or bring it about; what made us do so, or ""."""
        why, wake_at = "", latest
        while child.poll() is None:
            _reap_orphans(child.pid)
            now = time.monotonic()
            if not why and (why := self._why() or ("timed_out" if now >= latest else "")):
                wake_at = now + float(self._request["stop_grace"])
                self._tell_stopping(why)
                self._ask_to_end(child, why)
            elif why and now >= wake_at:
                self._make_end(child)
                wake_at = now + 1.0
            self._sleep(wake_at - time.monotonic())
        return why

    def _tell_stopping(self, why: str) -> None:  # noqa: ARG002 - for those that look
        with contextlib.suppress(OSError):
            self._folder.ask_stop()

    def _sleep(self, seconds: float) -> None:
        """Return after ``seconds``, or at the next signal."""
        ready, _, _ = select.select([self._woken], [], [], min(max(seconds, 0.0), _LOOK))
        if ready:
            os.read(self._woken, 4096)

    def _verdict(self, status: int, why: str) -> Facts:
        entry_point = self._request["entry_point"] or self._request["program"][0]
        code = status if status >= 0 else 128 - status
        message = entrypoint.how_it_ended(entry_point, status)
        if why == "timed_out":
            message = f"it ran longer than its limit of {self._request['max_runtime']:g} s; {message}"
        if why:
            return {"outcome": why, "exit_code": code, "message": message}
        if code == 0:
            return {"outcome": "completed", "exit_code": 0}
        failure = "user_code"
        if code == _OUT_OF_MEMORY:  # a shell passes on the end of its command in this way
            failure, message = "out_of_memory", "killed by SIGKILL, most likely out of memory"
        entrypoint.write_failure(self._folder.tree, message)
        return {"outcome": "failed", "failure": failure, "exit_code": code, "message": message}

    def _end_descendants(self) -> None:
        """Kill what the script has left behind."""
        try:
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass  # a zombie
            self._kill_descendants()
        except ChildProcessError:
            if not is_subreaper():
                end_descendants(self._folder.path)

    def _kill_descendants(self) -> None:
        if self._group is not None:
            # All at once, which a process that keeps forking cannot escape.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._group, signal.SIGKILL)
        end_descendants(self._folder.path)


def _deliver(channel: str, location: Path, place: Path) -> None:
    """Have what is at ``location`` found in the folder ``place``; a file in it, as on SageMaker."""
    if not location.exists():
        raise code_setup.SetupError(f"input {channel!r}: {location} does not exist on this machine")
    if location.is_file():
        place.mkdir(exist_ok=True)
        place /= location.name
    place.unlink(missing_ok=True)
    place.symlink_to(location.absolute())


def _reap_orphans(child: int) -> None:
    """Bury adopted descendants that have ended; the script itself is left to Popen."""
    if not hasattr(os, "waitid"):
        return
    with contextlib.suppress(ChildProcessError):
        while found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if found.si_pid == child:
                return
            os.waitpid(found.si_pid, 0)


def _now() -> float:
    return time.time()  # noqa: TID251 - a process of its own, which has no Clock
