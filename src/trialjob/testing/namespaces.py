"""Commands in Linux namespaces of their own, for tests of what another container or a read-only disk sees."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path


@cache
def why_not() -> str:
    """Why no namespace can be made here; "" when it can."""
    program = shutil.which("unshare")
    if program is None:
        return "there is no unshare"
    tried = subprocess.run(  # noqa: S603 - a program of the system
        [program, "--mount", "--pid", "--fork", "--mount-proc", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    return tried.stderr.strip() if tried.returncode else ""


def pid_namespace(command: Sequence[str]) -> list[str]:
    """The command as process 1 of a container would run it: its processes are all that it sees."""
    return ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *command]


def read_only(folder: Path, command: Sequence[str]) -> list[str]:
    """The command where ``folder`` is mounted so that no process can write it."""
    place = shlex.quote(str(folder))
    mounting = f"mount --bind {place} {place} && mount -o remount,bind,ro {place}"
    return ["unshare", "--mount", "sh", "-c", f'{mounting} && exec "$@"', "sh", *command]


def python(program: str, *arguments: str) -> list[str]:
    """A program of Python as a command."""
    return [sys.executable, "-c", program, *arguments]
