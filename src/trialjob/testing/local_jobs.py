"""A folder in which scripts run as jobs, for tests that want real processes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from trialjob.backends.local.backend import LocalBackend
from trialjob.backends.plugin import Backend
from trialjob.estimators.bundle import pack
from trialjob.estimators.script import ScriptEstimator
from trialjob.model.ids import ExperimentName, JobName, TrialId, job_name
from trialjob.model.job import JobEnd, JobRequest
from trialjob.model.json import Json
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.ports import Submitted
from trialjob.testing.backend_contract import FOREVER, Reader

_EXPERIMENT = ExperimentName("local")
#: Does what the contract of backends asks of a job.
CONTRACT_SCRIPT = """
import argparse, json, sys, time
parser = argparse.ArgumentParser()
parser.add_argument("--lines", type=json.loads)
parser.add_argument("--exit_code", type=int)
parser.add_argument("--runs_for", type=float)
options = parser.parse_args()
for line in options.lines:
    print(line)
time.sleep(options.runs_for)
sys.exit(options.exit_code)
"""


class ScriptJobs:
    """Makes backends, scripts and requests below one folder, and ends what it has started."""

    #: Seconds after which something hangs, and is not only slow because the machine has much else to do: a
    #: script with workers that import PyTorch took more than a minute on two busy cores.
    patience = 240.0

    def __init__(self, folder: Path, *, stop_grace: float = 2.0, python: str = sys.executable) -> None:
        self.folder = folder
        self.clock = SystemClock()
        self._stop_grace = stop_grace
        self._python = python
        self._jobs: set[JobName] = set()

    def backend(self) -> Backend:
        raise NotImplementedError("say what runs the jobs")

    def write(self, name: str, text: str, *, mode: int = 0o644) -> Path:
        """A file of the source folder."""
        path = self.folder / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def request(
        self,
        config: Mapping[str, Json] | None = None,
        *,
        trial: int = 1,
        entry_point: str = "train.py",
        max_runtime: float = FOREVER,
        environment: Mapping[str, str] | None = None,
        inputs: Mapping[str, str] | None = None,
    ) -> JobRequest:
        """A request to run the source folder as it is now."""
        estimator = ScriptEstimator(
            experiment=_EXPERIMENT,
            bundle=pack(self.folder / "source", self.folder / "bundles"),
            entry_point=entry_point,
            environment=environment or {},
            inputs=inputs or {},
        )
        number = TrialId(trial)
        request = estimator.request(job_name(_EXPERIMENT, number, 1), number, 1, config or {}, max_runtime)
        self._jobs.add(request.job)
        return request

    def job(
        self,
        *,
        trial: int = 1,
        lines: Sequence[str] = (),
        exit_code: int = 0,
        runs_for: float = 0.0,
        max_runtime: float = FOREVER,
    ) -> JobRequest:
        """A request for what the contract of backends asks of a job."""
        self.write("train.py", CONTRACT_SCRIPT)
        config: dict[str, Json] = {"lines": list(lines), "exit_code": exit_code, "runs_for": runs_for}
        return self.request(config, trial=trial, max_runtime=max_runtime)

    def start(self, request: JobRequest) -> Reader:
        backend = self.backend()
        assert isinstance(backend.submit(request), Submitted)
        return Reader(backend, request.job)

    def run(self, request: JobRequest) -> tuple[list[str], JobEnd]:
        """The lines and the end of a job."""
        reader = self.start(request)
        end = self.end_of(reader)
        return reader.lines, end

    def end_of(self, reader: Reader) -> JobEnd:
        self.wait_until(reader.ended)
        assert reader.end is not None
        return reader.end

    def wait_until(self, predicate: Callable[[], bool]) -> None:
        deadline = time.monotonic() + self.patience
        while not predicate():
            assert time.monotonic() < deadline, f"{self.patience:g} seconds have passed"
            self.clock.sleep(0.01)

    def end_all(self) -> None:
        """Stop every job that was asked for, and wait for its end."""
        for job in self._jobs:
            reader = Reader(self.backend(), job)
            reader.backend.stop(job)
            self.wait_until(reader.ended)


class LocalJobs(ScriptJobs):
    """The same on this machine."""

    def backend(
        self,
        *,
        gpus_per_trial: int = 0,
        gpus: tuple[str, ...] = (),
        on_end: Callable[[], None] = lambda: None,
    ) -> LocalBackend:
        return LocalBackend(
            jobs=self.folder / "jobs",
            bundles=self.folder / "bundles",
            clock=self.clock,
            python=self._python,
            stop_grace=self._stop_grace,
            gpus_per_trial=gpus_per_trial,
            gpus=gpus,
            on_end=on_end,
        )
