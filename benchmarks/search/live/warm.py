"""The runs of the fifth rule: random search under ASHA that knows an earlier experiment, and that experiment.

OMP_NUM_THREADS=1 python -m benchmarks.search.live.warm build/warm --choose
OMP_NUM_THREADS=1 python -m benchmarks.search.live.warm build/warm --kind first

A run is kept when it is made; another sitting goes on from there.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.search.live.choices import curves
from benchmarks.search.live.decide import EARLIER
from benchmarks.search.live.differences import BASE
from benchmarks.search.live.judge import JUDGES, Trainings, judged
from benchmarks.search.live.replicate import JUDGES as NEW_JUDGES
from benchmarks.search.live.replicate import ROUNDS, of_round
from benchmarks.search.live.runs import BUDGET, config_of, key, made, read, recorded
from benchmarks.search.live.tasks import EPOCHS, TASKS

from trialjob.model.ids import TrialId
from trialjob.model.json import Json
from trialjob.model.space import Choice, Config, Space
from trialjob.orchestrator.core.events import Event
from trialjob.orchestrator.samplers.encoding import Unit
from trialjob.orchestrator.samplers.random import RandomSampler

#: Where ASHA ends trials. What stands elsewhere at the end of a run was cut short and is no result.
RUNGS = (1, 3, 9, EPOCHS)
CHOOSERS = ("dense wine", "kernel digits", "dense digits", "dense friedman", "crossing hastie")
CHOOSING_SEEDS = range(10)
#: A held-out task and one of the same space with other data.
RELATED: Final = {
    "dense diabetes": "dense spread",
    "kernel moons": "kernel digits",
    "boosted curved": "boosted cancer",
    "dense spread": "dense diabetes",
}
#: How far a number moves, on the scale of its quantiles, and how often a choice is drawn anew.
STEP: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What is made of an earlier experiment."""

    #: So many of its best are the first trials.
    first: int = 0
    #: The part of it around which every second trial is drawn.
    best: float = 0.0


KINDS: Final[Mapping[str, Kind]] = {
    "first": Kind(first=10),
    "third": Kind(best=1 / 3),
    "first, tenth": Kind(first=10, best=1 / 10),
}


def ranked(earlier: Mapping[str, Any]) -> list[Config]:
    """The configurations of a run, those first that came further, and of these the better ones."""
    ends = {trial: losses for trial, losses in curves(earlier).items() if len(losses) in RUNGS}
    order = sorted(ends, key=lambda trial: (-len(ends[trial]), min(ends[trial])))
    return [config_of(earlier, trial) for trial in order]


class WarmSampler:
    """Random search that knows configurations, the best first."""

    def __init__(self, space: Space, seed: int, kind: Kind, known: Sequence[Config]) -> None:
        self._space = space
        self._seed = seed
        self._random = RandomSampler(space, seed)
        self._first = known[: kind.first]
        self._best = known[: math.ceil(kind.best * len(known))]

    def ask(self, trial: TrialId) -> Config | None:
        if trial <= len(self._first):
            return self._first[trial - 1]
        rng = random.Random(f"{self._seed}/warm/{trial}")  # noqa: S311 - no secret
        if self._best and rng.random() < 0.5:
            for _ in range(100):
                config = self._near(rng.choice(self._best), rng)
                if self._random.is_new(config):
                    return config
        return self._random.ask(trial)

    def tell(self, events: Sequence[Event]) -> None:
        self._random.tell(events)

    def _near(self, config: Config, rng: random.Random) -> Config:
        moved = {name: self._moved(name, value, rng) for name, value in config.items()}
        return self._space.complete(moved, {name: rng.random() for name in self._space.domains})

    def _moved(self, name: str, value: Json, rng: random.Random) -> Json:
        domain = self._space.domains[name]
        if isinstance(domain, Choice):
            return domain.at(rng.random()) if rng.random() < STEP else value
        place = abs(Unit(domain=domain).place(value) + rng.gauss(0, STEP))
        return domain.at(min(2 - place if place > 1 else place, 1 - 2**-53))


class Sitting:
    """Runs by what is asked for, those that a folder has taken from there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._runs = {key(run): run for run in read(folder / "runs.jsonl")}
        self._judged = {key(row) for row in read(folder / "judged.jsonl")}
        self._trainings: dict[str, Trainings] = {}

    def cold(self, task: str, seed: int) -> dict[str, Any]:
        run = (BASE, task, seed, 8)
        return self._runs.get(run) or self._kept(made(run))

    def warm(self, kind: str, task: str, seed: int, *, source: str) -> dict[str, Any]:
        loop = f"{kind} + asha" if source == task else f"{kind} of other data + asha"
        if (found := self._runs.get((loop, task, seed, 8))) is not None:
            return found
        known = ranked(self.cold(source, EARLIER + seed))
        about = TASKS[task]
        return self._kept(
            recorded(
                about,
                loop,
                seed=seed,
                workers=8,
                epochs=BUDGET,
                make=lambda: WarmSampler(about.space, seed, KINDS[kind], known),
            )
        )

    def judge(self, run: Mapping[str, Any], judges: tuple[int, int]) -> None:
        if key(dict(run)) in self._judged:
            return
        task = run["task"]
        if task not in self._trainings:
            file = self._folder / f"made.{task.replace(' ', '-')}.jsonl"
            self._trainings[task] = Trainings(TASKS[task], file)
        about = {name: run[name] for name in ("loop", "task", "seed", "workers")}
        self._write("judged", {**about, "ways": judged(run, ("best",), self._trainings[task], judges)})
        self._judged.add(key(dict(run)))

    def _kept(self, run: dict[str, Any]) -> dict[str, Any]:
        self._runs[key(run)] = run
        self._write("runs", run)
        return run

    def _write(self, name: str, row: Mapping[str, Any]) -> None:
        with (self._folder / f"{name}.jsonl").open("a") as file:
            print(json.dumps(row), file=file)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--choose", action="store_true")
    parser.add_argument("--earlier", action="store_true", help="only the earlier experiments")
    parser.add_argument("--cold", action="store_true", help="random + asha without an earlier experiment")
    parser.add_argument("--kind", choices=list(KINDS))
    parser.add_argument("--related", action="store_true", help="the earlier experiment is of other data")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    parser.add_argument("--rounds", type=int, nargs=2, default=(0, ROUNDS))
    given = parser.parse_args()
    sitting = Sitting(given.folder)
    if given.choose:
        for seed in CHOOSING_SEEDS:
            for task in filter(given.tasks.__contains__, CHOOSERS):
                for kind in KINDS:
                    sitting.judge(sitting.warm(kind, task, seed, source=task), JUDGES)
        return
    tasks = [task for task in RELATED if task in given.tasks]
    for number in range(*given.rounds):
        for _, task, seed, _ in of_round(number, tasks=tasks):
            source = RELATED[task] if given.related else task
            if given.cold:
                sitting.judge(sitting.cold(task, seed), NEW_JUDGES)
            elif not given.related:  # the earlier winner is told beside what is decided
                sitting.judge(sitting.cold(source, EARLIER + seed), NEW_JUDGES)
            if given.kind:
                sitting.judge(sitting.warm(given.kind, task, seed, source=source), NEW_JUDGES)


if __name__ == "__main__":
    main()
