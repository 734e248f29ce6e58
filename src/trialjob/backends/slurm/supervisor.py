"""The process that a job of SLURM is: claims its folder, runs the script, and tells an end from a pause.

Rule 1: a folder is one call's of sbatch. A job that finds it claimed by another ends at once.
Rule 2: SIGTERM with a stop in the folder is an end. Without one it is a preemption, a limit or another user's
scancel, of which only the queue knows more: nothing is said of an end, and a job that is requeued goes on
from its checkpoints.
Rule 3: the run that came last is the present one. An earlier one that still lives, on a node that was given
up, ends what it runs and writes nothing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from trialjob.backends.folders.descendants import become_subreaper, end_descendants
from trialjob.backends.folders.job_folder import Facts
from trialjob.backends.folders.supervisor import Supervisor
from trialjob.backends.slurm.slurm_folder import BEAT, SlurmFolder
from trialjob.in_job import init_process
from trialjob.in_job.entrypoint import NODES
from trialjob.in_job.machine_use import USE
from trialjob.private_files import FILE

#: EX_TEMPFAIL: it was interrupted.
INTERRUPTED: Final = 75
#: Seconds in which a node sees what was written elsewhere before its job was submitted.
_LATE: Final = 60.0
#: Seconds for srun to end its tasks.
_LAST_WORDS: Final = 20
_PORTS: Final = range(20_000, 30_000)
#: What `--signal=B:…` of sbatch is mostly used with, for a script that handles it.
_PASSED_ON: Final = (signal.SIGUSR1, signal.SIGUSR2)
_SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT, *_PASSED_ON})


class SlurmSupervisor(Supervisor):
    """One run of a job."""

    #: Its nodes are paid for until it ends.
    waits_for_room = 120.0

    def __init__(self, folder: SlurmFolder, token: str) -> None:
        self._began = time.monotonic()
        super().__init__(folder, folder.request() or {})
        self._slurm_folder = folder
        self._token = token
        self._earlier = 0.0
        self._me = ""
        self._beaten = -BEAT
        self.exit_code = 0
        self._forced = 0
        self._telling: subprocess.Popen[bytes] | None = None
        scripts = [folder.path / name for name in ("step.sh", "start.sh")]
        self._is_step = scripts[0].exists()
        self.launcher = tuple(word for path in scripts if path.exists() for word in ("bash", str(path)))
        for number in _PASSED_ON:
            signal.signal(number, self._pass_on)

    def _pass_on(self, number: int, _frame: object) -> None:
        """Have the script itself, and nothing that it has started, hear a signal that means nothing to us."""
        if self._group is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._group, number)

    def begin(self) -> bool:
        """Take the job; False when there is nothing to run."""
        folder = self._slurm_folder
        if folder.is_gone():
            return False
        number = os.environ.get("SLURM_JOB_ID", "")
        ours = folder.claim({"token": self._token, "number": number}) or (
            (folder.claimed() or {}).get("token") == self._token
        )
        if not ours or (folder.status() or {}).get("state") == "ended":
            return False
        before = folder.present_run()
        runs = int(before.get("runs", 0)) + 1
        self._me = f"{number}-{runs}-{os.uname().nodename}-{os.getpid()}"
        self._status |= {"restarts": runs - 1, "number": number, "nodes": self._request.get("nodes", 1)}
        folder.write_run({"run": self._me, "runs": runs})
        if runs > 1:
            self._await_earlier()
        self._earlier = folder.seconds_run()
        log = os.open(folder.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, FILE)
        for standard in (1, 2):
            os.dup2(log, standard)
        if runs > 1:
            init_process.mark_cut()
        self.accept()
        return True

    def _await_earlier(self) -> None:
        """Return when the run before is over: by its own word, or because it shows no sign of life.

        SLURM may take a node for lost on which it still runs; there it ends as soon as it sees this one.
        """
        latest = time.monotonic() + 3 * BEAT
        while time.monotonic() < latest and not self._slurm_folder.alive().get("over"):
            time.sleep(0.2)  # noqa: TID251 - a process of its own, which has no Clock

    def _why(self) -> str:
        if self._is_superseded():
            return "superseded"
        self._beat()
        return super()._why()

    def _environment(self) -> dict[str, str]:
        inherited = super()._environment()
        if not self._is_step:
            return inherited
        ours = {
            "MASTER_ADDR": socket.gethostname(),
            "MASTER_PORT": str(_free_port(int(self._status["number"] or 0))),
            NODES: str(self._request.get("nodes", 1)),
            USE: "off",  # the tasks of a step are children of SLURM's, and not ours
        }
        return {**inherited, **ours, **self._request["environment"]}

    def _ask_to_end(self, child: subprocess.Popen[bytes], why: str) -> None:
        """Have SLURM tell all tasks of a step, on their nodes: srun itself would kill them at once."""
        if not self._is_step:
            super()._ask_to_end(child, why)
        elif why != "interrupted":  # that has been said by SLURM to all of them
            with contextlib.suppress(OSError):
                line = ["scancel", "--signal=TERM", self._status["number"]]
                self._telling = subprocess.Popen(line, stdin=subprocess.DEVNULL)  # noqa: S603 - SLURM's own

    def _make_end(self, child: subprocess.Popen[bytes]) -> None:
        """As long as srun lives, it can kill what runs on other nodes."""
        self._forced += 1
        if self._is_step and self._forced < _LAST_WORDS:
            init_process.signal_group(child, signal.SIGTERM)
        else:
            super()._make_end(child)

    def _may_be_told_too(self, status: int) -> bool:
        # The tasks of a step are on other nodes, too.
        return self._is_step or super()._may_be_told_too(status)

    def _seconds_left(self) -> float:
        return float(self._request["max_runtime"]) - self._seconds()

    def _tell_stopping(self, why: str) -> None:
        if why == "timed_out":
            super()._tell_stopping(why)

    def _verdict(self, status: int, why: str) -> Facts:
        failed = self._folder.path / "setup-failed"
        if not why and status and failed.exists():
            message = failed.read_text(encoding="utf-8", errors="replace").strip()
            return {"outcome": "failed", "failure": "setup", "message": message}
        return super()._verdict(status, why)

    def _leave(self, status: Facts) -> None:
        outcome = status["outcome"]
        if outcome == "superseded":
            self._beat(last=True)
            return
        if outcome == "interrupted":
            self.exit_code = INTERRUPTED
            status = {**self._status, "state": "interrupted"}
        self._beat(last=True)
        status = {**status, "seconds": self._seconds()}
        with contextlib.suppress(OSError):  # without it, less of the log is waited for
            status["log_size"] = self._slurm_folder.log_size()
        super()._leave(status)

    def _seconds(self) -> float:
        """How long the job has run, with its earlier runs."""
        return self._earlier + time.monotonic() - self._began

    def _beat(self, *, last: bool = False) -> None:
        now = time.monotonic()
        if last or now >= self._beaten + BEAT:
            self._beaten = now
            with contextlib.suppress(OSError):
                self._slurm_folder.beat({"run": self._me, "seconds": self._seconds(), "over": last})

    def _is_superseded(self) -> bool:
        with contextlib.suppress(OSError):
            present, status = self._slurm_folder.present_run(), self._slurm_folder.status() or {}
            return present.get("run", self._me) != self._me or status.get("state") == "ended"
        return False


def _free_port(number: int) -> int:
    """A port for the tasks of a job to meet at, below those that systems give out by themselves.

    Jobs that share a node have different numbers, and so begin to look at different ones.
    """
    for port in (_PORTS[(number + more) % len(_PORTS)] for more in range(len(_PORTS))):
        with socket.socket() as asked, contextlib.suppress(OSError):
            asked.bind(("", port))
            return port
    return _PORTS[0]


def main() -> int:
    """``python -m trialjob.backends.slurm.supervisor FOLDER TOKEN``."""
    folder = SlurmFolder(Path(sys.argv[1]))
    latest = time.monotonic() + _LATE
    while folder.is_gone() and time.monotonic() < latest:
        time.sleep(0.2)  # noqa: TID251 - a process of its own, which has no Clock
    # Until both processes have their handlers, a signal waits.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    become_subreaper()
    child = os.fork()
    if child:
        return _guard(child, folder.path)
    become_subreaper()
    supervisor = SlurmSupervisor(folder, sys.argv[2])
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    if supervisor.begin():
        supervisor.run()
    return supervisor.exit_code


def _guard(child: int, folder: Path) -> int:
    """Pass signals on to the supervisor, and end what it leaves behind if it is killed."""
    for each in _SIGNALS:
        signal.signal(each, lambda number, _frame: os.kill(child, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, INTERRUPTED):
        end_descendants(folder)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
