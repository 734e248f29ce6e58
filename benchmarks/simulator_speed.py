"""What a simulated experiment takes: CPU, steps and memory, each size in a process of its own."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from benchmarks.run import table

from trialjob.model.limits import Limits
from trialjob.orchestrator.core.events import Event
from trialjob.orchestrator.core.state import State
from trialjob.testing.simulation import Simulation

#: (trials, workers)
_SIZES = ((100, 50), (1_000, 50), (10_000, 50), (10_000, 500))


def measured(trials: int, workers: int) -> list[str]:
    simulation = Simulation(
        limits=Limits(max_trials=trials, max_concurrent_trials=workers), poll_interval=10.0, keep_alive=240.0
    )
    counts = {"steps": 0, "events": 0}

    def watch(_state: State, events: Sequence[Event]) -> None:
        counts["steps"] += 1
        counts["events"] += len(events)

    began = time.process_time()
    state = simulation.run(watch)
    cpu = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return [
        f"{trials:,}",
        f"{workers}",
        f"{(state.updated_at - state.created_at) / 3600:.1f} h",
        f"{cpu:.1f} s",
        f"{counts['steps'] / cpu:,.0f}",
        f"{cpu / counts['events'] * 1e6:,.0f} us",
        f"{cpu / trials * 1e3:.2f} ms",
        f"{peak / 1e6:.0f} MB",
    ]


def main() -> None:
    rows = [
        ["trials", "workers", "virtual time", "CPU", "steps a second", "an event", "a trial", "peak memory"]
    ]
    for size in _SIZES:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            rows.append(pool.submit(measured, *size).result())
    print(table(rows))


if __name__ == "__main__":
    main()
