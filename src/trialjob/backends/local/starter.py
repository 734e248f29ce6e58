"""Starts supervisors: one process loads what they need, and each of them is a copy of it.

Its imports take a Python longer than all else that a supervisor does.

Rule 1: what a supervisor has of its submitter, such as the environment, it has as of then.
Rule 2: the process ends with the last one that may ask it, however that ends; supervisors live on.
Rule 3: nothing is lost with it. A job's lock is always held by a process until it is accepted or can be
submitted again.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from trialjob.backends.folders.job_folder import JobFolder
from trialjob.backends.folders.log import tail
from trialjob.backends.local.guard import NAME_LENGTH
from trialjob.errors import BackendError, BackendUnavailable, StoreError
from trialjob.private_files import FILE


class Starter:
    """Starts the supervisors of the jobs in one folder."""

    def __init__(self, jobs: Path, on_end: Callable[[], None]) -> None:
        """``on_end`` is called, in another thread, when a job that was started here has ended."""
        self._jobs = jobs
        self._on_end = on_end
        self._line: socket.socket | None = None

    def start(
        self, folder: JobFolder, lock: int, claims: Sequence[int], environment: Mapping[str, str]
    ) -> None:
        """Start one with the job's lock and claims in its hands, and return when it has accepted the job."""
        answer, ack = os.pipe()
        # Its log is the owner's alone from the start, whatever the umask.
        log = os.open(folder.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, FILE)
        with os.fdopen(answer, "rb") as answers:
            try:
                self._ask(folder, environment, (ack, log, lock, *claims))
            finally:
                os.close(ack)
                os.close(log)
            said = answers.read().decode("utf-8", "replace")
        if said == "ok":
            return
        if said:
            raise StoreError(f"the supervisor of {folder.path} could not begin: {said}")
        self.close()
        why = tail(folder.log)
        raise BackendUnavailable(
            f"the supervisor of {folder.path} ended before it accepted the job" + (f": {why}" if why else "")
        )

    def close(self) -> None:
        """Let the process end; it is started anew where another supervisor is wanted."""
        if self._line is not None:
            _hang_up(self._line)
            self._line = None

    def _ask(self, folder: JobFolder, environment: Mapping[str, str], descriptors: Sequence[int]) -> None:
        request = {"folder": str(folder.path), "cwd": _cwd(), "environment": dict(environment)}
        text = json.dumps(request).encode()
        if self._line is not None:
            try:
                _send(self._line, text, descriptors)
            except OSError:
                self.close()  # it has been killed since
            else:
                return
        self._line = self._begin(folder)
        try:
            _send(self._line, text, descriptors)
        except OSError as error:
            self.close()
            raise BackendUnavailable(f"what starts supervisors was killed: {error}") from error

    def _begin(self, folder: JobFolder) -> socket.socket:
        """Start the process; what keeps it from starting is in the log of ``folder``."""
        ours, theirs = socket.socketpair()
        weakref.finalize(self, _hang_up, ours)
        with theirs, folder.log.open("ab") as log:
            code = subprocess.run(  # noqa: S603 - ourselves
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "trialjob.backends.local.supervisor",
                    str(theirs.fileno()),
                    # Room for the words by which each supervisor is known in a list of processes.
                    f"{self._jobs}{os.sep}".ljust(len(os.fsencode(self._jobs)) + NAME_LENGTH),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                check=False,
            ).returncode
        if code == 0:
            threading.Thread(
                target=_listen, args=(ours, self._on_end), name="trialjob-ends", daemon=True
            ).start()
            return ours
        ours.close()
        if code < 0:
            raise BackendUnavailable(f"what starts supervisors was killed by signal {-code}")
        raise BackendError(f"what starts supervisors ended with exit status {code}: {tail(folder.log)}")


def _listen(line: socket.socket, on_end: Callable[[], None]) -> None:
    with suppress(OSError):
        while line.recv(4096):
            on_end()


def _hang_up(line: socket.socket) -> None:
    with suppress(OSError):  # closing it alone would not end a wait for it
        line.shutdown(socket.SHUT_RDWR)
    line.close()


def _send(line: socket.socket, text: bytes, descriptors: Sequence[int]) -> None:
    socket.send_fds(line, [len(text).to_bytes(4, "big")], descriptors)
    line.sendall(text)


def _cwd() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - as the kernel says it
    except OSError:  # it has been removed
        return ""
