"""What a user gets of each way of choosing, from the runs that ``runs.py`` has kept.

python -m benchmarks.search.live.judge build/live.jsonl --trainings build/made --judged build/judged.jsonl

Every training is kept in a file of its own, by task, configuration and seed, and is not made again.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.search.live.choices import WAYS, curves
from benchmarks.search.live.differences import of_way
from benchmarks.search.live.runs import config_of, read
from benchmarks.search.live.tasks import TASKS, Losses, Task

from trialjob.model.ids import TrialId
from trialjob.model.json import canonical_json
from trialjob.model.space import Config
from trialjob.orchestrator.samplers.random import RandomSampler

#: Seeds that no loop has had, from the first to before the last.
JUDGES = (1000, 1005)
#: Random configurations that say what is low and what is usual, and which of them, sorted, is low.
REFERENCES, LOW = 60, 2
#: No training counts for more than this.
WORST_SCORE = 2.0


class Trainings:
    """The trainings of a task by configuration and seed, each made once."""

    def __init__(self, task: Task, file: Path) -> None:
        self._task = task
        self._file = file
        self._have: dict[str, list[Losses]] = {row["key"]: row["losses"] for row in read(file)}

    def of(self, config: Config, seed: int) -> list[Losses]:
        name = canonical_json([self._task.name, dict(config), seed])
        if name not in self._have:
            self._have[name] = list(self._task.losses(config, seed))
            with self._file.open("a") as file:
                print(json.dumps({"key": name, "losses": self._have[name]}), file=file)
        return self._have[name]

    @cached_property
    def scale(self) -> tuple[float, float]:
        """What is low, and what is usual, on the rows that no loop sees."""
        asked = RandomSampler(self._task.space, 77)
        configs = [
            config for number in range(REFERENCES) if (config := asked.ask(TrialId(number + 1))) is not None
        ]
        losses = sorted(min(self.of(config, 0))[1] for config in configs)
        return losses[LOW], statistics.median(losses)

    def score(self, loss: float) -> float:
        low, middle = self.scale
        return min(WORST_SCORE, (loss - low) / (middle - low))


def judged(
    run: Mapping[str, Any], ways: Iterable[str], trainings: Trainings, judges: tuple[int, int] = JUDGES
) -> dict[str, dict[str, Any]]:
    """For each way the trial it chose, and the scores of (a) its checkpoint and (b) its retraining."""

    def anew(config: Config, seed: int) -> Sequence[float]:
        return [seen for seen, _ in trainings.of(config, seed)]

    found = {}
    for name in ways:
        trial = WAYS[name](run, anew)
        config = config_of(run, trial)
        own = trainings.of(config, run["seed"])[: len(curves(run)[trial])]
        again = [min(trainings.of(config, seed))[1] for seed in range(*judges)]
        found[name] = {
            "trial": trial,
            "seen": trainings.score(min(own)[0]),
            "checkpoint": trainings.score(min(own)[1]),
            "anew": statistics.fmean(trainings.score(loss) for loss in again),
        }
    return found


def _of_task(given: tuple[Path, Path, str, Sequence[str], tuple[int, int]]) -> list[dict[str, Any]]:
    """All runs of a task, its trainings in a file beside the others'."""
    runs, trainings, task, ways, judges = given
    kept = Trainings(TASKS[task], trainings.with_suffix(f".{task.replace(' ', '-')}.jsonl"))
    rows = []
    for run in read(runs):
        if run["task"] == task:
            about = {name: run[name] for name in ("loop", "task", "seed", "workers")}
            rows.append({**about, "ways": judged(run, ways, kept, judges)})
    return rows


def table(rows: Sequence[Mapping[str, Any]], ways: Sequence[str]) -> str:
    lines = ["| choice | retrained | less best | checkpoint | less best |", "|---|--:|--:|--:|--:|"]
    for way in ways:
        cells = []
        for what in ("anew", "checkpoint"):
            found = of_way(rows, way, what)
            cells += [f"{found.value:.3f}", f"{found.less:+.3f} ± {found.error:.3f}"]
        lines.append(f"| {way} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("runs", type=Path)
    parser.add_argument("--trainings", type=Path, required=True)
    parser.add_argument("--judged", type=Path, required=True, help="the scores are added to this file")
    parser.add_argument("--ways", nargs="+", default=list(WAYS))
    parser.add_argument("--judges", type=int, nargs=2, default=JUDGES, help="the seeds of the retrainings")
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args()
    tasks = list(dict.fromkeys(run["task"] for run in read(given.runs)))
    with ProcessPoolExecutor(given.processes) as pool:
        asked = [(given.runs, given.trainings, task, given.ways, tuple(given.judges)) for task in tasks]
        parts = pool.map(_of_task, asked)
        rows = [row for part in parts for row in part]
    given.judged.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for loop in dict.fromkeys(row["loop"] for row in rows):
        of_loop = [row for row in rows if row["loop"] == loop]
        print(f"\n{loop}: {len(of_loop)} runs\n\n{table(of_loop, given.ways)}")
        for task in tasks:
            of_task = [row for row in of_loop if row["task"] == task]
            print(f"\n{loop}, {task}: {len(of_task)} runs\n\n{table(of_task, given.ways)}")


if __name__ == "__main__":
    main()
