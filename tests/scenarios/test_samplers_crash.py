"""Whole experiments in virtual time: neither crashes nor processes change what a sampler proposes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import get_args

import pytest

from trialjob.backends.simulator.job_script import JobScript
from trialjob.model.ids import TrialId
from trialjob.model.job import JobRequest
from trialjob.model.limits import Limits
from trialjob.model.metric import MetricGoal, Mode, Objective
from trialjob.model.space import Choice, LogUniform, RandInt, Space, Uniform
from trialjob.model.trial import Phase, TrialStatus
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.ports import Sampler
from trialjob.orchestrator.samplers import optuna, syne_models
from trialjob.orchestrator.samplers.grid import GridSampler
from trialjob.orchestrator.samplers.random import RandomSampler
from trialjob.orchestrator.samplers.sobol import SobolSampler
from trialjob.orchestrator.samplers.syne_tune import SyneTuneSampler
from trialjob.orchestrator.stopping.bandit import Bandit
from trialjob.testing.simulation import OBJECTIVE, Simulation, course

SPACE = Space(
    {
        "lr": Uniform(lower=0.0, upper=1.0),
        "hidden": Choice(values=(16, 32, 64)),
        "layers": RandInt(lower=1, upper=5),
        "decay": LogUniform(lower=1e-6, upper=1e-1),
    }
)
FINITE = Space({"lr": Choice(values=tuple(n / 10 for n in range(10))), "hidden": Choice(values=(16, 32, 64))})
OURS: dict[str, Callable[[], Sampler]] = {
    "random": lambda: RandomSampler(SPACE, 5),
    "sobol": lambda: SobolSampler(SPACE, 5),
    "grid": lambda: GridSampler(FINITE),
}
#: How many results each must have before its model proposes; the others have none.
NEEDS = {"tpe": 10, "gp": 4, "cmaes": 1, "nsga2": 16} | {
    "bore": 6,
    "cqr": 5,
    "kde": 10,
    "rea": 16,
    "botorch": 5,
}
OPTUNAS, SYNE_TUNES = get_args(optuna.Kind), get_args(syne_models.Kind)
#: Those of several objectives; and those that take a second or more for a proposal.
SEVERAL, SLOW = ("tpe", "gp", "nsga2"), ("gp", "cqr", "botorch")
KINDS = (*OURS, *OPTUNAS, *SYNE_TUNES)
TWO = Objective(metric="accuracy", mode=Mode.MAX, others=(MetricGoal(metric="epoch", mode=Mode.MIN),))


def sampler(kind: str) -> Callable[[], Sampler]:
    if kind in OURS:
        return OURS[kind]
    if kind in SYNE_TUNES:
        return lambda: SyneTuneSampler(SPACE, 5, kind=kind)  # type: ignore[arg-type]
    startup = NEEDS["gp"] if kind == "gp" else None
    return lambda: optuna.OptunaSampler(SPACE, 5, kind=kind, n_startup_trials=startup)  # type: ignore[arg-type]


def uneven(request: JobRequest) -> JobScript:
    """Some take three times as long as others, so that they end in another order than they began."""
    return course(request, epochs=6, seconds=30.0 + 15.0 * (request.trial * 7 % 5))


def simulation(kind: str, workers: int, objective: Objective = OBJECTIVE) -> Simulation:
    # All that run at first know nothing; then results come, and the last few are the model's.
    trials = workers + NEEDS.get(kind, 3) + (3 if kind in SLOW else 8)
    return Simulation(
        limits=Limits(max_trials=trials, max_concurrent_trials=workers),
        rule=Bandit(slack_amount=0.4),
        objective=objective,
        space=SPACE,
        sampler=sampler(kind),
        course=uneven,
        poll_interval=60.0,
    )


def configs(state: State) -> list[object]:
    assert state.phase is Phase.ENDED
    return [(trial.config, trial.status, trial.score) for trial in state.trials]


@pytest.mark.parametrize("workers", [1, 4, 16])
@pytest.mark.parametrize("kind", KINDS)
def test_a_process_that_keeps_dying_proposes_the_same(kind: str, workers: int) -> None:
    sim = simulation(kind, workers)
    expected = sim.run()
    last = TrialId(sim.limits.max_trials)
    if kind in NEEDS:
        assert {TrialStatus.PRUNED, TrialStatus.COMPLETED} == {trial.status for trial in expected.trials}
        assert expected.trials[last].config != RandomSampler(SPACE, 5).ask(last), "no model has been asked"

    dies_again_and_again(simulation(kind, workers), kind, expected)


@pytest.mark.parametrize("kind", SEVERAL)
def test_nor_does_it_with_several_objectives(kind: str) -> None:
    dies_again_and_again(simulation(kind, 4, TWO), kind, simulation(kind, 4, TWO).run())


def dies_again_and_again(sim: Simulation, kind: str, expected: State) -> None:
    state, deaths = sim.run_dying(20 if kind in SLOW else 15)
    assert deaths > 2
    assert configs(state) == configs(expected)


def test_another_process_proposes_the_same() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(__file__).rpartition('/')[0]!r})\n"
        "from test_samplers_crash import *\n"
        "for kind in KINDS:\n"
        "    print(kind, configs(simulation(kind, 4).run()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={"PYTHONHASHSEED": "11", "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=True,
    )
    mine = [f"{kind} {configs(simulation(kind, 4).run())}" for kind in KINDS]
    assert done.stdout.splitlines() == mine
