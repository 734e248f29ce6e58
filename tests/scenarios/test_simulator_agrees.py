"""The simulator agrees with the fake AWS: the same spec, seed and curves give the same trials and verdicts.

One side is the SageMaker backend with real boto3 calls to a fake that moves through every state and refuses
calls beyond the published rates; the other settles a job's whole story when it is submitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest

from trialjob.backends.assumptions import NOTHING
from trialjob.backends.limiter import Limiter
from trialjob.backends.sagemaker.machines import Spot
from trialjob.backends.sagemaker.prices import tariff_of
from trialjob.backends.sagemaker.rates import RATES
from trialjob.backends.sagemaker.settings import SageMakerSettings
from trialjob.backends.simulator.backend import SimulatorBackend
from trialjob.backends.simulator.curves import Curve, Learning
from trialjob.backends.simulator.job_script import JobScript
from trialjob.backends.simulator.service import SimulatedService
from trialjob.model.job import JobRequest
from trialjob.model.limits import Limits
from trialjob.orchestrator.core.search import StoppingRule
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.stopping.asha import Asha
from trialjob.orchestrator.stopping.hyperband import Hyperband
from trialjob.testing.fake_aws import Faults
from trialjob.testing.fake_aws.job import Job
from trialjob.testing.sagemaker_simulation import SETTINGS, SageMakerSimulation
from trialjob.testing.simulation import OBJECTIVE, Simulation, curve

#: The durations of the fake, in the words of the simulator.
ASSUMED = replace(
    NOTHING,
    cold_start=150.0,
    warm_start=15.0,
    setup=10.0,
    warm_setup=10.0,
    upload=5.0,
    stop=1.0,
    restart=60.0,
    spot_discount=0.7,
    log_settle=10.0,
)
WARM = replace(SETTINGS, keep_alive=240.0)
ON_SPOT = replace(SETTINGS, spot=Spot(max_wait=4 * 3600.0))
EPOCHS, SECONDS = 8, 60.0
PRICE = 1.408


def story(state: State) -> list[tuple[object, ...]]:
    """What was decided of each trial, and at which epoch."""
    return [
        (
            trial.id,
            dict(trial.config),
            trial.status,
            trial.score,
            trial.resource,
            len(trial.attempts),
            trial.reason,
        )
        for trial in state.trials
    ]


def on_the_fake(
    folder: Path, settings: SageMakerSettings, limits: Limits, rule: StoppingRule, faults: Faults
) -> tuple[State, float, Mapping[str, Job]]:
    """The state in the end, the dollars, and the jobs."""
    # Dice of its own: those of the case would fall as the tests before have left them.
    own = deepcopy(faults)
    fake = SageMakerSimulation(limits=limits, folder=folder, settings=settings, rule=rule, faults=own)
    state = fake.run()
    bill = fake.service.bill()
    return state, (bill.billable + bill.idle) * PRICE / 3600, fake.service.jobs


def simulated(
    settings: SageMakerSettings, limits: Limits, rule: StoppingRule, taken: Mapping[str, list[float]]
) -> tuple[State, float]:
    """The same on the simulator; ``taken`` says when spot takes the machine of a job away."""
    sim = Simulation(limits=limits, rule=rule, keep_alive=settings.keep_alive or 0.0)

    def curves(request: JobRequest) -> Curve:
        told = request.hyperparameters
        return Curve(points=[(float(n), curve(told, n)) for n in range(1, EPOCHS + 1)], pace=SECONDS)

    # The fake's scripts keep what they have done for their own job, and not for the trial's next one.
    learning = Learning(curves, OBJECTIVE, checkpoints=False)

    def course(request: JobRequest) -> JobScript:
        return replace(learning(request), interruptions=taken.get(request.job, []), checkpoints=True)

    tariff = tariff_of(replace(settings, price_per_hour=PRICE), lambda _machine: None)
    sim.service = SimulatedService(course, ASSUMED, tariff=tariff, max_wait=4 * 3600.0)
    sim.backend = SimulatorBackend(sim.service, sim.clock, Limiter(sim.clock, RATES))
    state = sim.run()
    seconds = sim.service.bill(sim.clock.now()).instance_hours * 3600
    return state, seconds * PRICE / 3600


def taken_away(jobs: Mapping[str, Job]) -> dict[str, list[float]]:
    """Seconds of running after which the fake took each job's machine away."""
    taken: dict[str, list[float]] = {}
    for name, job in jobs.items():
        began = 0.0
        for moment in job.history:
            if moment.secondary == "Training":
                began = moment.at
            elif moment.secondary == "Interrupted":
                taken.setdefault(name, []).append(moment.at - began)
    return taken


CASES = {
    "warm": (WARM, Faults(throttle=1.0)),
    "cold": (SETTINGS, Faults(throttle=1.0)),
    "spot": (ON_SPOT, Faults(throttle=1.0)),
    "spot, interrupted": (ON_SPOT, Faults(throttle=1.0, interruption=0.5, seed=3)),
}


@pytest.mark.parametrize(
    "rule",
    [Asha(max_resource=8, reduction_factor=2), Hyperband(max_resource=8, reduction_factor=2)],
    ids=["asha", "hyperband"],
)
@pytest.mark.parametrize("case", CASES)
def test_the_same_trials_verdicts_and_nearly_the_same_costs(
    case: str, rule: StoppingRule, tmp_path: Path
) -> None:
    settings, faults = CASES[case]
    limits = Limits(max_trials=24, max_concurrent_trials=6, trial_timeout=4 * 3600.0)
    fake, dollars, jobs = on_the_fake(tmp_path, settings, limits, rule, faults)
    assert bool(taken_away(jobs)) is (case == "spot, interrupted")
    ours, guessed = simulated(settings, limits, rule, taken_away(jobs))
    assert story(ours) == story(fake)
    assert guessed == pytest.approx(dollars, rel=0.02)
    assert ours.updated_at - ours.created_at == pytest.approx(fake.updated_at - fake.created_at, rel=0.02)
