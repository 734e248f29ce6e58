"""Regret of every sampler in virtual time: trials take different times, so they end out of order.

python -m benchmarks.search.samplers --seeds 30
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path

from benchmarks.search.functions import PROBLEMS, Problem

from trialjob.backends.simulator.job_script import JobScript
from trialjob.model.job import JobRequest
from trialjob.model.limits import Limits
from trialjob.model.metric import Mode, Objective
from trialjob.model.space import Space
from trialjob.orchestrator.ports import Sampler
from trialjob.orchestrator.samplers.optuna import OptunaSampler
from trialjob.orchestrator.samplers.random import RandomSampler
from trialjob.orchestrator.samplers.sobol import SobolSampler
from trialjob.orchestrator.samplers.syne_tune import SyneTuneSampler
from trialjob.orchestrator.stopping.none import NoStopping
from trialjob.testing.simulation import Simulation

TRIALS = 64
WORKERS = (4, 8)
#: After so many trials regret is looked at.
MARKS = (32, 64)


#: Sampler, place of the problem, workers, seed.
Job = tuple[str, int, int, int]


def _optuna(kind: str) -> Callable[[Space, int], Sampler]:
    return lambda space, seed: OptunaSampler(space, seed, kind=kind)  # type: ignore[arg-type]


def _syne_tune(kind: str) -> Callable[[Space, int], Sampler]:
    return lambda space, seed: SyneTuneSampler(space, seed, kind=kind)  # type: ignore[arg-type]


SAMPLERS: dict[str, Callable[[Space, int], Sampler]] = {
    "random": RandomSampler,
    "sobol": SobolSampler,
    **{kind: _optuna(kind) for kind in ("qmc", "tpe", "cmaes", "nsga2", "gp")},
    **{kind: _syne_tune(kind) for kind in ("bore", "cqr", "kde", "rea", "botorch")},
}


def course(problem: Problem, seed: int, request: JobRequest) -> JobScript:
    """One report at the end of a time that differs by up to a factor of four from trial to trial."""
    seconds = 60.0 * 4 ** random.Random(f"{seed}/{request.trial}").random()  # noqa: S311 - no secret
    line = json.dumps({"seq": 1, "metrics": {"epoch": 1, "loss": problem.loss(request.hyperparameters)}})
    return JobScript(lines=[(seconds, "[trialjob] " + line)], runs_for=seconds + 1, start_delay=10.0)


def regrets(job: Job) -> list[float]:
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
    parser.add_argument("--samplers", nargs="+", default=list(SAMPLERS))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--save", type=Path, help="where the regrets are kept")
    parser.add_argument("--load", type=Path, nargs="*", default=[], help="regrets that are shown as well")
    given = parser.parse_args()
    seeds = range(given.first, given.first + given.seeds)
    jobs = list(product(given.samplers, range(len(PROBLEMS)), WORKERS, seeds))
    found: dict[Job, list[float]] = {}
    for path in given.load:
        found |= {(row[0], row[1], row[2], row[3]): row[4:] for row in json.loads(path.read_text())}
    with ProcessPoolExecutor(given.processes) as pool:
        found |= dict(zip(jobs, pool.map(regrets, jobs), strict=True))
    if given.save:
        given.save.write_text(json.dumps([[*job, *values] for job, values in found.items()]))
    for mark, workers in product(range(len(MARKS)), WORKERS):
        show(found, mark, workers)


def show(found: dict[Job, list[float]], mark: int, workers: int) -> None:
    """Print one table."""
    names = [name for name in SAMPLERS if any(job[0] == name for job in found)]
    print(f"\nAfter {MARKS[mark]} trials, {workers} workers\n")
    print("| |", " | ".join(names), "|\n|---|" + "--:|" * len(names))
    for place, problem in enumerate(PROBLEMS):
        runs = {
            name: [values[mark] for job, values in found.items() if job[:3] == (name, place, workers)]
            for name in names
        }
        cells = [
            f"{statistics.median(values):.3g} ({better_than_random(values, runs['random']):.2f})"
            for values in runs.values()
        ]
        print(f"| {problem.name} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
