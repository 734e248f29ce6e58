"""What a process does not load: each trial starts one, and so does each look."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "without"),
    [
        ("trialjob.backends.local.supervisor", ("trialjob.orchestrator", "trialjob.model", "pydantic")),
        ("trialjob.apps.cli.showing", ("trialjob.backends", "trialjob.config", "boto3")),
        ("trialjob.apps.cli.main", ("trialjob.config", "pathlib", "json")),
        ("trialjob.experiment", ("trialjob.backends", "trialjob.config", "pydantic")),
    ],
)
def test_a_quick_start_loads_nothing_of(module: str, without: tuple[str, ...]) -> None:
    told = (
        f"import sys; before = {{*sys.modules}}; import {module}; print(*sorted({{*sys.modules}} - before))"
    )
    loaded = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout
    assert [name for name in loaded.split() if name.startswith(without)] == []
