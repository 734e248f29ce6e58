"""What many finished trials cost the orchestrator: memory, and the CPU of a step."""

from __future__ import annotations

import resource
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import mean

import psutil
from benchmarks.journals import WORKERS, simulate
from benchmarks.measuring import Row, emit, milliseconds

from trialjob.model.limits import Limits
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.journals.jsonl import JsonlJournal
from trialjob.testing.simulation import Simulation

_TRIALS = 10_000
#: A step's cost is averaged over this many trials' ends around each of the counts.
_COUNTS = (100, 1_000, 9_900)
_AROUND = 100


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        # In a process of its own, because the simulated service remembers every job.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            steps = pool.submit(_costs, place).result()
        base = psutil.Process().memory_info().rss
        stepper = Simulation(limits=Limits(max_trials=1)).stepper(journal=JsonlJournal(place))
        held = psutil.Process().memory_info().rss
    reports = sum(len(trial.reports) for trial in stepper.state.trials)
    _emit_memory(len(stepper.state.trials), reports, base, held)
    first = steps[_COUNTS[0]]
    for count, cost in steps.items():
        what = f"CPU of a step at {count:,} finished trials, {WORKERS} running"
        beside = "" if count == _COUNTS[0] else f"at {_COUNTS[0]:,}: {milliseconds(first)}"
        ratio = f"{cost / first:.2g}" if beside else ""
        emit(Row(what=what, trialjob=milliseconds(cost), beside=beside, ratio=ratio))


def _costs(folder: Path) -> dict[int, float]:
    """Mean CPU seconds of a step around each count of finished trials."""
    costs: dict[int, list[float]] = {count: [] for count in _COUNTS}

    def watch(state: State, cpu: float) -> None:
        finished = len(state.trials) - len(state.open)
        for count, found in costs.items():
            if abs(finished - count) <= _AROUND:
                found.append(cpu)

    simulate(folder, trials=_TRIALS, watch=watch)
    return {count: mean(found) for count, found in costs.items()}


def _emit_memory(trials: int, reports: int, base: int, held: int) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    emit(
        Row(
            what=f"memory of a resumed orchestrator, {trials:,} finished trials ({reports:,} reports)",
            trialjob=f"{held / 1e6:.0f} MB resident, {(held - base) / trials / 1e3:.1f} kB a trial; "
            f"peak {peak / 1e6:.0f} MB while reading",
        )
    )


if __name__ == "__main__":
    main()
