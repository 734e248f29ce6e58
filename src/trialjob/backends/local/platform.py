"""Whether this machine can run trials at all: that takes processes and locks as POSIX has them."""

from __future__ import annotations

import os

from trialjob.errors import Problem, SpecError


def check_platform() -> None:
    """Raise SpecError where trials cannot be processes of this machine, which is on Windows."""
    try:
        import fcntl  # noqa: F401, PLC0415 - there is none on Windows
    except ImportError:
        missing = True
    else:
        missing = not hasattr(os, "fork")
    if missing:
        raise SpecError(
            Problem(
                field="backend.kind",
                message="trials on this machine need Linux or macOS, and this is neither",
                remedy="write backend.kind: sagemaker, or run trialjob in WSL",
            )
        )
