"""The local backend under the contract of every backend, with real processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from trialjob.testing.backend_contract import BackendContract, Harness
from trialjob.testing.local_jobs import LocalJobs


class TestLocalBackend(BackendContract):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> Iterator[Harness]:
        jobs = LocalJobs(tmp_path)
        yield jobs
        jobs.end_all()
