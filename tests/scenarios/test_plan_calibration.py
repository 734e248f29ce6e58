"""A plan's range holds what an experiment comes to that it did not see; a large sample is in benchmarks."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from trialjob.backends.assumptions import Assumptions
from trialjob.backends.sagemaker.rates import RATES
from trialjob.backends.simulator.curves import from_experiment
from trialjob.model.limits import Limits
from trialjob.model.money import Tariff, Terms
from trialjob.orchestrator.samplers.random import RandomSampler
from trialjob.orchestrator.stopping.asha import Asha
from trialjob.orchestrator.stopping.hyperband import Hyperband
from trialjob.orchestrator.stopping.none import NoStopping
from trialjob.planning.estimate import estimate
from trialjob.planning.scenario_input import Case, Epochs
from trialjob.planning.simulated import simulate
from trialjob.testing.simulation import OBJECTIVE, SPACE, Simulation

TERMS = Terms(price=736_400, machine="ml.g4dn.xlarge", stop_grace=120.0, upload=300.0)
WAYS = (replace(TERMS, keep_alive=240.0), replace(TERMS, spot=True), TERMS)
RULES = (Asha(max_resource=9), Hyperband(max_resource=9), NoStopping())


def planned(way: Terms, number: int) -> Case:
    return Case(
        objective=OBJECTIVE,
        limits=Limits(max_trials=10, max_concurrent_trials=4, trial_timeout=36_000.0),
        rule=RULES[number],
        sampler=lambda seed: partial(RandomSampler, SPACE, seed),
        learns=False,
        tariff=Tariff(terms=(way,)),
        max_wait=72_000.0,
        poll_interval=10.0,
        rates=RATES,
        epochs=Epochs(count=9.0, count_from="", seconds=(20.0, 60.0, 300.0)[number], seconds_from=""),
        assumptions=Assumptions(),
        checkpoints=True,
    )


def test_most_experiments_that_it_did_not_see_are_within_its_range() -> None:
    # All of it is seeded: the same experiments every time.
    learned = from_experiment(
        Simulation(limits=Limits(max_trials=30, max_concurrent_trials=5), rule=NoStopping()).run()
    )
    within = []
    for way in WAYS:
        for number in range(len(RULES)):
            case = planned(way, number)
            plan = estimate(case, count=20)
            real = replace(case.epochs, recorded=learned.at_pace(case.epochs.seconds or 0.0))
            for seed in range(1000, 1004):
                outcome = simulate(replace(case, epochs=real), seed)
                within.append(plan.dollars.low <= outcome.dollars <= plan.dollars.high)
                within.append(plan.time.low <= outcome.time <= plan.time.high)
    assert sum(within) / len(within) > 0.8
