"""Two trees of the source side by side, in turns: ``python -m benchmarks.before_after OTHER_TREE``.

What is compared is CPU, as the machine may be busy; each figure is the least of its runs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.journals import simulate
from benchmarks.measuring import ROOT
from benchmarks.run import machine, table

_CLOCK = "import time\nbegan = time.process_time()\n"
_SAY = "\nprint(time.process_time() - began)\n"
_SIMULATED = (
    "from trialjob.model.limits import Limits\nfrom trialjob.testing.simulation import Simulation\n"
    "limits = Limits(max_trials=2_000, max_concurrent_trials=500)\n"
    "made = Simulation(limits=limits, poll_interval=10.0, keep_alive=240.0)\n"
)
_HELPED = (
    "import contextlib, io\nfrom trialjob.apps.cli.main import main\n"
    "with contextlib.redirect_stdout(io.StringIO()): main(['--help'])"
)
#: Both read the same journal, which the tree that this file is of has made.
_REPLAYED = (
    "import os\nfrom pathlib import Path\nfrom benchmarks.replay import _replayed\n"
    "print(min(sum(_replayed(Path(os.environ['JOURNAL']))) for _ in range(3)))\n"
)
#: What is measured: the program, which prints seconds of CPU, and how often it is run.
_PROGRAMS = {
    "`import trialjob`": (f"{_CLOCK}import trialjob{_SAY}", 15),
    "`trialjob --help`": (f"{_CLOCK}{_HELPED}{_SAY}", 15),
    "replay of a journal of 20,000 events": (_REPLAYED, 3),
    "2,000 trials at 500 workers, simulated": (f"{_SIMULATED}{_CLOCK}made.run(lambda *_: None){_SAY}", 2),
}


def main() -> None:
    other = Path(sys.argv[1]).resolve()
    journal = tempfile.TemporaryDirectory()
    os.environ["JOURNAL"] = journal.name
    simulate(Path(journal.name), trials=2_000, events=20_000)
    rows = [("what", "before", "now", "ratio")]
    for what, (program, times) in _PROGRAMS.items():
        print(f"measuring {what} …", file=sys.stderr, flush=True)
        costs = [(_seconds(other, program), _seconds(ROOT, program)) for _ in range(times)]
        before, now = (min(column) for column in zip(*costs, strict=True))
        rows.append((what, f"{before * 1e3:.1f} ms", f"{now * 1e3:.1f} ms", f"{now / before:.2f}"))
    journal.cleanup()
    print(f"{machine()}\n\n{table(rows)}")


def _seconds(tree: Path, program: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": f"{tree / 'src'}{os.pathsep}{tree}"},
        cwd=tree,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout.split()[-1])


if __name__ == "__main__":
    main()
