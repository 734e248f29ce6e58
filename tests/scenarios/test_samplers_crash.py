"""Whole experiments in virtual time: neither crashes nor processes change what a sampler proposes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from trialjob.model.limits import Limits
from trialjob.model.space import Choice, LogUniform, RandInt, Space, Uniform
from trialjob.model.trial import Phase
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.engine.loop import Loop
from trialjob.orchestrator.ports import Sampler
from trialjob.orchestrator.rules.asha import Asha
from trialjob.orchestrator.samplers.optuna import OptunaSampler
from trialjob.orchestrator.samplers.sobol import SobolSampler
from trialjob.testing.crash import Crash, Fuse, FusedBackend, FusedJournal
from trialjob.testing.simulation import Simulation

KINDS = ("tpe", "cmaes", "nsga2", "qmc", "sobol")
SPACE = Space(
    {
        "lr": Uniform(lower=0.0, upper=1.0),
        "hidden": Choice(values=(16, 32, 64)),
        "layers": RandInt(lower=1, upper=5),
        "decay": LogUniform(lower=1e-6, upper=1e-1),
    }
)


def sampler(kind: str) -> Callable[[], Sampler]:
    if kind == "sobol":
        return lambda: SobolSampler(SPACE, 5)
    return lambda: OptunaSampler(SPACE, 5, kind=kind)  # type: ignore[arg-type]


def simulation(kind: str, workers: int) -> Simulation:
    return Simulation(
        limits=Limits(max_trials=20, max_concurrent_trials=workers),
        rule=Asha(max_resource=9),
        space=SPACE,
        sampler=sampler(kind),
        poll_interval=60.0,
    )


def configs(state: State) -> list[object]:
    assert state.phase is Phase.ENDED
    return [(trial.config, trial.status, trial.score) for trial in state.trials]


@pytest.mark.parametrize("workers", [1, 4, 16])
@pytest.mark.parametrize("kind", KINDS)
def test_a_process_that_keeps_dying_proposes_the_same(kind: str, workers: int) -> None:
    expected = configs(simulation(kind, workers).run())
    assert len(expected) == 20

    sim = simulation(kind, workers)
    for crash in range(1_000):
        fuse = Fuse(15 + crash % 3, after=crash % 2 == 0)
        stepper = sim.stepper(
            journal=FusedJournal(sim.journal, fuse), backend=FusedBackend(sim.backend, fuse)
        )
        try:
            state = Loop(stepper, sim.clock, sim.poll_interval).run(lambda _state, _events: None)
            break
        except Crash:
            pass
    assert crash > 3
    assert configs(state) == expected


@pytest.mark.parametrize("kind", ["tpe", "cmaes"])
def test_another_process_proposes_the_same(kind: str) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(__file__).rpartition('/')[0]!r})\n"
        "from test_samplers_crash import *\n"
        f"print(configs(simulation({kind!r}, 4).run()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONHASHSEED": "11", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{configs(simulation(kind, 4).run())}\n"
