"""What a trial costs beside its own work: a script that reports once, two at a time, random search.

Both systems run the same script in alternating order. ``own`` is the CPU of the orchestrating process while
it tunes, imports excluded; ``all`` adds every process that it started. The imports are a row of their own.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.measuring import SYNE_TUNE, Row, adopt_orphans, cost_of, emit, milliseconds, times

_REPETITIONS = 3
#: What is compared: a name, what says the report, seconds between looks, trials.
_CASES = (
    ("the system's own reporter, looks every 0.1 s", "", 0.1, 20),
    ("a bare print, looks every 0.1 s", "-line", 0.1, 60),
    ("a bare print, looks every 5 ms", "-line", 0.005, 60),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Seconds for a trial, and CPU seconds before the first one."""

    start: float
    own: float
    total: float
    wall: float


def main() -> None:
    adopt_orphans()
    peer = SYNE_TUNE / "bin" / "python"
    starts: tuple[list[float], list[float]] = ([], [])
    for name, ending, pause, trials in _CASES:
        ours: list[Run] = []
        theirs: list[Run] = []
        for repetition in range(_REPETITIONS):
            pair = [
                (ours, Path(sys.executable), "trialjob"),
                (theirs, peer, "syne_tune"),
            ]
            for runs, python, system in reversed(pair) if repetition % 2 else pair:
                if python.exists():
                    runs.append(_run(python, system, ending, pause, trials))
        _emit(name, ours, theirs)
        starts[0].extend(run.start for run in ours)
        starts[1].extend(run.start for run in theirs)
    emit(_row("CPU before the first trial, imports", *starts, milliseconds))


def _run(python: Path, system: str, ending: str, pause: float, trials: int) -> Run:
    script = Path(__file__).with_name(f"drive_{system}.py")
    say = system.replace("_", "-") + ending
    with tempfile.TemporaryDirectory() as folder:
        cost = cost_of([python, script, str(trials), str(pause), say, folder])
    told = json.loads(cost.output)
    count = told["trials"]
    return Run(
        start=told["start"],
        own=told["own"] / count,
        total=(cost.cpu - told["start"]) / count,
        wall=told["wall"] / count,
    )


def _emit(name: str, ours: Sequence[Run], theirs: Sequence[Run]) -> None:
    figures: tuple[tuple[str, Callable[[Run], float], Callable[[float], str]], ...] = (
        ("own CPU a trial", lambda run: run.own, milliseconds),
        ("all CPU a trial", lambda run: run.total, milliseconds),
        ("trials per second", lambda run: 1 / run.wall, lambda value: f"{value:.3g}/s"),
    )
    for what, of, written in figures:
        emit(_row(f"{what}: {name}", [of(run) for run in ours], [of(run) for run in theirs], written))


def _row(what: str, ours: list[float], theirs: list[float], written: Callable[[float], str]) -> Row:
    return Row(
        what=what,
        trialjob=written(median(ours)),
        beside=f"Syne Tune: {written(median(theirs))}" if theirs else "Syne Tune: not installed",
        ratio=times(ours, theirs) if theirs else "",
    )


if __name__ == "__main__":
    main()
