"""The runs of the third rule, recorded and judged round by round.

OMP_NUM_THREADS=1 python -m benchmarks.search.live.replicate build/replicated

A round is written when it is whole, so that what is stopped by the clock has whole rounds alone.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.search.live.decide import NEW, WAY
from benchmarks.search.live.judge import Trainings, judged
from benchmarks.search.live.runs import Run, key, made, read
from benchmarks.search.live.show import BASE
from benchmarks.search.live.tasks import TASKS

#: Runs of each task in a round: about as its differences vary, and the fewer the more seconds they take.
ROUND = {"dense diabetes": 1, "kernel moons": 2, "boosted curved": 2, "dense spread": 4}
ROUNDS = 20
WAYS = ("best", WAY, "repeats of 3 x 2")
#: Seeds of the retrainings, from the first to before the last: no loop and no judge has had them.
JUDGES = (2000, 2005)


def of_round(number: int) -> list[Run]:
    return [
        (BASE, task, NEW + number * count + place, 8)
        for task, count in ROUND.items()
        for place in range(count)
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    have = {key(row) for row in read(folder / "judged.jsonl")}
    kept = {task: Trainings(TASKS[task], folder / f"made.{task.replace(' ', '-')}.jsonl") for task in ROUND}
    for number in range(ROUNDS):
        asked = of_round(number)
        if have.issuperset(asked):
            continue
        runs = [made(run) for run in asked]
        rows = [
            {
                **{name: run[name] for name in ("loop", "task", "seed", "workers")},
                "ways": judged(run, WAYS, kept[run["task"]], JUDGES),
            }
            for run in runs
        ]
        for name, lines in (("runs", runs), ("judged", rows)):
            with (folder / f"{name}.jsonl").open("a") as file:
                file.write("".join(json.dumps(line) + "\n" for line in lines))


if __name__ == "__main__":
    main()
