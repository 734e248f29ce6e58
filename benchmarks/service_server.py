"""The server of ``benchmarks.service`` and the load on it: processes that are started, killed, measured."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import IO, Any, Self

from benchmarks.measuring import ROOT

from trialjob.orchestrator.engine.clock import SystemClock

_PATIENCE = 60.0


class Server:
    """``trialjob serve --resume`` on a port of its own."""

    def __init__(self, store: Path) -> None:
        self._store = store
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.port: int = taken.getsockname()[1]
        self._process: subprocess.Popen[str] | None = None

    def start(self, *words: str) -> float:
        """Seconds from the start of the process to its first ready answer."""
        command = [sys.executable, "-m", "trialjob", "serve", "--store", str(self._store), "--no-browser"]
        log = (self._store.parent / "server.log").open("a")
        began = time.monotonic()
        with log:
            self._process = subprocess.Popen(
                [*command, "--port", str(self.port), *words], stdout=subprocess.PIPE, stderr=log, text=True
            )
        while time.monotonic() - began < _PATIENCE:
            if self._process.poll() is not None:
                raise RuntimeError(f"the server has ended: {Path(log.name).read_text()[-2000:]}")
            if self._is_ready():
                return time.monotonic() - began
            SystemClock().sleep(0.02)
        raise TimeoutError("the server is not ready")

    def _is_ready(self) -> bool:
        line = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            line.request("GET", "/readyz")
            return line.getresponse().status == 200
        except OSError:
            return False
        finally:
            line.close()

    @property
    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise RuntimeError("the server does not run")
        return self._process

    @property
    def address(self) -> str:
        """What it has printed, which one user's token is part of."""
        return _pipe(self._running.stdout).readline().strip()

    def megabytes(self, which: str = "VmRSS") -> float:
        """What it has in memory now, or by ``VmHWM`` has had at most."""
        for line in Path(f"/proc/{self._running.pid}/status").read_text().splitlines():
            if line.startswith(f"{which}:"):
                return int(line.split()[1]) / 1024
        raise ValueError(which)

    def processor(self) -> float:
        """Seconds of the processor that it has had."""
        fields = Path(f"/proc/{self._running.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(_PATIENCE)
        finally:
            if self._process.poll() is None:
                self._process.kill()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end(signal.SIGKILL)


class Load:
    """One kind of load, which begins at once."""

    def __init__(self, kind: str, **told: object) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.service_load", kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self._say(json.dumps(told))

    def _say(self, line: str) -> None:
        stdin = _pipe(self._process.stdin)
        stdin.write(f"{line}\n")
        stdin.flush()

    def line(self) -> dict[str, Any]:
        """The next that it has to say."""
        told = _pipe(self._process.stdout).readline()
        if not told:
            raise RuntimeError("a load has ended early")
        found: dict[str, Any] = json.loads(told)
        return found

    def enough(self) -> None:
        """For what goes on until then."""
        self._say("")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise RuntimeError("the process was started without a pipe")
    return pipe
