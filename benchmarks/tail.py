"""How much of the slots' time is empty at the end of an experiment, and what another order could save.

.venv/bin/python -m benchmarks.tail
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from functools import partial
from statistics import mean

from trialjob.model.limits import Limits
from trialjob.orchestrator.core.search import StoppingRule
from trialjob.orchestrator.samplers.random import RandomSampler
from trialjob.orchestrator.stopping.asha import Asha
from trialjob.orchestrator.stopping.promotion import Promotion
from trialjob.testing.simulation import SPACE, Simulation, course

_RULES: dict[str, StoppingRule] = {
    "asha": Asha(max_resource=8, reduction_factor=2),
    "promotion": Promotion(max_resource=8, reduction_factor=2),
}
_CASES = ((32, 8, 12), (256, 64, 2))


def main() -> None:
    print(f"{'':>10} {'trials':>7} {'slots':>6} {'empty':>7} {'of the time':>12} {'longest first':>14}")
    for name, rule in _RULES.items():
        for trials, slots, seeds in _CASES:
            found = [_of(rule, trials, slots, seed) for seed in range(seeds)]
            empty, part, best = (mean(values) for values in zip(*found, strict=True))
            print(f"{name:>10} {trials:>7} {slots:>6} {empty:7.1%} {part:12.1%} {best:14.2f}", flush=True)


def _of(rule: StoppingRule, trials: int, slots: int, seed: int) -> tuple[float, float, float]:
    """Shares of the slots' time, and of the wall clock, that are after the last launch; and what is possible.

    The last is the wall clock of the same jobs, had each one's length been known and the longest been begun
    first, beside that of the order in which they were begun.
    """
    simulation = Simulation(
        limits=Limits(max_trials=trials, max_concurrent_trials=slots),
        rule=rule,
        course=partial(course, epochs=8),
        sampler=lambda: RandomSampler(SPACE, seed),
    )
    attempts = [attempt for trial in simulation.run().trials for attempt in trial.attempts]
    jobs = sorted(
        (attempt.submitted_at, attempt.end.ended_at)
        for attempt in attempts
        if attempt.submitted_at is not None and attempt.end is not None and attempt.end.ended_at is not None
    )
    last, end = jobs[-1][0], max(ended for _, ended in jobs)
    wall = end - jobs[0][0]
    busy = sum(ended - max(begun, last) for begun, ended in jobs if ended > last)
    lengths = [ended - begun for begun, ended in jobs]
    best = _wall(sorted(lengths, reverse=True), slots) / _wall(lengths, slots)
    return (slots * (end - last) - busy) / (slots * wall), (end - last) / wall, best


def _wall(lengths: Sequence[float], slots: int) -> float:
    free = [0.0] * slots
    for length in lengths:
        heapq.heapreplace(free, free[0] + length)
    return max(free)


if __name__ == "__main__":
    main()
