"""Every sampler and stopping rule over the same tables: ours, and Optuna's and Syne Tune's own loops.

python -m benchmarks.search.compare --keep build/search.jsonl

Each run is one line of that file, and a run that is there is not made again. ``show.py`` makes the table and
the picture from it.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path

import optuna
from benchmarks.search import ours, theirs
from benchmarks.search.course import Trace
from benchmarks.search.tables import EPOCHS, SEARCHES, Table, table

from trialjob.model.space import Space
from trialjob.orchestrator.core.search import StoppingRule
from trialjob.orchestrator.ports import Sampler
from trialjob.orchestrator.samplers.optuna import OptunaSampler
from trialjob.orchestrator.samplers.random import RandomSampler
from trialjob.orchestrator.samplers.sobol import SobolSampler
from trialjob.orchestrator.samplers.syne_tune import SyneTuneSampler
from trialjob.orchestrator.stopping.asha import Asha
from trialjob.orchestrator.stopping.bandit import Bandit
from trialjob.orchestrator.stopping.hyperband import Hyperband
from trialjob.orchestrator.stopping.median import MedianStopping
from trialjob.orchestrator.stopping.none import NoStopping
from trialjob.orchestrator.stopping.promotion import Promotion
from trialjob.orchestrator.stopping.truncation import TruncationSelection

Loop = Callable[[Table, int], Trace]


def _optuna(kind: str) -> Callable[[Space, int], Sampler]:
    return lambda space, seed: OptunaSampler(space, seed, kind=kind)  # type: ignore[arg-type]


#: Syne Tune's searchers in our hands.
SYNE_TUNE = ("rea", "kde", "bore", "botorch", "cqr")


def _syne_tune_sampler(kind: str) -> Callable[[Space, int], Sampler]:
    return lambda space, seed: SyneTuneSampler(space, seed, kind=kind)  # type: ignore[arg-type]


SAMPLERS: Mapping[str, Callable[[Space, int], Sampler]] = {
    "random": RandomSampler,
    "sobol": SobolSampler,
    **{kind: _optuna(kind) for kind in ("qmc", "nsga2", "cmaes", "tpe", "gp")},
    **{kind: _syne_tune_sampler(kind) for kind in SYNE_TUNE},
}
RULES: Mapping[str, StoppingRule] = {
    "none": NoStopping(),
    "median": MedianStopping(),
    "asha": Asha(max_resource=EPOCHS),
    "asha, mild": Asha(max_resource=EPOCHS, min_resource=3, reduction_factor=2),
    # As in the documentation of Azure's policies.
    "bandit": Bandit(slack_factor=0.1, delay_evaluation=5),
    "truncation": TruncationSelection(truncation_percentage=20, delay_evaluation=5),
    "asha, promotion": Promotion(max_resource=EPOCHS),
    "hyperband": Hyperband(max_resource=EPOCHS),
}
#: The rules every sampler is run under, and those only the quick ones are.
MAIN_RULES = ("none", "median", "asha", "asha, mild")
MORE_RULES = tuple(rule for rule in RULES if rule not in MAIN_RULES)
#: What takes many seconds a run; the last of them, minutes under a rule.
SLOW = ("bore", "cqr", "gp", "botorch")
QUICK = tuple(kind for kind in SAMPLERS if kind not in SLOW)


def _our(sampler: str, rule: str) -> Loop:
    return lambda given, seed: ours.run(
        given, seed, lambda: SAMPLERS[sampler](given.space, seed), RULES[rule]
    )


def _optuna_own(sampler: str, pruner: str) -> Loop:
    def loop(given: Table, seed: int) -> Trace:
        with theirs.quiet():
            library = theirs.Optuna(given.space, str(seed), _sampler(sampler, seed), _pruner(pruner))
            return theirs.run(given, seed, library)

    return loop


def _sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    match name:
        case "random":
            return optuna.samplers.RandomSampler(seed=seed)
        case _:
            return optuna.samplers.TPESampler(seed=seed)


def _pruner(name: str) -> optuna.pruners.BasePruner:
    match name:
        case "median":
            return optuna.pruners.MedianPruner()
        case "asha":
            return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
        case "hyperband":
            return optuna.pruners.HyperbandPruner(max_resource=EPOCHS)
        case _:
            return optuna.pruners.NopPruner()


#: Syne Tune's baselines by our names, and whether they are told of epochs.
_SYNE_TUNE = {
    "random": ("RandomSearch", False),
    "kde": ("TPE", False),
    "rea": ("REA", False),
    "bore": ("BORE", False),
    "cqr": ("CQR", False),
    "asha": ("ASHA", True),
    "bohb": ("BOHB", True),
    "asha bore": ("ASHABORE", True),
    "asha cqr": ("ASHACQR", True),
}


def _syne_tune(name: str) -> Loop:
    kind, fidelities = _SYNE_TUNE[name]

    def scheduler(space: object, seed: int) -> object:
        from syne_tune.optimizer import baselines  # noqa: PLC0415 - slow to import

        metric: dict[str, object] = {"metrics": ["loss"]} if name == "random" else {"metric": "loss"}
        epochs = {"time_attr": "epoch", "max_t": EPOCHS} if fidelities else {}
        return getattr(baselines, kind)(space, random_seed=seed, **metric, **epochs)

    return lambda given, seed: theirs.run(given, seed, theirs.SyneTune(given.space, seed, scheduler))


#: What is compared, and whether each seed is run with three of the searches or, as it is slow, with one.
LOOPS: Mapping[str, tuple[Loop, bool]] = {
    **{f"{s} + {r}": (_our(s, r), True) for s, r in product(QUICK, MAIN_RULES)},
    **{f"{s} + {r}": (_our(s, r), False) for s, r in product(QUICK, MORE_RULES)},
    **{f"{s} + {r}": (_our(s, r), False) for s, r in product(SLOW, MAIN_RULES)},
    **{
        f"Optuna: {s} + {r}": (_optuna_own(s, r), s == "tpe" and r in ("none", "asha"))
        for s, r in (
            ("random", "asha"),
            ("tpe", "none"),
            ("tpe", "median"),
            ("tpe", "asha"),
            ("tpe", "hyperband"),
        )
    },
    **{f"Syne Tune: {name}": (_syne_tune(name), name in ("asha", "bohb")) for name in _SYNE_TUNE},
}
SEEDS = 20


def runs(loop: str, seeds: int) -> list[tuple[str, str, int]]:
    """Loop, search and seed of each run."""
    whole = LOOPS[loop][1]
    return [
        (loop, search, seed)
        for seed in range(seeds)
        for place, search in enumerate(SEARCHES)
        if (place % 2 == seed % 2 if whole else place == seed % len(SEARCHES))
    ]


def made(run: tuple[str, str, int]) -> dict[str, object]:
    """One run, as a line of the file."""
    loop, search, seed = run
    begun = time.process_time()
    marks = LOOPS[loop][0](table(search), seed).marks()
    return {"loop": loop, "search": search, "seed": seed, "cpu": time.process_time() - begun, **marks}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--keep", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--loops", nargs="+", default=list(LOOPS))
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    given.keep.parent.mkdir(parents=True, exist_ok=True)
    kept = [json.loads(line) for line in given.keep.read_text().splitlines()] if given.keep.exists() else []
    have = {(row["loop"], row["search"], row["seed"]) for row in kept}
    wanted = [run for loop in given.loops for run in runs(loop, given.seeds) if run not in have]
    with ProcessPoolExecutor(given.processes) as pool, given.keep.open("a") as file:
        for row in pool.map(made, wanted):
            print(json.dumps(row), file=file, flush=True)


if __name__ == "__main__":
    main()
