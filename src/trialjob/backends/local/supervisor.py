"""The supervisor of a trial on this machine: cuts itself loose from whoever started it.

It is started by the backend with the job's lock in its hands, and needs nobody after that.

Rule: whatever happens here ends in a status, or in a free lock, from which the backend concludes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from trialjob.backends.folders.job_folder import Facts, JobFolder
from trialjob.backends.folders.supervisor import Supervisor
from trialjob.backends.local.guard import leave_guard
from trialjob.backends.local.literal_tree import is_said
from trialjob.backends.local.own_tree import OFF, SWITCH, why_not, words
from trialjob.in_job.command_line import FIRST


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

    def _leave(self, status: Facts) -> None:
        for claim in self._claims:
            fcntl.flock(claim, fcntl.LOCK_UN)  # for the guard, too
        super()._leave(status)


def main() -> None:
    """``python -m trialjob.backends.local.supervisor FOLDER ACK CLAIM…``.

    ACK is the descriptor to answer on, each CLAIM one that has a GPU.
    """
    folder = JobFolder(Path(sys.argv[1]))
    answer, *claims = map(int, sys.argv[2:])
    if os.fork():
        os._exit(0)
    os.setsid()
    leave_guard(folder.path, answer)
    try:
        folder.keep_log(sys.stdout.fileno())
        supervisor = LocalSupervisor(folder, folder.request() or {}, claims)
        supervisor.accept()
    except Exception as error:  # noqa: BLE001 - it is told to the backend, which raises it
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
