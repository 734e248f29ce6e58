from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialjob.model.ids import TrialId
from trialjob.model.json import canonical_json
from trialjob.model.space import Choice, Config, LogUniform, RandInt, Space, Uniform
from trialjob.orchestrator.core.events import TrialProposed
from trialjob.orchestrator.ports import Sampler
from trialjob.orchestrator.samplers.grid import GridSampler
from trialjob.orchestrator.samplers.random import RandomSampler

CONTINUOUS = Space({"lr": LogUniform(lower=1e-4, upper=1.0), "drop": Uniform(lower=0.0, upper=0.5)})
FINITE = Space({"a": Choice(values=(1, True, "1", None)), "b": RandInt(lower=-1, upper=2)})


def propose(sampler: Sampler, trials: Sequence[int]) -> list[Config | None]:
    configs = []
    for number in trials:
        config = sampler.ask(TrialId(number))
        if config is not None:
            sampler.tell([TrialProposed(trial=TrialId(number), config=config)])
        configs.append(config)
    return configs


def test_random_is_a_function_of_seed_and_trial() -> None:
    forwards = propose(RandomSampler(CONTINUOUS, 7), range(1, 20))
    backwards = propose(RandomSampler(CONTINUOUS, 7), range(19, 0, -1))
    assert forwards == backwards[::-1]
    assert propose(RandomSampler(CONTINUOUS, 8), range(1, 20)) != forwards


def test_random_is_the_same_in_every_process_and_version() -> None:
    config = RandomSampler(CONTINUOUS, 0).ask(TrialId(1))
    # Written down: a seed in somebody's paper must mean the same next year.
    assert config is not None
    assert config["lr"] == pytest.approx(0.18688433577717967)
    assert config["drop"] == pytest.approx(0.15205153608976457)
    code = (
        "from trialjob.model.space import *\n"
        "from trialjob.orchestrator.samplers.random import RandomSampler\n"
        "space = Space({'lr': LogUniform(lower=1e-4, upper=1.0), 'drop': Uniform(lower=0.0, upper=0.5)})\n"
        "print(RandomSampler(space, 0).ask(1))\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {f"{config}\n"}


@pytest.mark.parametrize("seed", range(5))
def test_random_never_repeats_and_exhausts_a_finite_space(seed: int) -> None:
    configs = propose(RandomSampler(FINITE, seed), range(1, 16))
    assert configs[12:] == [None] * 3
    assert len({canonical_json(config) for config in configs[:12]}) == 12


def test_a_new_sampler_told_the_same_goes_on_the_same() -> None:
    first = RandomSampler(FINITE, 3)
    begun = propose(first, range(1, 8))
    second = RandomSampler(FINITE, 3)
    second.tell(
        [TrialProposed(trial=TrialId(n), config=config) for n, config in enumerate(begun, 1) if config]
    )
    assert propose(second, range(8, 14)) == propose(first, range(8, 14))


def test_grid_gives_every_configuration_once_in_order() -> None:
    configs = propose(GridSampler(FINITE), range(1, 14))
    assert configs[:4] == [{"a": 1, "b": -1}, {"a": 1, "b": 0}, {"a": 1, "b": 1}, {"a": True, "b": -1}]
    assert configs[12] is None
    assert len({canonical_json(config) for config in configs[:12]}) == 12


def test_grid_refuses_a_continuous_domain_by_name() -> None:
    with pytest.raises(ValueError, match=r"lr is continuous"):
        GridSampler(Space({"b": RandInt(lower=0, upper=2), "lr": LogUniform(lower=0.1, upper=1.0)}))


@given(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True))
def test_every_point_of_the_cube_is_a_configuration_of_the_space(u: float, v: float) -> None:
    for space, names in ((CONTINUOUS, ("lr", "drop")), (FINITE, ("a", "b"))):
        config = space.at(dict(zip(names, (u, v), strict=True)))
        for name, domain in space.domains.items():
            assert domain.contains(config[name])
