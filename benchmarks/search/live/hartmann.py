"""The ninth rule's functions: Hartmann's with fidelities, as published in mf-prior-bench and run by CARP-S.

PYTHONPATH=build/functions python -m benchmarks.search.live.hartmann build/hartmann.jsonl --workers 8

``requirements-functions.txt`` is what that folder has. Epoch z of 27 is fidelity z of 27: the nearer to the
last, the less bias and noise, and the last has neither. So it is known what each choice is truly worth.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.search.live.choices import best
from benchmarks.search.live.differences import BASE, Difference, Row, of_loop, over_tasks, read
from benchmarks.search.live.runs import BUDGET, config_of, recorded
from benchmarks.search.live.tasks import EPOCHS, Losses, Parts, Task

from trialjob.model.ids import TrialId
from trialjob.model.space import Space, Uniform
from trialjob.orchestrator.samplers.random import RandomSampler

#: Dimensions, and what the early epochs are worth: the best and the worst of the four published.
FUNCTIONS = tuple(f"hartmann {size} {kind}" for size in (3, 6) for kind in ("good", "terrible"))
LOOPS = (BASE, "tpe + asha", "forest + asha", "tpe + none", "random + none")
#: Random configurations whose median is 1, where the function's least value is 0.
REFERENCES = 1000
#: The first seed: nothing has had it or those after it.
FIRST = 600


@cache
def published(name: str) -> Any:  # noqa: ANN401 - the library's class
    _, size, kind = name.split()
    module = import_module("mfpbench.synthetic.hartmann.benchmark")
    return getattr(module, f"MFHartmann{size}Benchmark{kind.title()}")


def values(name: str, config: Mapping[str, Any], seed: int) -> Iterator[Losses]:
    """What a loop sees of each epoch, and what the configuration is truly worth."""
    bias, noise = published(name).mfh_bias_noise
    function = published(name).mfh_generator_type(
        n_fidelities=EPOCHS, fidelity_bias=bias, fidelity_noise=noise, seed=seed
    )
    place = tuple(float(config[f"x{number}"]) for number in range(len(config)))
    for epoch in range(1, EPOCHS + 1):
        yield function(epoch, place), function(EPOCHS, place)


def _no_data() -> Parts:
    nothing = np.empty(0)
    return Parts(x=(nothing,) * 3, y=(nothing,) * 3, classes=0)


def task(name: str) -> Task:
    space = Space({f"x{number}": Uniform(lower=0.0, upper=1.0) for number in range(int(name.split()[1]))})
    return Task(
        name=name,
        space=space,
        data=_no_data,
        train=lambda _parts, config, seed: values(name, config, seed),
    )


def worth(name: str, config: Mapping[str, Any]) -> float:
    return next(values(name, config, 1))[1]


@cache
def scale(name: str) -> tuple[float, float]:
    """The least value, and that of the median random configuration."""
    optimum = published(name).mfh_generator_type.optimum
    asked = RandomSampler(task(name).space, 77)
    configs = [config for number in range(REFERENCES) if (config := asked.ask(TrialId(number + 1)))]
    least = worth(name, {f"x{number}": value for number, value in enumerate(optimum)})
    return least, statistics.median(worth(name, config) for config in configs)


def made(loop: str, name: str, seed: int, workers: int) -> dict[str, Any]:
    """A run and the true value of its choice, by the least figure that it saw."""
    run = recorded(task(name), loop, seed=seed, workers=workers, epochs=BUDGET)
    least, middle = scale(name)
    score = (worth(name, config_of(run, best(run, lambda _config, _seed: ()))) - least) / (middle - least)
    about = {what: run[what] for what in ("loop", "task", "seed", "workers")}
    return {**about, "trials": len(run["configs"]), "ways": {"best": {"true": score}}}


def whole(rows: Sequence[Row]) -> list[Row]:
    """The rows of those seeds that all loops have on all functions, with as many workers."""
    made = Counter((row["workers"], row["seed"]) for row in rows)
    most = {workers: max(n for (each, _), n in made.items() if each == workers) for workers, _ in made}
    return [row for row in rows if made[row["workers"], row["seed"]] == most[row["workers"]]]


def show(rows: Sequence[Row]) -> None:
    """Each loop less random search under ASHA, with as many workers, functions alike and one by one."""
    print(
        "| loop | workers | runs | true value | less random + asha | |", "|---|--:|--:|--:|--:|---|", sep="\n"
    )
    rows = whole(rows)
    for workers in sorted({row["workers"] for row in rows}):
        for loop in LOOPS:
            of = partial(of_loop, loop=loop, workers=workers, what="true")
            found = [row for row in rows if row["workers"] == workers and row["loop"] in (loop, BASE)]
            if loop not in {row["loop"] for row in found}:
                continue
            over = over_tasks(found, of)
            print(_line(f"{loop} | {workers}", over, over.verdict if loop != BASE else ""))
            for name in FUNCTIONS:
                print(_line(f"{loop}, {name} | {workers}", of([r for r in found if r["task"] == name]), ""))


def _line(name: str, found: Difference, verdict: str) -> str:
    return (
        f"| {name} | {found.runs} | {found.value:.3f} | {found.less:+.3f} ± {found.error:.3f} | {verdict} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "file", type=Path, help="the runs that are kept; more are added where --workers is given"
    )
    parser.add_argument("--workers", type=int)
    parser.add_argument("--loops", nargs="+", choices=LOOPS, default=LOOPS)
    parser.add_argument("--seeds", type=int, nargs=2, default=(FIRST, FIRST + 40))
    given = parser.parse_args()
    have = read(given.file) if given.file.exists() else []
    if given.workers is None:
        show(have)
        return
    done = {(row["loop"], row["task"], row["seed"], row["workers"]) for row in have}
    with given.file.open("a") as kept:
        for seed in range(*given.seeds):
            for name in FUNCTIONS:
                for loop in given.loops:
                    if (loop, name, seed, given.workers) not in done:
                        print(json.dumps(made(loop, name, seed, given.workers)), file=kept, flush=True)


if __name__ == "__main__":
    main()
