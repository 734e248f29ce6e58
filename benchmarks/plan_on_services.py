"""How often a plan holds what an experiment costs on a service that it knows nothing of; draws nothing.

Each case is a spec and a service of its own, drawn by a seed: how long starts, stops, downloads, uploads and
the script's own start take, how late lines and lists come, how trials learn and how much their epochs differ.
The experiment runs on the SageMaker backend by real boto3 calls to the fake service; its plan is told a mean
epoch time, which is up to a tenth off, and nothing else. Seeds from ``_UNSEEN`` on were never looked at while
the assumptions were chosen.
"""

from __future__ import annotations

import json
import math
import random
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median

from trialjob.backends.assumptions import Assumptions
from trialjob.backends.sagemaker.machines import Spot
from trialjob.backends.sagemaker.rates import RATES
from trialjob.model.limits import Limits
from trialjob.model.money import Tariff, Terms
from trialjob.orchestrator.core.search import StoppingRule
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.samplers.random import RandomSampler
from trialjob.orchestrator.stopping.asha import Asha
from trialjob.orchestrator.stopping.median import MedianStopping
from trialjob.orchestrator.stopping.none import NoStopping
from trialjob.planning.estimate import Range, estimate
from trialjob.planning.scenario_input import Case, Epochs
from trialjob.testing.fake_aws import Durations, Epoch, Faults, VirtualClock
from trialjob.testing.sagemaker_simulation import SETTINGS, SageMakerSimulation
from trialjob.testing.simulation import OBJECTIVE, SPACE

_UNSEEN, _PRICE = 50_000, 1_408_000
_TERMS = Terms(price=_PRICE, machine="ml.g5.xlarge", stop_grace=120.0, upload=300.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What is planned and run."""

    trials: int
    workers: int
    epochs: int
    seconds: float
    rule: StoppingRule
    terms: Terms

    def __str__(self) -> str:
        way = "warm" if self.terms.keep_alive else "spot" if self.terms.spot else "cold"
        rule = type(self.rule).__name__
        return f"{way}, {rule}, {self.trials} trials on {self.workers}, {self.epochs} x {self.seconds:.0f} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """How it turns out."""

    durations: Durations
    faults: Faults
    #: Seconds from the start of the script to its first epoch.
    start: float
    #: Seconds of an epoch, of the middle trial, and by how much those of trials differ.
    seconds: float
    spread: float
    #: How much of a trial's early rank is chance.
    luck: float

    def epoch(self, told: Mapping[str, str], number: int, *, last: int) -> Epoch | None:
        """What a job does in an epoch."""
        if number > last:
            return None
        config = {name: float(json.loads(value)) for name, value in told.items()}
        dice = random.Random(f"{self.luck}/{sorted(config.items())}")  # noqa: S311 - repeatable on purpose
        pace = self.seconds * math.exp(dice.gauss(0.0, math.log(self.spread)))
        quality = -abs(config["lr"] - 0.3) + self.luck * dice.gauss(0.0, 1.0) * (1 - number / last) ** 2
        value = 0.5 + 0.5 * math.tanh(quality + math.log(number))
        report = {"seq": number, "metrics": {"epoch": number, "accuracy": value}}
        begins = self.start if number == 1 else 0.0
        return Epoch(seconds=begins + pace, lines=["[trialjob] " + json.dumps(report)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What was planned, and what it came to."""

    spec: str
    dollars: Range
    cost: float
    time: Range
    took: float

    @property
    def within(self) -> tuple[bool, bool]:
        return (
            self.dollars.low <= self.cost <= self.dollars.high,
            self.time.low <= self.took <= self.time.high,
        )


def drawn(seed: int) -> tuple[Spec, World]:
    dice = random.Random(f"service/{seed}")  # noqa: S311 - repeatable on purpose
    epochs, seconds = dice.choice((4, 8, 9, 16)), math.exp(dice.uniform(math.log(20), math.log(240)))
    rule = dice.choice((Asha(max_resource=epochs, reduction_factor=2), Asha(max_resource=epochs)))
    terms = dice.choice((replace(_TERMS, keep_alive=240.0),) * 2 + (_TERMS, replace(_TERMS, spot=True)))
    least = dice.uniform(3.0, 25.0)
    spec = Spec(
        trials=dice.choice((12, 16, 24, 32)),
        workers=dice.choice((4, 8)),
        epochs=epochs,
        seconds=seconds * dice.uniform(0.9, 1.1),
        rule=dice.choice((rule, rule, MedianStopping(), NoStopping())),
        terms=terms,
    )
    durations = Durations(
        cold_start=dice.uniform(90.0, 400.0),
        warm_start=dice.uniform(5.0, 40.0),
        download=dice.uniform(5.0, 90.0),
        upload=dice.uniform(2.0, 25.0),
        sigterm=(2.0, 8.0),
        stopping=(least, least * dice.uniform(1.5, 3.0)),
    )
    faults = Faults.hard_day(seed)
    faults.interruption = dice.uniform(0.0, 0.2)
    faults.list_delay, faults.log_delay = dice.uniform(1.0, 6.0), dice.uniform(0.5, 5.0)
    world = World(
        durations=durations,
        faults=faults,
        start=dice.uniform(2.0, 60.0),
        seconds=seconds,
        spread=dice.uniform(1.0, 1.3),
        luck=dice.choice((0.0, 0.1, 0.3, 1.0)),
    )
    return spec, world


def run(spec: Spec, world: World, folder: Path) -> tuple[State, float, float]:
    """The experiment's state, and its dollars and seconds by the service's own books."""
    settings = replace(SETTINGS, keep_alive=spec.terms.keep_alive or None)
    if spec.terms.spot:
        settings = replace(settings, spot=Spot(max_wait=72_000.0))
    simulation = SageMakerSimulation(
        limits=Limits(max_trials=spec.trials, max_concurrent_trials=spec.workers, trial_timeout=36_000.0),
        folder=folder,
        settings=settings,
        faults=world.faults,
        durations=world.durations,
        rule=spec.rule,
        by_pace=True,
        clock=VirtualClock(1e6),
    )
    simulation.service.script(partial(world.epoch, last=spec.epochs))
    state = simulation.run()
    bill = simulation.service.bill()
    dollars = (bill.billable + bill.idle) * _PRICE / 3600 / 1e6
    return state, dollars, state.updated_at - state.created_at


def case_of(spec: Spec, assumptions: Assumptions) -> Case:
    return Case(
        objective=OBJECTIVE,
        limits=Limits(max_trials=spec.trials, max_concurrent_trials=spec.workers, trial_timeout=36_000.0),
        rule=spec.rule,
        sampler=lambda seed: partial(RandomSampler, SPACE, seed),
        learns=False,
        tariff=Tariff(terms=(spec.terms,)),
        max_wait=72_000.0,
        poll_interval=10.0,
        by_pace=True,
        rates=RATES,
        epochs=Epochs(count=float(spec.epochs), count_from="", seconds=spec.seconds, seconds_from=""),
        assumptions=assumptions,
        checkpoints=False,
    )


def held(seed: int) -> Held:
    """One plan against what became of it."""
    spec, world = drawn(seed)
    planned = estimate(case_of(spec, Assumptions()))
    with tempfile.TemporaryDirectory() as folder:
        _, cost, took = run(spec, world, Path(folder))
    return Held(spec=str(spec), dollars=planned.dollars, cost=cost, time=planned.time, took=took)


def main() -> None:
    cases, first = int(sys.argv[1]) if len(sys.argv) > 1 else 40, _UNSEEN
    if "--tuning" in sys.argv:
        first = 0
    with ProcessPoolExecutor(2) as pool:
        found = list(pool.map(held, range(first, first + cases)))
    for each in found:
        if not all(each.within):
            place = (each.cost - each.dollars.low) / (each.dollars.high - each.dollars.low)
            minutes = [seconds / 60 for seconds in (each.took, each.time.low, each.time.high)]
            print(
                f"{each.spec}: ${each.cost:.2f} of {each.dollars.low:.2f} to {each.dollars.high:.2f} "
                f"({place:.2f}); {minutes[0]:.0f} of {minutes[1]:.0f} to {minutes[2]:.0f} min"
            )
    wide = median(each.dollars.high / each.dollars.low for each in found)
    off = median(each.cost / each.dollars.guess for each in found)
    dollars, time = (sum(each.within[n] for each in found) / len(found) for n in (0, 1))
    print(
        f"{len(found)} experiments, each on a service of its own: dollars within {dollars:.1%}, time within "
        f"{time:.1%}; they cost {off:.2f} times the guess, and a range's high end is {wide:.2f} times its low"
    )


if __name__ == "__main__":
    main()
