"""The runs of the sixth rule: configurations drawn by what they cost, where an epoch costs from 0.5 to 10.

OMP_NUM_THREADS=1 python -m benchmarks.search.live.dollars build/dollars

A run is kept, judged, when it is made; another sitting goes on from there.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.search import ours
from benchmarks.search.compare import RULES
from benchmarks.search.course import Setting
from benchmarks.search.live.choices import curves
from benchmarks.search.live.decide import head, line
from benchmarks.search.live.differences import JUDGED, Difference, Row, difference, over_tasks
from benchmarks.search.live.differences import read as read_rows
from benchmarks.search.live.judge import Trainings
from benchmarks.search.live.live import Live, Training
from benchmarks.search.live.replicate import JUDGES
from benchmarks.search.live.runs import BUDGET, read
from benchmarks.search.live.tasks import TASKS, Losses, Task
from benchmarks.search.tables import EPOCH_SECONDS

from trialjob.model.ids import TrialId
from trialjob.model.json import Json
from trialjob.model.space import Config
from trialjob.orchestrator.core.events import Event
from trialjob.orchestrator.samplers.random import RandomSampler

#: Those whose epochs cost from a half to ten times the usual.
PRICED: Final = ("dense friedman", "dense spread")
SEEDS: Final = range(300, 340)
PLAIN, CHEAP = "random + asha, by dollars", "cheap + asha, by dollars"
#: Random configurations of which one is taken.
DRAWS: Final = 10
#: So much more than the budget is trained, as what is trained is reported later.
AHEAD: Final = 100.0


class CheapSampler:
    """Of some random configurations one, the more likely the less an epoch of it costs."""

    def __init__(self, task: Task, seed: int) -> None:
        self._task = task
        self._seed = seed
        self._random = RandomSampler(task.space, seed)

    def ask(self, trial: TrialId) -> Config | None:
        rng = random.Random(f"{self._seed}/cheap/{trial}")  # noqa: S311 - no secret
        names = self._task.space.domains
        drawn = [self._task.space.at({name: rng.random() for name in names}) for _ in range(DRAWS)]
        new = [config for config in drawn if self._random.is_new(config)]
        weights = [1 / self._task.cost(config) for config in new]
        return rng.choices(new, weights)[0] if new else self._random.ask(trial)

    def tell(self, events: Sequence[Event]) -> None:
        self._random.tell(events)


def budget(task: Task) -> float:
    """What as many epochs as elsewhere cost of random configurations."""
    rng = random.Random(77)  # noqa: S311 - no secret
    names = task.space.domains
    costs = [task.cost(task.space.at({name: rng.random() for name in names})) for _ in range(1000)]
    return BUDGET * statistics.fmean(costs)


class Priced(Live):
    """A task that knows what was spent on it."""

    def __init__(self, task: Task, seed: int) -> None:
        super().__init__(task, seed)
        self._priced, self._with = task, seed
        self.spent = 0.0

    def curve(self, config: Mapping[str, Json]) -> tuple[Sequence[float], float]:
        return Training(self._counted(config)), EPOCH_SECONDS * self._priced.cost(config)

    def _counted(self, config: Mapping[str, Json]) -> Iterator[Losses]:
        for losses in self._priced.losses(config, self._with):
            self.spent += self._priced.cost(config)
            yield losses


def recorded(task: Task, loop: str, seed: int) -> dict[str, Any]:
    """A run up to the epoch with which its money is spent."""
    priced, most = Priced(task, seed), budget(task)
    trace = ours.run(
        priced,
        seed,
        lambda: CheapSampler(task, seed) if loop == CHEAP else RandomSampler(task.space, seed),
        RULES["asha"],
        # Some epochs are trained before they are reported.
        setting=Setting(workers=8, enough=lambda _ended, _reported: priced.spent >= most + AHEAD),
    )
    spent, points = 0.0, []
    for _, trial, loss in sorted(trace.points):
        points.append((trial, loss))
        spent += task.cost(trace.configs[trial])
        if spent >= most:
            break
    else:
        raise RuntimeError(f"{spent} of {most} was reported")
    trials = dict.fromkeys(trial for trial, _ in points)
    about = {"loop": loop, "task": task.name, "seed": seed, "workers": 8, "spent": spent}
    return {**about, "configs": {str(trial): trace.configs[trial] for trial in trials}, "points": points}


def judged(run: Mapping[str, Any], trainings: Trainings) -> dict[str, Any]:
    """The best figure's trial, as `judge.py` has it, of all that was paid for."""
    found = curves(run, len(run["points"]))
    trial = min(found, key=lambda each: min(found[each]))
    config = run["configs"][str(trial)]
    own = trainings.of(config, run["seed"])[: len(found[trial])]
    again = [trainings.score(min(trainings.of(config, seed))[1]) for seed in range(*JUDGES)]
    best = {
        "trial": trial,
        "seen": trainings.score(min(own)[0]),
        "checkpoint": trainings.score(min(own)[1]),
        "anew": statistics.fmean(again),
    }
    about = {name: run[name] for name in ("loop", "task", "seed", "workers", "spent")}
    return {**about, "trials": len(found), "epochs": len(run["points"]), "ways": {"best": best}}


def of_cheap(rows: Sequence[Row], what: str) -> Difference:
    base = {row["seed"]: row for row in rows if row["loop"] == PLAIN}
    pairs = [(row, base[row["seed"]]) for row in rows if row["loop"] == CHEAP and row["seed"] in base]
    return difference([(a["ways"]["best"][what], b["ways"]["best"][what]) for a, b in pairs])


def table(rows: Sequence[Row]) -> list[str]:
    lines = head(CHEAP, PLAIN)
    for task in PRICED:
        of_task = [row for row in rows if row["task"] == task and row["loop"] in (PLAIN, CHEAP)]
        lines.append(line(task, [of_cheap(of_task, what) for what in JUDGED], ""))
    both = [row for row in rows if row["loop"] in (PLAIN, CHEAP)]
    found = [over_tasks(both, partial(of_cheap, what=what)) for what in JUDGED]
    return [*lines, line("both", found, found[0].verdict)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, help="or the judged rows, to show them")
    parser.add_argument("--tasks", nargs="+", choices=PRICED, default=PRICED)
    given = parser.parse_args()
    if given.folder.is_file():
        print("\n".join(table(read_rows(given.folder))))
        return
    given.folder.mkdir(parents=True, exist_ok=True)
    file = given.folder / "judged.jsonl"
    done = {(row["loop"], row["task"], row["seed"]) for row in read(file)}
    kept = {
        task: Trainings(TASKS[task], given.folder / f"made.{task.replace(' ', '-')}.jsonl") for task in PRICED
    }
    for seed in SEEDS:
        for task in given.tasks:
            for loop in (PLAIN, CHEAP):
                if (loop, task, seed) not in done:
                    row = judged(recorded(TASKS[task], loop, seed), kept[task])
                    with file.open("a") as judgements:
                        print(json.dumps(row), file=judgements)


if __name__ == "__main__":
    main()
