"""The runs of the third rule, and with another loop those of the fourth, recorded and judged round by round.

OMP_NUM_THREADS=1 python -m benchmarks.search.live.replicate build/replicated
OMP_NUM_THREADS=1 python -m benchmarks.search.live.replicate build/forest --loop "forest + asha" --ways best

A run is kept when it is made, and judged when its round is whole; another sitting goes on from there.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from benchmarks.search.live.decide import NEW, WAY
from benchmarks.search.live.differences import BASE
from benchmarks.search.live.judge import Trainings, judged
from benchmarks.search.live.runs import Run, key, made, read
from benchmarks.search.live.tasks import TASKS

#: Runs of each task in a round: about as its differences vary, and the fewer the more seconds they take.
ROUND = {"dense diabetes": 1, "kernel moons": 2, "boosted curved": 2, "dense spread": 4}
ROUNDS = 20
WAYS = ("best", WAY, "repeats of 3 x 2")
#: Seeds of the retrainings, from the first to before the last: no loop and no judge has had them.
JUDGES = (2000, 2005)


def of_round(number: int, loop: str = BASE, tasks: Collection[str] = tuple(ROUND)) -> list[Run]:
    return [
        (loop, task, NEW + number * count + place, 8)
        for task, count in ROUND.items()
        if task in tasks
        for place in range(count)
    ]


def recorded(asked: Sequence[Run], file: Path) -> list[dict[str, Any]]:
    """These runs, each kept as soon as it is made."""
    have = {key(run): run for run in read(file)}
    for run in asked:
        if run not in have:
            have[run] = made(run)
            with file.open("a") as kept:
                print(json.dumps(have[run]), file=kept)
    return [have[run] for run in asked]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--loop", default=BASE)
    parser.add_argument("--tasks", nargs="+", choices=list(ROUND), default=list(ROUND))
    parser.add_argument("--ways", nargs="+", default=WAYS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    folder = given.folder
    folder.mkdir(parents=True, exist_ok=True)
    done = {key(row) for row in read(folder / "judged.jsonl")}
    kept = {task: Trainings(TASKS[task], folder / f"made.{task.replace(' ', '-')}.jsonl") for task in ROUND}
    for number in range(given.rounds):
        asked = of_round(number, given.loop, given.tasks)
        if done.issuperset(asked):
            continue
        lines = []
        for run in recorded(asked, folder / "runs.jsonl"):
            about = {name: run[name] for name in ("loop", "task", "seed", "workers")}
            ways = judged(run, given.ways, kept[run["task"]], JUDGES)
            lines.append(json.dumps({**about, "ways": ways}) + "\n")
        with (folder / "judged.jsonl").open("a") as file:
            file.write("".join(lines))


if __name__ == "__main__":
    main()
