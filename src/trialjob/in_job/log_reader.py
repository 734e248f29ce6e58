"""Starts and ends the process that reads what a script logs elsewhere; see ``logged``.

Rule: standard library only, Python 3.8.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from trialjob.in_job.code_setup import SetupError
from trialjob.in_job.tracker_logs import METRICS_FROM

#: Seconds in which it is there, and in which it has read the rest.
_START, _END = 60.0, 60.0
_BROKE = "the process that reads what the script has logged broke; see the log"


class LogReader:
    """The process; nothing where the job asks for none."""

    def __init__(self, root: Path, environment_given: Mapping[str, str]) -> None:
        """Start it, and return when the script may begin. Raises SetupError."""
        self._line = None  # type: socket.socket | None
        if not environment_given.get(METRICS_FROM):
            return
        self._line, theirs = socket.socketpair()
        # Not the script's path: a module of the user's may be called json.
        environment = {
            name: value for name, value in environment_given.items() if not name.startswith("PYTHON")
        }
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, str(Path(__file__).with_name("tracker_logs.py")), str(root)],
                env=environment,
                stdin=theirs.fileno(),
                start_new_session=True,
            )
        if self._said(_START) != "":
            self.kill()
            raise SetupError(_BROKE)

    def finish(self) -> str:
        """Have it read to the end, when the script has ended; "" or what is wrong with what was logged."""
        if self._line is None:
            return ""
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_WR)
        said = self._said(_END)
        self.kill()
        return _BROKE if said is None else said

    def kill(self) -> None:
        """End it without another word."""
        if self._line is None:
            return
        self._line.close()
        self._line = None
        self._process.kill()
        with contextlib.suppress(OSError):
            self._process.wait()

    def _said(self, seconds: float) -> str | None:
        """What it says next: an empty line that all is well; None when it is gone, or silent."""
        assert self._line is not None  # noqa: S101 - only called while there is one
        self._line.settimeout(seconds)
        try:
            data = self._line.recv(4096)
        except OSError:
            return None
        return data.decode("utf-8", "replace").strip() if data else None
