"""``make bench``: measures, prints tables, writes results.md and sagemaker.md. No figure makes it fail."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parent
_SYNE_TUNE = _ROOT / ".venv-bench"
_MEASUREMENTS = ("start_up", "replay", "growth", "empty_trials")
_HEADINGS = ("what", "trialjob", "beside", "ratio")
_NOTES = """
Minima for start-up and replay; elsewhere medians, and ratios (ours over theirs) as the median of pairs of
runs with their spread. *own* is the CPU of the orchestrating process while it tunes, imports excluded; *all*
adds every process it started.

Empty trials: one script for both systems, 2 at a time, random search, alternating order. Syne Tune 0.16.0
runs `LocalBackend` and `Tuner` with its best settings for this: `sleep_time` as given, `save_tuner=False`,
`rotate_gpus=False`, no log lines, its results file kept. So set, it keeps no state that survives a crash;
trialjob journals every event with fsync before it acts, and gives each trial a supervisor and a folder.
"""


def main() -> None:
    skipped = _install_syne_tune()
    rows = [_HEADINGS, *(row for name in _MEASUREMENTS for row in _measure(name))]
    text = f"# Benchmarks\n\n{machine()}{skipped}\n\n{table(rows)}\n{_NOTES}"
    (_HERE / "results.md").write_text(text, encoding="utf-8")
    print(text)
    print("measuring sagemaker_case …", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "benchmarks.sagemaker_case"], cwd=_ROOT, check=True)


def table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in (rows[0], ["-" * width for width in widths], *rows[1:])
    ]
    return "\n".join(lines)


def _measure(name: str) -> list[list[str]]:
    print(f"measuring {name} …", file=sys.stderr, flush=True)
    run = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}"], cwd=_ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    found = [json.loads(line) for line in run.stdout.splitlines()]
    return [[row[heading] for heading in _HEADINGS] for row in found]


def _install_syne_tune() -> str:
    """Make the peer's environment; what to say when it cannot be made."""
    uv = Path(sys.executable).with_name("uv")
    wanted = _HERE / "requirements-syne-tune.txt"
    try:
        if not (_SYNE_TUNE / "bin" / "python").exists():
            subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, _SYNE_TUNE], check=True)
        subprocess.run(
            [uv, "pip", "install", "--quiet", "--no-deps", "-r", wanted],
            env={**os.environ, "VIRTUAL_ENV": str(_SYNE_TUNE)},
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        shutil.rmtree(_SYNE_TUNE, ignore_errors=True)  # half an environment would fail later
        return f"\n\nSyne Tune could not be installed, so nothing is compared with it: {error}."
    return ""


def machine() -> str:
    load = os.getloadavg()[0]
    return (
        f"{time.strftime('%Y-%m-%d', time.gmtime())}; {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores, Python {platform.python_version()}; load average {load:.1f} at the end."
    )


if __name__ == "__main__":
    main()
