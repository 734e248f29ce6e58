"""What a package sees of the suites that are shipped, when its tests fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TESTS = """
import pytest
from trialjob.model.ids import JobName
from trialjob.testing.backend_contract import BackendContract


class Harness:
    def backend(self):
        return self

    def observe(self, watched):
        return []

    def log(self, job, cursor=""):
        return ["a line"]

    def job(self):
        return type("Request", (), {"job": JobName("one")})


class TestMine(BackendContract):
    @pytest.fixture
    def harness(self):
        return Harness()
"""


def test_a_failure_shows_what_was_compared(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(TESTS)
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        "unknown_job",
        "test_mine.py",
    ]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "assert ['a line'] in ((), [])" in done.stdout
