"""The SLURM backend under the contract of every backend, with real daemons."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from trialjob.testing.backend_contract import BackendContract, Harness
from trialjob.testing.slurm_jobs import SlurmJobs


@pytest.mark.usefixtures("slurm")
class TestSlurmBackend(BackendContract):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> Iterator[Harness]:
        jobs = SlurmJobs(tmp_path)
        yield jobs
        jobs.end_all()
