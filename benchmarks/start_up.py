"""What it costs to import trialjob and to ask for its help, beside a Python that does nothing."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.measuring import SYNE_TUNE, Cost, Row, cost_of, emit, milliseconds

_REPETITIONS = 15
_HEAVY = ("boto3", "optuna", "pandas", "pydantic", "rich", "numpy", "psutil")
_LOADED = f"print(' '.join(name for name in {_HEAVY} if name in sys.modules) or 'none')"
_HELP = "import contextlib, io, sys\nfrom trialjob.apps.cli.main import main\n"
_HELP += "with contextlib.redirect_stdout(io.StringIO()): main(['--help'])\n"


def main() -> None:
    commands: dict[str, list[str | Path]] = {
        "nothing": [sys.executable, "-c", "pass"],
        "import trialjob": [sys.executable, "-c", "import trialjob"],
        "trialjob --help": [Path(sys.executable).with_name("trialjob"), "--help"],
    }
    peer = SYNE_TUNE / "bin" / "python"
    if peer.exists():
        commands["import syne_tune"] = [peer, "-c", "import syne_tune"]
    costs = _measured(commands)
    for what in ("import trialjob", "trialjob --help"):
        emit(_beside(f"`{what}`", costs[what], "`python -c pass`", costs["nothing"]))
    if peer.exists():
        theirs = costs["import syne_tune"]
        emit(_beside("`import trialjob`", costs["import trialjob"], "`import syne_tune`", theirs))
    loaded = cost_of([sys.executable, "-c", f"import sys, trialjob\n{_LOADED}"]).output
    helped = cost_of([sys.executable, "-c", _HELP + _LOADED]).output
    emit(Row(what=f"of {', '.join(_HEAVY)} loaded by these two", trialjob=f"{loaded}; {helped}"))


def _measured(commands: dict[str, list[str | Path]]) -> dict[str, tuple[float, float]]:
    """The least wall and CPU of each command, run in turns."""
    runs: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(_REPETITIONS):
        for name, command in commands.items():
            runs[name].append(cost_of(command))
    return {name: (min(c.wall for c in costs), min(c.cpu for c in costs)) for name, costs in runs.items()}


def _figures(cost: tuple[float, float]) -> str:
    return f"{milliseconds(cost[0])} wall, {milliseconds(cost[1])} CPU"


def _beside(what: str, ours: tuple[float, float], name: str, theirs: tuple[float, float]) -> Row:
    ratio = f"{ours[0] / theirs[0]:.2g} wall, {ours[1] / theirs[1]:.2g} CPU"
    return Row(what=what, trialjob=_figures(ours), beside=f"{name}: {_figures(theirs)}", ratio=ratio)


if __name__ == "__main__":
    main()
