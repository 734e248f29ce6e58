"""Runs over the live tasks, each recorded whole, so that what is chosen of it can be decided afterwards.

OMP_NUM_THREADS=1 python -m benchmarks.search.live.runs --keep build/live.jsonl --seeds 0 10

Each run is one line of that file, and a run that is there is not made again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.search import ours
from benchmarks.search.compare import RULES, SAMPLERS
from benchmarks.search.course import Setting, Trace
from benchmarks.search.live.forest import ForestSampler
from benchmarks.search.live.live import Live
from benchmarks.search.live.rungs import RungSampler
from benchmarks.search.live.tasks import CHOICE, TASKS, Task

from trialjob.model.space import Config
from trialjob.orchestrator.ports import Sampler
from trialjob.testing.simulation import ASSUMED

#: Epochs that are paid for.
BUDGET = 810

#: What is run here: ours, and what is only compared.
LOOP_SAMPLERS = {**SAMPLERS, "forest": ForestSampler, "tpe of rungs": RungSampler}
#: What a loop's name ends in when its machines are taken away and waited for, more than is usual.
ON_SPOT = ", spot"
SPOT = replace(ASSUMED, interruptions_per_hour=2.0, spot_wait=600.0, restart=60.0)
#: Loop, task, seed, workers.
Run = tuple[str, str, int, int]


def made(run: Run) -> dict[str, Any]:
    """One run, as a line of the file."""
    loop, task, seed, workers = run
    return recorded(TASKS[task], loop, seed=seed, workers=workers, epochs=BUDGET)


def recorded(
    task: Task,
    loop: str,
    *,
    seed: int,
    workers: int,
    epochs: int,
    make: Callable[[], Sampler] | None = None,
    size: ours.Size | None = None,
) -> dict[str, Any]:
    """A run's configurations by trial, and each report as (trial, loss) in the order of time."""
    sampler, rule = loop.removesuffix(ON_SPOT).split(" + ")
    trace = ours.run(
        Live(task, seed),
        seed,
        make or (lambda: LOOP_SAMPLERS[sampler](task.space, seed)),
        RULES[rule],
        setting=Setting(
            workers=workers,
            enough=lambda _ended, reported: reported >= epochs,
            spot=SPOT if loop.endswith(ON_SPOT) else None,
        ),
        size=size,
    )
    about = {"loop": loop, "task": task.name, "seed": seed, "workers": workers}
    return as_line(about, trace, epochs)


def as_line(about: Mapping[str, Any], trace: Trace, epochs: int) -> dict[str, Any]:
    """A run with what it is called, as far as it was paid for."""
    points = sorted(trace.points)[:epochs]
    seen = {trial for _, trial, _ in points}
    return {
        **about,
        "hours": points[-1][0] / 3600,
        "configs": {str(trial): config for trial, config in trace.configs.items() if trial in seen},
        "points": [(trial, loss) for _, trial, loss in points],
    }


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def key(run: dict[str, Any]) -> Run:
    return run["loop"], run["task"], run["seed"], run["workers"]


def config_of(run: Mapping[str, Any], trial: int) -> Config:
    found: Config = run["configs"][str(trial)]
    return found


def keep(file: Path, wanted: Iterable[Run], processes: int) -> None:
    """Make the runs that the file does not have."""
    file.parent.mkdir(parents=True, exist_ok=True)
    have = {key(run) for run in read(file)}
    with ProcessPoolExecutor(processes) as pool, file.open("a") as kept:
        for future in as_completed([pool.submit(made, run) for run in wanted if run not in have]):
            print(json.dumps(future.result()), file=kept, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--keep", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(CHOICE))
    parser.add_argument("--seeds", type=int, nargs=2, default=(0, 10))
    parser.add_argument("--loops", nargs="+", default=["random + asha", "tpe + asha"])
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args()
    wanted = [
        (loop, task, seed, given.workers)
        for seed in range(*given.seeds)
        for loop in given.loops
        for task in given.tasks
    ]
    keep(given.keep, wanted, given.processes)


if __name__ == "__main__":
    main()
