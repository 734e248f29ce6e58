"""The supervisor of a trial on this machine: cuts itself loose from the process that started it.

The backend's starter runs this once, and it is copied for each job, with the job's lock in its hands. A copy
needs no other process after that; what it is a copy of is its guard, and outlives it.

Rule: whatever happens here ends in a status, or in a free lock, from which the backend concludes.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from trialjob.backends.folders.job_folder import Facts, JobFolder
from trialjob.backends.folders.supervisor import Supervisor
from trialjob.backends.local import lending
from trialjob.backends.local.guard import Guard, rename
from trialjob.backends.local.literal_tree import is_said
from trialjob.backends.local.own_tree import OFF, SWITCH, why_not, words
from trialjob.in_job.command_line import FIRST

#: Modules that every copy would load for itself, where they are not loaded before: those are imported late.
_LATE = ("ctypes", "gzip")
_INTERRUPTED = "its supervisor was sent SIGTERM, as by a machine that shuts down"
#: Of descriptors that Linux passes on at once.
_MOST = 253


class LocalSupervisor(Supervisor):
    """Gives its GPUs back before it says that the job has ended.

    A script that says ``/opt/ml`` itself finds its own tree there, where the kernel allows it; all others are
    started as ever.
    """

    def __init__(self, folder: JobFolder, request: Facts, claims: Sequence[int] = ()) -> None:
        """``claims`` are descriptors of its locks on GPUs."""
        super().__init__(folder, request)
        self._claims = claims

    def _start(self) -> subprocess.Popen[bytes]:
        tree, request = self._folder.tree, self._request
        given = [*request["hyperparameters"].values(), *request["environment"].values()]
        given += [*(request.get("program") or ()), *(request.get("arguments", (FIRST, None))[1] or ())]
        texts = [text for text in given if isinstance(text, str)]
        switch = self._environment().get(SWITCH)
        if switch != OFF and is_said(tree / "code", texts) and not why_not(str(tree)):
            self.launcher = words(str(tree))
        return super()._start()

    def _lent(self) -> Path:
        return lending.lent(self._folder.path.parent.parent / "shim")

    def _tell_stopping(self, why: str) -> None:
        if why != "interrupted":
            super()._tell_stopping(why)

    def _leave(self, status: Facts) -> None:
        if status["outcome"] == "interrupted":
            status = {**status, "outcome": "failed", "failure": "lost", "message": _INTERRUPTED}
        for claim in self._claims:
            fcntl.flock(claim, fcntl.LOCK_UN)  # for the guard, too
        super()._leave(status)


def main() -> None:
    """``python -m trialjob.backends.local.supervisor LINE NAME``: be copied for each job that LINE asks for.

    LINE is the descriptor of a socket, NAME says for a list of processes whose jobs these are.
    """
    line = socket.socket(fileno=int(sys.argv[1]))
    if os.fork():
        os._exit(0)  # it is known to begin, and need not be waited for
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for standard in (1, 2):
        os.dup2(nowhere, standard)
    os.close(nowhere)
    for name in _LATE:
        with contextlib.suppress(ImportError):  # a Python may have been built without it
            importlib.import_module(name)
    lending.name()
    guard = Guard()
    gc.freeze()  # what copies share is not to be written to
    while asked := _received(guard, line):
        facts, (answer, log, *held) = asked
        try:
            supervisor = os.fork()
        except OSError:  # there are no more processes to be had; without an answer it is asked again
            _close(answer, log, *held)
            continue
        if not supervisor:
            guard.leave()
            line.close()
            _supervise(facts, answer, log, held[1:])
            os._exit(0)
        guard.keep(supervisor, Path(facts["folder"]), held)
        _close(answer, log)  # a process that waits for the answer waits for all that have it
    line.close()
    guard.finish()


def _received(guard: Guard, line: socket.socket) -> tuple[Facts, list[int]] | None:
    """The next job's facts and descriptors; None when no further job can come."""
    guard.wait(line)
    descriptors, pieces, left = list[int](), [], 1
    with contextlib.suppress(ConnectionResetError):  # it was closed with something unread
        size, descriptors, flags, _ = socket.recv_fds(line, 4, _MOST)
        left = 0 if flags & socket.MSG_CTRUNC else int.from_bytes(size, "big")
        while left and (piece := line.recv(left)):
            pieces.append(piece)
            left -= len(piece)
    if pieces and not left:
        return json.loads(b"".join(pieces)), descriptors
    _close(*descriptors)  # the jobs that run are guarded on, and the lock of this one is free
    return None


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _supervise(facts: Facts, answer: int, log: int, claims: Sequence[int]) -> None:
    """Run one job, with descriptors to answer on and of its log and GPUs; its lock is held by being open."""
    os.setsid()
    for standard in (1, 2):
        os.dup2(log, standard)
    os.close(log)
    folder = JobFolder(Path(facts["folder"]))
    os.environ.clear()
    os.environ.update(facts["environment"])
    with contextlib.suppress(OSError):  # it may have been removed
        os.chdir(facts["cwd"])
    rename("trialjob-supervisor", facts["folder"])
    try:
        folder.keep_log(sys.stdout.fileno())
        supervisor = LocalSupervisor(folder, folder.request() or {}, claims)
        supervisor.accept()
    except Exception as error:  # noqa: BLE001 - the backend raises it
        _answer(answer, f"{error}")
        return
    _answer(answer, "ok")
    supervisor.run()


def _answer(descriptor: int, text: str) -> None:
    with contextlib.suppress(OSError):  # the backend may have been killed meanwhile; the job runs on
        os.write(descriptor, text.encode())
    os.close(descriptor)


if __name__ == "__main__":
    main()
