"""How often a plan's range holds what an experiment that it did not see comes to; draws the plot of the page.

Each case is a spec drawn at random, planned with an epoch time and the default assumptions. The experiments
it is held against learn by curves of real trainings that no plan has seen (``search/tables.py``). Epochs
differ by up to a factor of sixteen from one configuration to another; epoch time, discount, starts, waits and
interruptions turn out otherwise than assumed, each by a seed of its own.
"""

from __future__ import annotations

import json
import random
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path

from benchmarks.search.tables import EPOCHS, SEARCHES, table

from trialjob.backends.assumptions import Assumptions
from trialjob.backends.sagemaker.rates import RATES
from trialjob.backends.simulator.curves import Curve, Recorded
from trialjob.model.limits import Limits
from trialjob.model.metric import Mode, Objective
from trialjob.model.money import Tariff, Terms
from trialjob.orchestrator.core.search import StoppingRule
from trialjob.orchestrator.samplers.random import RandomSampler
from trialjob.orchestrator.stopping.asha import Asha
from trialjob.orchestrator.stopping.hyperband import Hyperband
from trialjob.orchestrator.stopping.median import MedianStopping
from trialjob.orchestrator.stopping.none import NoStopping
from trialjob.planning.estimate import Range, estimate
from trialjob.planning.scenario_input import Case, Epochs
from trialjob.planning.simulated import simulate

_SVG = Path(__file__).parents[1] / "docs" / "plan-calibration.svg"
_TERMS = Terms(price=736_400, machine="ml.g4dn.xlarge", stop_grace=120.0, upload=300.0)
_WAYS = {
    "warm pool": replace(_TERMS, keep_alive=240.0),
    "spot": replace(_TERMS, spot=True),
    "on demand": _TERMS,
}
_CURVES = 64
#: Experiments held against each plan; their seeds are far from those of the plans.
_EACH, _FAR = 3, 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A planned figure and what it came to."""

    name: str
    planned: Range
    actual: float

    @property
    def within(self) -> bool:
        return self.planned.low <= self.actual <= self.planned.high


def _rule(dice: random.Random, most: float) -> StoppingRule:
    return dice.choice(
        (
            Asha(max_resource=most),
            Asha(max_resource=most, reduction_factor=2),
            Hyperband(max_resource=most),
            MedianStopping(variant="azure", evaluation_interval=1, delay_evaluation=3),
            NoStopping(),
        )
    )


def drawn(number: int) -> tuple[str, Case, Recorded]:
    """A spec, as it would be planned, and how its trials really learn."""
    dice = random.Random(f"case/{number}")  # noqa: S311 - repeatable on purpose
    found = table(dice.choice(sorted(SEARCHES)))
    epochs, seconds = dice.choice((9, EPOCHS)), dice.choice((20.0, 60.0, 180.0, 600.0))
    way, trials = dice.choice(sorted(_WAYS)), dice.choice((8, 16, 32, 48))
    case = Case(
        objective=Objective(metric="loss", mode=Mode.MIN),
        limits=Limits(
            max_trials=trials, max_concurrent_trials=dice.choice((2, 4, 8)), trial_timeout=36_000.0
        ),
        rule=_rule(dice, epochs),
        sampler=lambda seed: partial(RandomSampler, found.space, seed),
        learns=False,
        tariff=Tariff(terms=(_WAYS[way],)),
        max_wait=72_000.0,
        poll_interval=10.0,
        rates=RATES,
        epochs=Epochs(count=float(epochs), count_from="", seconds=seconds, seconds_from=""),
        assumptions=Assumptions(),
        checkpoints=dice.random() < 0.7,
    )
    name = f"{way}, {type(case.rule).__name__}, {trials} trials, {epochs} x {seconds:g} s, {found.name}"
    return name, case, _real(found.name, epochs, seconds)


@cache
def _real(name: str, epochs: int, seconds: float) -> Recorded:
    """Curves of a table, of configurations drawn at random, at a pace whose mean is ``seconds``."""
    found = table(name)
    dice = random.Random(f"curves/{name}")  # noqa: S311 - repeatable on purpose
    rows = dice.sample(range(len(found.losses)), _CURVES)
    mean = sum(float(found.seconds[row]) for row in rows) / len(rows)
    return Recorded(
        tuple(
            Curve(
                points=[(float(n + 1), float(loss)) for n, loss in enumerate(found.losses[row][:epochs])],
                pace=seconds * float(found.seconds[row]) / mean,
            )
            for row in rows
        )
    )


def held(number: int) -> list[tuple[Held, Held]]:
    """Dollars and hours of one plan against those of experiments that it did not see."""
    name, case, real = drawn(number)
    planned = estimate(case)
    really = replace(case, epochs=replace(case.epochs, recorded=real))
    outcomes = [simulate(really, _FAR + number * _EACH + n) for n in range(_EACH)]
    return [
        (
            Held(name=name, planned=planned.dollars, actual=outcome.dollars),
            Held(name=name, planned=planned.time, actual=outcome.time),
        )
        for outcome in outcomes
    ]


def coverage(pairs: list[tuple[Held, Held]]) -> tuple[float, float]:
    """Shares of the experiments whose dollars, and whose time, were within the range."""
    return tuple(sum(pair[n].within for pair in pairs) / len(pairs) for n in (0, 1))  # type: ignore[return-value]


def draw(found: list[Held]) -> str:
    """Each experiment as a line from the low to the high end of its range, in multiples of the best guess."""
    rows = sorted(found, key=lambda each: each.actual / each.planned.guess)
    width, height, most = 720, 260, 3.0
    step = (width - 60) / len(rows)

    def y(value: float) -> float:
        return round(height - 30 - (height - 50) * min(value, most) / most, 1)

    marks = []
    for n, each in enumerate(rows):
        x, guess = round(50 + step * (n + 0.5), 1), each.planned.guess
        color = "#1f7a4d" if each.within else "#c0392b"
        marks.append(
            f'<line x1="{x}" x2="{x}" y1="{y(each.planned.low / guess)}" y2="{y(each.planned.high / guess)}" '
            f'stroke="#b8c4ce" stroke-width="{max(1.0, step * 0.7):.1f}"/>'
            f'<circle cx="{x}" cy="{y(each.actual / guess)}" r="2.2" fill="{color}"/>'
        )
    axis = "".join(
        f'<text x="44" y="{y(value) + 4}" text-anchor="end">{value:g}</text>'
        f'<line x1="48" x2="{width - 8}" y1="{y(value)}" y2="{y(value)}" stroke="#e4e9ed"/>'
        for value in (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
    )
    title = f"dollars of {len(rows)} experiments (dots) and their planned ranges (bars), best guess = 1"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="11"><rect width="{width}" height="{height}" fill="#fff"/>{axis}{"".join(marks)}'
        f'<text x="50" y="{height - 8}">{title}</text></svg>\n'
    )


def main() -> None:
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    with ProcessPoolExecutor(2) as pool:
        pairs = [pair for found in pool.map(held, range(cases)) for pair in found]
    dollars, time = coverage(pairs)
    _SVG.write_text(draw([pair[0] for pair in pairs]), encoding="utf-8")
    for each, _ in pairs:
        if not each.within:
            print(json.dumps(asdict(each)))
    print(f"{len(pairs)} experiments of {cases} specs: dollars within {dollars:.1%}, time within {time:.1%}")


if __name__ == "__main__":
    main()
