"""Syne Tune's searchers: each fault of theirs that we know, and what keeps it from our users."""

from __future__ import annotations

import json
import logging
import math
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trialjob.errors import UsageError
from trialjob.model.ids import TrialId
from trialjob.model.json import canonical_json
from trialjob.model.limits import Limits
from trialjob.model.metric import Mode, Objective, Report
from trialjob.model.space import Branches, Choice, Config, LogUniform, QUniform, RandInt, Space, Uniform
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core.events import (
    Event,
    KnownResult,
    ReportsRead,
    TrialEnded,
    TrialProposed,
)
from trialjob.orchestrator.samplers import syne_models
from trialjob.orchestrator.samplers.random import RandomSampler
from trialjob.orchestrator.samplers.syne_models import Kind, Known, propose, quiet, searcher_class
from trialjob.orchestrator.samplers.syne_random import private_random
from trialjob.orchestrator.samplers.syne_space import SyneSpace
from trialjob.orchestrator.samplers.syne_tune import SyneTuneSampler
from trialjob.testing.histories import beginning

KINDS: tuple[Kind, ...] = ("bore", "cqr", "kde", "rea", "botorch")
#: Those whose models are quick to fit.
QUICK: tuple[Kind, ...] = ("kde", "rea", "bore")
SPACE = Space(
    {
        "lr": LogUniform(lower=1e-4, upper=1.0),
        "n": RandInt(lower=10, upper=21),
        "q": QUniform(lower=0.0, upper=1.0, q=0.25),
        "c": Choice(values=(1, True, "1", None)),
        "fixed": Choice(values=(7,)),
    }
)
FINITE = Space({"a": Choice(values=("x", "y", "z")), "b": RandInt(lower=-2, upper=4)})
NESTED = Space(
    {
        "optimizer": Branches(
            values=("sgd", "adam"),
            branches={"sgd": {"momentum": Uniform(lower=0.0, upper=1.0)}, "adam": {}},
        ),
        "width": RandInt(lower=1, upper=100),
    }
)
LINE = Space({"x": Uniform(lower=0.0, upper=1.0)})
CREATED = beginning("e", Objective(metric="loss", mode=Mode.MIN), Limits(max_trials=99))


def proposed(trial: int, config: Config) -> TrialProposed:
    return TrialProposed(trial=TrialId(trial), config=config)


def ended(trial: int, loss: float | None, status: TrialStatus = TrialStatus.COMPLETED) -> list[Event]:
    reports = () if loss is None else (Report(resource=1.0, metrics={"loss": loss}, at=0.0),)
    return [
        ReportsRead(trial=TrialId(trial), attempt=1, reports=reports, cursor=""),
        TrialEnded(trial=TrialId(trial), status=status, reason=""),
    ]


def known(space: Space, results: int, *, first: int = 1) -> list[Event]:
    """Random trials whose loss is the distance from the middle; every second one ends out of order."""
    drawn = RandomSampler(space, 0)
    events: list[Event] = [CREATED]
    for trial in range(first, first + results):
        config = drawn.ask(TrialId(trial))
        assert config is not None
        events.append(proposed(trial, config))
        drawn.tell(events[-1:])
    for trial in sorted(range(first, first + results), key=lambda number: (number % 3, -number)):
        config = next(e.config for e in events if isinstance(e, TrialProposed) and e.trial == trial)
        place = SyneSpace(space).place(config)
        loss = sum(abs(float(str(u)) - 0.5) for u in place.values())
        events += ended(trial, loss)
    return events


def sampler(kind: Kind, space: Space = SPACE, *, results: int = 18, seed: int = 3) -> SyneTuneSampler:
    made = SyneTuneSampler(space, seed, kind=kind)
    made.tell(known(space, results))
    return made


def go_on(given: SyneTuneSampler, first: int, count: int) -> list[Config | None]:
    """Ask and tell, four at a time."""
    configs: list[Config | None] = []
    for trial in range(first, first + count):
        configs.append(given.ask(TrialId(trial)))
        if configs[-1] is not None:
            given.tell([proposed(trial, configs[-1])])
        if trial - 4 >= first and configs[trial - 4 - first] is not None:
            given.tell(ended(trial - 4, float(trial % 5)))
    return configs


@pytest.mark.parametrize("kind", KINDS)
def test_proposals_lie_in_the_space_and_on_its_grid_and_are_new(kind: Kind) -> None:
    configs = go_on(sampler(kind), 19, 2 if kind in ("cqr", "botorch") else 6)
    for config in configs:
        assert config is not None
        assert list(SPACE.problems(config)) == []
        assert list(config) == list(SPACE.domains)
    assert len({canonical_json(config) for config in configs if config}) == len(configs)


def test_another_process_that_is_told_the_journal_proposes_the_same() -> None:
    mine = [sampler(kind).ask(TrialId(19)) for kind in KINDS]
    # What else draws from the generators of this process changes nothing.
    random.seed(1)
    np.random.seed(2)  # noqa: NPY002
    torch.manual_seed(3)
    for kind, config in zip(QUICK, (mine[KINDS.index(kind)] for kind in QUICK), strict=True):
        assert sampler(kind).ask(TrialId(19)) == config
        assert sampler(kind, seed=4).ask(TrialId(19)) != config
    code = (
        f"import sys; sys.path.insert(0, {str(__file__).rpartition('/')[0]!r})\n"
        "from test_samplers_syne_tune import *\n"
        "print([sampler(kind).ask(TrialId(19)) for kind in KINDS])\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={"PYTHONHASHSEED": "7", "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == (f"{mine}\n", "")


def test_the_generators_of_the_process_stay_as_they_are() -> None:
    before = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())  # type: ignore[index]  # noqa: NPY002
    for kind in QUICK:
        sampler(kind).ask(TrialId(19))
    with pytest.raises(RuntimeError, match="negative dimension"), private_random(0):
        torch.rand(int(torch.rand(1)) - 1)
    after = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())  # type: ignore[index]  # noqa: NPY002
    assert after == before


@pytest.mark.parametrize("kind", QUICK)
@pytest.mark.parametrize("space", [FINITE, NESTED], ids=["finite", "nested"])
def test_one_that_is_told_the_journal_goes_on_as_the_one_before(kind: Kind, space: Space) -> None:
    whole = go_on(sampler(kind, space, results=16), 17, 4)
    first = sampler(kind, space, results=16)
    assert [first.ask(TrialId(17)), first.ask(TrialId(17))] == whole[:1] * 2
    again = sampler(kind, space, results=16)
    assert whole[0] is not None
    again.tell([proposed(17, whole[0])])
    assert again.ask(TrialId(18)) == whole[1]


@pytest.mark.parametrize("kind", QUICK)
def test_a_finite_space_is_exhausted_without_a_repetition(kind: Kind) -> None:
    made = sampler(kind, FINITE, results=16)
    configs = go_on(made, 17, 4)
    assert configs[2:] == [None, None]
    assert len({canonical_json(config) for config in configs[:2]}) == 2


def test_where_one_configuration_is_all_there_is_it_is_tried_once() -> None:
    made = SyneTuneSampler(Space({"a": Choice(values=(3,))}), 0, kind="kde")
    made.tell([CREATED])
    assert go_on(made, 1, 2) == [{"a": 3}, None]


# The faults, one by one


def test_results_that_came_out_of_order_are_paired_with_their_configurations() -> None:
    """BoTorch's searcher numbers values as they come and configurations as it suggested them."""
    made = SyneTuneSampler(LINE, 0, kind="botorch")
    made.tell([CREATED, *(proposed(n + 1, {"x": n / 4}) for n in range(5))])
    for trial in (5, 4, 3, 2, 1):  # the loss is x, so the best is at 0
        made.tell(ended(trial, (trial - 1) / 4))
    config = made.ask(TrialId(6))
    assert config is not None
    assert float(str(config["x"])) < 0.5

    # As it comes, it takes the worst for the best.
    with quiet(), private_random(0):
        points = [{"x": n / 4} for n in range(5)]
        theirs = searcher_class("botorch")(
            SyneSpace(LINE).domains(), random_seed=0, points_to_evaluate=[dict(point) for point in points]
        )
        for _ in points:
            theirs.suggest()
        for number in (4, 3, 2, 1, 0):
            theirs.on_trial_complete(number, points[number], number / 4)
        assert theirs.suggest()["x"] > 0.5


def test_running_trials_are_known_to_the_gaussian_process_however_many_results_there_are() -> None:
    """From 200 on, it forgets those that run."""
    space = SyneSpace(LINE)
    known = [n / 500 for n in range(501) if not 110 < n < 390]
    results = [(space.place({"x": x}), math.sin(20 * x)) for x in known]
    assert len(results) > 200
    alone = propose("botorch", space, Known(results=results), "s")
    beside = propose("botorch", space, Known(results=results, pending=[alone]), "s")
    assert abs(float(beside["x"]) - float(alone["x"])) > 1e-3


def test_results_to_which_no_process_without_noise_can_be_fitted(caplog: pytest.LogCaptureFixture) -> None:
    """They came about in a search on real learning curves; its own way out, noise, has negative variances."""
    names = ("lr", "depth", "leaf", "subsample")
    rows = json.loads((Path(__file__).parent / "results_without_noise.json").read_text())
    results = [(dict(zip(names, row, strict=False)), row[-1]) for row in rows]
    space = SyneSpace(Space({name: Uniform(lower=0.0, upper=1.0) for name in names}))
    before = logging.getLogger().handlers[:]
    assert set(propose("botorch", space, Known(results=results), "s")) == set(names)
    assert logging.getLogger().handlers == before
    assert not caplog.records


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_was_not_used_is_an_error(kind: Kind) -> None:
    """Asked too early, every one of them draws at random and keeps silent about it."""
    space = SyneSpace(FINITE)
    flat = [(space.place({"a": "x", "b": 0}), 1.0)] * 2
    results = flat[:1] if kind in ("bore", "cqr") else flat
    with pytest.raises(UsageError, match=f"'{kind}' could not fit its model to {len(results)} results"):
        propose(kind, space, Known(results=results), "s")


def test_many_equal_results_leave_bore_its_model() -> None:
    """A threshold that parts nothing makes BORE draw at random."""
    space = SyneSpace(LINE)
    results = [(space.place({"x": n / 20}), 0.0 if n == 7 else 1.0) for n in range(20)]
    assert 0.0 <= float(propose("bore", space, Known(results=results), "s")["x"]) <= 1.0


def test_equal_results_teach_nothing_and_are_no_error() -> None:
    made = SyneTuneSampler(SPACE, 3, kind="kde")
    events = [event for event in known(SPACE, 18) if not isinstance(event, ReportsRead)]
    for trial in range(1, 19):
        made.tell([e for e in events if isinstance(e, TrialProposed) and e.trial == trial])
        made.tell(ended(trial, 1.0))
    same = RandomSampler(SPACE, 3)
    same.tell(events)
    assert made.ask(TrialId(19)) == same.ask(TrialId(19))


@pytest.mark.parametrize("kind", ["kde", "cqr"])
def test_values_that_are_no_numbers_are_the_worst(kind: Kind) -> None:
    """CQR raises on NaN; the others keep it among what they compare."""
    with_nan, with_worst = (SyneTuneSampler(SPACE, 3, kind=kind) for _ in range(2))
    for made, value in ((with_nan, math.nan), (with_worst, 50.0)):
        made.tell(known(SPACE, 16))
        made.tell([proposed(17, SPACE.at(dict.fromkeys(SPACE.domains, 0.9))), *ended(17, 50.0)])
        made.tell([proposed(18, SPACE.at(dict.fromkeys(SPACE.domains, 0.1))), *ended(18, value)])
    assert with_nan.ask(TrialId(19)) == with_worst.ask(TrialId(19))


@pytest.mark.parametrize("status", [TrialStatus.FAILED, TrialStatus.METRICS_UNAVAILABLE])
def test_failed_trials_are_not_learned_from(status: TrialStatus) -> None:
    config = SPACE.at(dict.fromkeys(SPACE.domains, 0.1))
    failed, bare = sampler("kde"), sampler("kde")
    failed.tell([proposed(19, config), *ended(19, 0.0, status)])
    bare.tell([proposed(19, config), *ended(19, None, status)])
    assert failed.ask(TrialId(20)) == bare.ask(TrialId(20))
    learned = sampler("kde")
    learned.tell([proposed(19, config), *ended(19, 0.0, TrialStatus.PRUNED)])
    assert learned.ask(TrialId(20)) != bare.ask(TrialId(20))


def test_results_of_earlier_experiments_are_learned_from() -> None:
    configs = [RandomSampler(SPACE, 5).ask(TrialId(n)) or {} for n in range(1, 20)]
    made = SyneTuneSampler(SPACE, 3, kind="kde")
    made.tell([CREATED, *(KnownResult(config=c, score=float(n)) for n, c in enumerate(configs))])
    assert made.ask(TrialId(1)) != RandomSampler(SPACE, 3).ask(TrialId(1))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(), min_size=1, max_size=9))
def test_every_loss_that_is_told_is_finite_and_keeps_its_place(keys: Sequence[float]) -> None:
    from trialjob.orchestrator.samplers.syne_tune import finite_losses  # noqa: PLC0415 - beside its law

    keys = [-math.inf if math.isnan(key) else key for key in keys]
    losses = finite_losses(keys)
    assert all(math.isfinite(loss) for loss in losses)
    for a, x in zip(keys, losses, strict=True):
        for b, y in zip(keys, losses, strict=True):
            assert x <= y or a < b


def test_a_missing_package_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        syne_models, "find_spec", lambda name: None if name == "huggingface_hub" else object()
    )
    with pytest.raises(
        UsageError, match=r"'cqr' needs huggingface-hub, .*pip install 'trialjob\[syne-tune\]'"
    ):
        SyneTuneSampler(SPACE, 0, kind="cqr")
    monkeypatch.setattr(syne_models, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match="'bore' needs syne-tune and xgboost and sklearn"):
        SyneTuneSampler(SPACE, 0, kind="bore")
