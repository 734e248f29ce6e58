"""What a program says, on stdout and stderr together; it is asked nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def output_of(
    command: Sequence[str | Path],
    folder: Path,
    env: Mapping[str, str],
    *,
    status: int = 0,
) -> str:
    """Run it in ``folder``, and see that it ends with this ``status``."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == status, done.stdout  # noqa: S101 - it is of tests
    return done.stdout
