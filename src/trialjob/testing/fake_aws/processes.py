"""The engine that runs the job's own code: a real process, in a session and a sandbox of its own.

Rule: the service is told what happens under its lock, by threads that hold nothing while they wait.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from trialjob.backends.folders.job_folder import MARK
from trialjob.backends.folders.processes import kill_marked
from trialjob.in_job.code_setup import SetupError
from trialjob.testing.fake_aws.engines import Run
from trialjob.testing.fake_aws.sandbox import ML_ROOT, Sandbox
from trialjob.testing.fake_aws.world import World

#: The longest line that becomes one event; CloudWatch cuts there too.
LINE_BYTES = 256 * 1024
#: How often checkpoints are copied.
_SYNC_SECONDS = 0.2
CANNOT_START = "CannotStartContainerError. Please ensure that the model container can be started"


@dataclass(slots=True, eq=False)
class _Container:
    run: Run
    sandbox: Sandbox
    process: subprocess.Popen[bytes] | None = None
    terminated: bool = False
    reclaimed: bool = False
    gone: threading.Event = field(default_factory=threading.Event)


class ProcessEngine:
    """Runs ``ContainerEntrypoint`` and ``ContainerArguments`` here; of several instances, the first."""

    def __init__(
        self,
        *,
        world: World,
        turn: Callable[[], AbstractContextManager[None]],
        folder: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._world = world
        self._turn = turn
        self._folder = folder
        self._environment = dict(environment or {})
        self._containers: dict[Run, _Container] = {}
        self._threads: list[threading.Thread] = []

    def begin(self, run: Run) -> None:
        root = self._folder / run.job.name / str(run.number) / "ml"
        container = _Container(run, Sandbox(root=root, job=run.job, world=self._world))
        self._containers[run] = container
        self._start_thread(self._live, container)

    def _start_thread(self, work: Callable[[_Container], None], container: _Container) -> None:
        thread = threading.Thread(target=work, args=(container,), daemon=True)
        self._threads = [*(old for old in self._threads if old.is_alive()), thread]
        thread.start()

    def terminate(self, run: Run) -> None:
        self._containers[run].terminated = True
        self._signal(self._containers[run], signal.SIGTERM)

    def kill(self, run: Run, *, reclaimed: bool = False) -> None:
        container = self._containers[run]
        container.reclaimed = reclaimed
        container.terminated = True
        self._signal(container, signal.SIGKILL)

    def _signal(self, container: _Container, number: signal.Signals) -> None:
        """SIGTERM goes to the first process alone, as docker does; SIGKILL to all of them."""
        process = container.process
        if process is None or process.returncode is not None:
            return
        if number is signal.SIGKILL:
            kill_marked(container.sandbox.root)
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)

    def close(self) -> None:
        """Kill what still runs and wait for the threads."""
        for container in tuple(self._containers.values()):
            self.kill(container.run, reclaimed=True)
        for thread in self._threads:
            thread.join(10)

    # --- the container's own thread ---

    def _live(self, container: _Container) -> None:
        code, failure = 1, ""
        try:
            container.sandbox.fill()
            code = self._execute(container)
            failure = container.sandbox.failure
        except (OSError, KeyError, SetupError) as error:  # KeyError: an object went away while it was fetched
            code, failure = 127, f"{CANNOT_START}: {error}"
        container.gone.set()
        if not container.reclaimed:
            self._save(container)
        with self._turn():
            self._containers.pop(container.run, None)
            container.run.exited(code, failure)
        shutil.rmtree(container.sandbox.root.parent, ignore_errors=True)

    def _execute(self, container: _Container) -> int:
        with self._turn():
            if container.terminated:
                return 143
            container.process = process = subprocess.Popen(  # noqa: S603 - running the job's code is the purpose
                container.sandbox.command,
                cwd=container.sandbox.root,
                env=self._variables(container),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._start_thread(self._sync, container)
        reader = threading.Thread(target=self._read, args=(container, process.stdout), daemon=True)
        reader.start()
        code = process.wait()
        kill_marked(container.sandbox.root)  # a container's end is the end of all that it started
        reader.join(5)
        return code if code >= 0 else 128 - code

    def _variables(self, container: _Container) -> dict[str, str]:
        job, inside = container.run.job, container.sandbox.inside
        algorithm = job.request["AlgorithmSpecification"]
        # Where an image's own training toolkit finds the tree that is not at its place here.
        base = (
            {} if "ContainerEntrypoint" in algorithm else {"SAGEMAKER_BASE_DIR": str(container.sandbox.root)}
        )
        return {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            "HOME": str(container.sandbox.root),
            "LANG": "C.UTF-8",
            **self._environment,
            **base,
            **{name: inside(text) for name, text in job.request.get("Environment", {}).items()},
            "TRAINING_JOB_NAME": job.name,
            "TRAINING_JOB_ARN": job.arn,
            ML_ROOT: str(container.sandbox.root),
            MARK: str(container.sandbox.root),
        }

    def _read(self, container: _Container, output: IO[bytes]) -> None:
        with output:
            while line := output.readline(LINE_BYTES):
                with self._turn():
                    container.run.log(line.decode(errors="replace").rstrip("\r\n"))

    def _sync(self, container: _Container) -> None:
        while not container.gone.wait(_SYNC_SECONDS):
            if container.reclaimed:
                return
            with contextlib.suppress(OSError, KeyError):
                container.sandbox.sync_checkpoints()

    def _save(self, container: _Container) -> None:
        """What is kept when a container ends in good order; whether S3 takes it, the service sees itself."""
        with contextlib.suppress(OSError, KeyError):
            container.sandbox.sync_checkpoints()
            container.sandbox.upload_outputs()
