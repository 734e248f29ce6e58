"""How processes are measured, and how figures are written.

Rule: it knows no subject. Nothing here judges a figure; the machine may be busy, so figures are minima and
medians, and ratios are made of runs that stood next to each other.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
SYNE_TUNE = ROOT / ".venv-bench"
#: The prctl that makes orphaned descendants our children (linux/prctl.h).
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the table; ``trialjob`` and ``beside`` are figures with their units."""

    what: str
    trialjob: str
    beside: str = ""
    ratio: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a process and everything it started have used, in seconds."""

    wall: float
    cpu: float
    output: str


def emit(*rows: Row) -> None:
    """Hand rows to ``run.py``."""
    for row in rows:
        print(json.dumps(asdict(row)), flush=True)


def adopt_orphans() -> None:
    """Make this process the one that waits for its orphaned descendants, so that their CPU is counted."""
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - only where it is needed

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def cost_of(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> Cost:
    """Run a command and wait for it and for what it leaves behind; its last line of output is kept."""
    # As for users: what a package would otherwise compile for each process is no cost of its own.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before, began = _children(), time.perf_counter()
    run = subprocess.run(
        [str(word) for word in command],
        env={**kept, **(environment or {})},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    wall = time.perf_counter() - began
    with suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
    return Cost(wall=wall, cpu=_children() - before, output=run.stdout.rstrip().rpartition("\n")[2])


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms" if seconds >= 0.1 else f"{seconds * 1000:.3g} ms"


def times(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Our figures in multiples of theirs, pair by pair: the median and the spread."""
    ratios = [our / their for our, their in zip(ours, theirs, strict=True)]
    return f"{median(ratios):.2g} ({min(ratios):.2g} to {max(ratios):.2g})"
