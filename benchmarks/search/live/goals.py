"""The two objectives of the eighth rule, loss and size: the front that a loop leaves, trained anew.

OMP_NUM_THREADS=1 python -m benchmarks.search.live.goals build/goals

A run is kept, judged, when it is made; another sitting goes on from there.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from benchmarks.search.live.choices import curves
from benchmarks.search.live.decide import head, line
from benchmarks.search.live.differences import BASE, JUDGED, Row, of_loop, over_tasks
from benchmarks.search.live.differences import read as read_rows
from benchmarks.search.live.judge import Trainings
from benchmarks.search.live.replicate import JUDGES
from benchmarks.search.live.runs import BUDGET, config_of, read, recorded
from benchmarks.search.live.tasks import TASKS, Task

GOALS: Final = ("dense digits", "dense spread")
LOOPS: Final = (BASE, "tpe + asha", "tpe + none", "random + none")
FIRST: Final = 400
#: Seeds without which nothing is decided.
FEWEST: Final = 10
WORKERS: Final = 8


@cache
def _ends(name: str) -> tuple[int, int]:
    parts = TASKS[name].data()
    return parts.x[0].shape[1], max(parts.classes, 1)


def _weights(task: Task, config: Mapping[str, Any]) -> float:
    inputs, outputs = _ends(task.name)
    hidden, layers = int(config["hidden"]), int(config.get("layers", 1))
    return math.log(hidden * (inputs + outputs) + hidden**2 * (layers - 1))


def size(task: Task, config: Mapping[str, Any]) -> float:
    """The logarithm of the number of weights: 0 of the smallest network of the space, 1 of the largest."""
    least, most = (
        _weights(task, task.space.at(dict.fromkeys(task.space.domains, at))) for at in (0.0, 0.999999)
    )
    return (_weights(task, config) - least) / (most - least)


def front(losses: Mapping[int, float], sizes: Mapping[int, float]) -> list[int]:
    """The trials that no other beats in both."""
    kept: list[int] = []
    for trial in sorted(losses, key=lambda trial: (sizes[trial], losses[trial])):
        if not kept or losses[trial] < losses[kept[-1]]:
            kept.append(trial)
    return kept


def hypervolume(points: Iterable[tuple[float, float]]) -> float:
    """What (score, size) dominate below (1, 1)."""
    volume, least = 0.0, 1.0
    for score, place in sorted(points, key=lambda point: point[1]):
        volume += max(0.0, least - score) * (1 - place)
        least = min(least, score)
    return volume


def judged(run: Mapping[str, Any], task: Task, trainings: Trainings) -> dict[str, Any]:
    """How much its front leaves, by its checkpoints and trained anew."""
    losses = {trial: min(seen) for trial, seen in curves(run).items()}
    sizes = {trial: size(task, config_of(run, trial)) for trial in losses}
    chosen = front(losses, sizes)
    anew, checkpoint = [], []
    for trial in chosen:
        config = config_of(run, trial)
        own = trainings.of(config, run["seed"])[: len(curves(run)[trial])]
        checkpoint.append((trainings.score(min(own)[1]), sizes[trial]))
        again = [min(trainings.of(config, seed))[1] for seed in range(*JUDGES)]
        anew.append((statistics.fmean(trainings.score(loss) for loss in again), sizes[trial]))
    best = {"anew": 1 - hypervolume(anew), "checkpoint": 1 - hypervolume(checkpoint)}
    return {"front": len(chosen), "ways": {"best": best}}


def table(rows: Sequence[Row], loop: str) -> list[str]:
    """A loop less random search under ASHA on the seeds that both have on all tasks."""
    made = {(row["loop"], row["task"], row["seed"]) for row in rows}
    whole = {
        seed
        for *_, seed in made
        if all((each, task, seed) in made for each in (loop, BASE) for task in GOALS)
    }
    lines = head(loop, BASE)
    if not whole:
        return lines
    found = [row for row in rows if row["loop"] in (loop, BASE) and row["seed"] in whole]
    of = {what: partial(of_loop, loop=loop, workers=WORKERS, what=what) for what in JUDGED}
    for task in GOALS:
        of_task = [row for row in found if row["task"] == task]
        lines.append(line(task, [of[what](of_task) for what in JUDGED], ""))
    both = [over_tasks(found, of[what]) for what in JUDGED]
    return [*lines, line("both", both, both[0].verdict if len(whole) >= FEWEST else "not decided")]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, help="or the judged rows, to show them")
    parser.add_argument("--loops", nargs="+", choices=LOOPS, default=LOOPS)
    parser.add_argument("--seeds", type=int, nargs=2, default=(FIRST, FIRST + FEWEST))
    given = parser.parse_args()
    if given.folder.is_file():
        for loop in LOOPS[1:]:
            print("\n".join(["", *table(read_rows(given.folder), loop)]))
        return
    given.folder.mkdir(parents=True, exist_ok=True)
    file = given.folder / "judged.goals.jsonl"
    done = {(row["loop"], row["task"], row["seed"]) for row in read(file)}
    kept = {
        name: Trainings(TASKS[name], given.folder / f"made.{name.replace(' ', '-')}.goals") for name in GOALS
    }
    for seed in range(*given.seeds):
        for name in GOALS:
            for loop in given.loops:
                if (loop, name, seed) in done:
                    continue
                task = TASKS[name]
                run = recorded(
                    task, loop, seed=seed, workers=WORKERS, epochs=BUDGET, size=partial(size, task)
                )
                about = {each: run[each] for each in ("loop", "task", "seed", "workers", "hours")}
                row = {**about, "trials": len(run["configs"]), **judged(run, task, kept[name])}
                with file.open("a") as rows:
                    print(json.dumps(row), file=rows)


if __name__ == "__main__":
    main()
