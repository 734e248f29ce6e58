"""Regret of every sampler in virtual time: trials take different times, so they end out of order.

    python benchmarks/search/samplers.py --seeds 30
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path

from functions import PROBLEMS, Problem

from trialjob.backends.simulator.service import Course
from trialjob.model.job import JobRequest
from trialjob.model.limits import Limits
from trialjob.model.metric import Mode, Objective
from trialjob.model.space import Space
from trialjob.orchestrator.ports import Sampler
from trialjob.orchestrator.rules.none import NoStopping
from trialjob.orchestrator.samplers.optuna import OptunaSampler
from trialjob.orchestrator.samplers.random import RandomSampler
from trialjob.orchestrator.samplers.sobol import SobolSampler
from trialjob.testing.simulation import Simulation

TRIALS = 64
WORKERS = (4, 8)
#: After so many trials regret is looked at.
MARKS = (32, 64)


def _optuna(kind: str) -> Callable[[Space, int], Sampler]:
    return lambda space, seed: OptunaSampler(space, seed, kind=kind)  # type: ignore[arg-type]


SAMPLERS: dict[str, Callable[[Space, int], Sampler]] = {
    "random": RandomSampler,
    "sobol": SobolSampler,
    **{kind: _optuna(kind) for kind in ("qmc", "tpe", "cmaes", "nsga2", "gp")},
}


def course(problem: Problem, seed: int, request: JobRequest) -> Course:
    """One report at the end of a time that differs by up to a factor of four from trial to trial."""
    seconds = 60.0 * 4 ** random.Random(f"{seed}/{request.trial}").random()  # noqa: S311 - no secret
    line = json.dumps({"seq": 1, "metrics": {"epoch": 1, "loss": problem.loss(request.hyperparameters)}})
    return Course(lines=[(seconds, "[trialjob] " + line)], runs_for=seconds + 1, start_delay=10.0)


def regrets(job: tuple[str, int, int, int]) -> list[float]:
    """The least loss after each number of ``MARKS`` trials, in the order of their ends."""
    name, place, workers, seed = job
    problem = PROBLEMS[place]
    state = Simulation(
        limits=Limits(max_trials=TRIALS, max_concurrent_trials=workers),
        rule=NoStopping(),
        objective=Objective(metric="loss", mode=Mode.MIN),
        space=problem.space,
        sampler=lambda: SAMPLERS[name](problem.space, seed),
        course=partial(course, problem, seed),
    ).run()
    ended = sorted((trial for trial in state.trials), key=lambda trial: trial.reports[-1].at)
    scores = [trial.score if trial.score is not None else math.inf for trial in ended]
    return [min(scores[:mark]) for mark in MARKS]


def better_than_random(ours: Sequence[float], randoms: Sequence[float]) -> float:
    """How often a run of the sampler beats one of random's, ties counted half: 0.5 is as good as random."""
    wins = sum((a < b) + 0.5 * (a == b) for a, b in product(ours, randoms))
    return wins / (len(ours) * len(randoms))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--samplers", nargs="+", default=[each for each in SAMPLERS if each != "gp"])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--save", type=Path)
    given = parser.parse_args()
    names = list(dict.fromkeys(["random", *given.samplers]))
    jobs = [
        (name, place, workers, seed)
        for name, place, workers in product(names, range(len(PROBLEMS)), WORKERS)
        for seed in range(given.seeds)
    ]
    with ProcessPoolExecutor(given.processes) as pool:
        found = dict(zip(jobs, pool.map(regrets, jobs, chunksize=given.seeds), strict=True))
    if given.save:
        given.save.write_text(json.dumps([[*job, *values] for job, values in found.items()]))
    for mark, workers in product(range(len(MARKS)), WORKERS):
        print(f"\nAfter {MARKS[mark]} trials, {workers} workers, {given.seeds} seeds\n")
        print("| |", " | ".join(names), "|\n|---|" + "--:|" * len(names))
        for place, problem in enumerate(PROBLEMS):
            runs = {name: [found[name, place, workers, s][mark] for s in range(given.seeds)] for name in names}
            cells = [
                f"{statistics.median(values):.3g} ({better_than_random(values, runs['random']):.2f})"
                for values in runs.values()
            ]
            print(f"| {problem.name} |", " | ".join(cells), "|")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
