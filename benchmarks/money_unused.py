"""How much of a cap in dollars is left unused, over seeds, in virtual time. Prints the table of money.md."""

from __future__ import annotations

import sys
from dataclasses import replace
from statistics import mean

from trialjob.backends.assumptions import Assumptions
from trialjob.model.limits import Limits
from trialjob.model.money import Tariff, Terms, cap_micros
from trialjob.model.trial import EndKind
from trialjob.orchestrator.stopping.asha import Asha
from trialjob.testing.simulation import Simulation, course

_SEEDS = 20
_POOL = Terms(price=1_408_000, machine="ml.g5.xlarge", stop_grace=120.0, upload=300.0, keep_alive=240.0)
_SPOT = replace(_POOL, spot=True, keep_alive=0.0)
_EPOCHS, _SECONDS = 27, 60.0


def once(terms: Terms, *, cap: float, trial_timeout: float, seed: int) -> tuple[float, int, bool]:
    """Dollars left, trials started, and whether the cap was what ended it."""
    simulation = Simulation(
        limits=Limits(max_trials=400, max_concurrent_trials=8, trial_timeout=trial_timeout, max_cost=cap),
        rule=Asha(max_resource=_EPOCHS),
        tariff=Tariff(terms=(terms,)),
        assumptions=Assumptions(),
        seed=seed,
        course=lambda request: course(request, epochs=_EPOCHS, seconds=_SECONDS),
    )
    state = simulation.run()
    if state.committed.micros > cap_micros(cap):
        sys.exit(f"seed {seed}: committed {state.committed.dollars}, which is above the cap of {cap}")
    capped = state.reason is not None and state.reason.kind is EndKind.MAX_COST
    return cap - state.spent.dollars, len(state.trials), capped


_CASES = [(_POOL, "warm pool", hours, cap) for hours in (0.6, 1.0, 2.0) for cap in (5.0, 10.0, 20.0)] + [
    (_SPOT, "spot", 0.6, cap) for cap in (5.0, 10.0)
]


def main() -> None:
    _say("| machines | trial_timeout | cap | trials | left on average | least … most | of the cap |")
    _say("|---|---|---|---|---|---|---|")
    for terms, name, hours, cap in _CASES:
        runs = [once(terms, cap=cap, trial_timeout=hours * 3_600, seed=seed) for seed in range(_SEEDS)]
        left = [dollars for dollars, _, capped in runs if capped]
        trials = mean(count for _, count, _ in runs)
        spread = f"${min(left):.2f} … ${max(left):.2f}"
        case = f"{name} | {hours * 60:.0f}m | ${cap:.0f} | {trials:.0f}"
        _say(f"| {case} | ${mean(left):.2f} | {spread} | {100 * mean(left) / cap:.0f} % |")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
