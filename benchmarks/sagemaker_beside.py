"""The SageMaker backends of trialjob and of Syne Tune 0.13 on the same fake service, in virtual time.

Prints a table, which ``sagemaker_case`` has in its notes. Syne Tune needs an environment of its own (Python
3.11), whose Python is named::

    python -m venv .venv-bench-0.13
    .venv-bench-0.13/bin/pip install syne-tune==0.13.0 sagemaker==2.257.7 filelock
    python -m benchmarks.sagemaker_beside .venv-bench-0.13/bin/python
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.run import table
from benchmarks.sagemaker_runs import Case, beside, run

_TRIALS, _WORKERS = 32, 8
#: Seconds between looks, and whether a trial waits until the job before it has ended.
_PEERS = {
    "Syne Tune, 5 s": ("5", "no"),
    "5 s, waits": ("5", "yes"),
    "10 s, waits": ("10", "yes"),
}


def main() -> None:
    (python,) = sys.argv[1:]
    run_here()  # what boto3 reads when it begins is no cost of a look
    found = {"trialjob": run_here()}
    found |= {name: _run_there(python, *how) for name, how in _PEERS.items()}
    rows = [["what", *found]]
    rows += [[what, *column] for what, *column in zip(*map(_column, [None, *found.values()]), strict=True)]
    sys.stdout.write(table(rows) + "\n")


def run_here() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        done = run(Case(name="beside", trials=_TRIALS, workers=_WORKERS), Path(folder))
        return beside(done.service, done.wall, done.cpu)


def _run_there(python: str, *how: str) -> dict[str, float]:
    script = Path(__file__).with_name("drive_syne_tune_sagemaker.py")
    line = [python, str(script), str(_TRIALS), str(_WORKERS), *how]
    told = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True).stdout
    figures: dict[str, float] = json.loads(told.splitlines()[-1])
    return figures


def _column(figures: Mapping[str, float] | None) -> list[str]:
    """The figures in words; what they are, without any."""
    if figures is None:
        return [
            "trials; jobs", "wall-clock", "billable seconds: jobs + idle pools", "billable ÷ training",
            "idle of all billable", "launches that reused a pool", "most instances at once",
            "reports that were printed", "calls; refused as too many", "CPU",
        ]  # fmt: skip
    billed = figures["billable"] + figures["idle"]
    return [
        f"{_TRIALS}; {figures['jobs']:.0f}",
        f"{figures['wall'] / 60:.1f} min",
        f"{figures['billable']:,.0f} + {figures['idle']:,.0f}",
        f"{billed / figures['training']:.2f}",
        f"{figures['idle'] / billed:.1%}",
        f"{figures['warm'] / figures['jobs']:.0%}",
        f"{figures['most']:.0f}",
        f"{figures['reports']:.0f}",
        f"{figures['calls']:,.0f}; {figures['refused']:,.0f}",
        f"{figures['cpu']:.1f} s",
    ]


if __name__ == "__main__":
    main()
