"""The SLURM backend under the contract of every backend, with real daemons."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from trialjob.backends.slurm.backend import SlurmBackend
from trialjob.model.job import JobRequest
from trialjob.testing.backend_contract import FOREVER, BackendContract, Harness
from trialjob.testing.slurm_jobs import SlurmJobs

SCRIPT = """
import argparse, json, sys, time
parser = argparse.ArgumentParser()
parser.add_argument("--lines", type=json.loads)
parser.add_argument("--exit_code", type=int)
parser.add_argument("--runs_for", type=float)
told = parser.parse_args()
for line in told.lines:
    print(line)
time.sleep(told.runs_for)
sys.exit(told.exit_code)
"""


class SlurmHarness:
    def __init__(self, jobs: SlurmJobs) -> None:
        self._jobs = jobs

    def backend(self) -> SlurmBackend:
        return self._jobs.backend()

    def job(
        self,
        *,
        trial: int = 1,
        lines: Sequence[str] = (),
        exit_code: int = 0,
        runs_for: float = 0.0,
        max_runtime: float = FOREVER,
    ) -> JobRequest:
        return self._jobs.request(
            {"lines": list(lines), "exit_code": exit_code, "runs_for": runs_for},
            trial=trial,
            max_runtime=max_runtime,
        )

    def wait_until(self, predicate: Callable[[], bool]) -> None:
        self._jobs.wait_until(predicate)


@pytest.mark.usefixtures("slurm")
class TestSlurmBackend(BackendContract):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> Iterator[Harness]:
        jobs = SlurmJobs(tmp_path)
        jobs.write("train.py", SCRIPT)
        yield SlurmHarness(jobs)
        jobs.end_all()
