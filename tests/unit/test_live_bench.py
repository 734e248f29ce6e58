"""The bench of live trainings: it trains what is looked at, and chooses by what is paid for."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("optuna")

from benchmarks.search.live import (
    choices,
    decide,
    differences,
    goals,
    hartmann,
    judge,
    live,
    peers,
    replicate,
    rungs,
    runs,
    tasks,
)

from trialjob.model.ids import TrialId
from trialjob.model.metric import Report
from trialjob.model.space import Config, Space, Uniform
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core.events import ReportsRead, TrialEnded, TrialProposed

SEED = 3


def _losses(_parts: tasks.Parts, config: Mapping[str, Any], seed: int) -> Iterator[tasks.Losses]:
    """Falls to what the configuration says; a seed moves the loss that is seen, and not the other."""
    for epoch in range(1, tasks.EPOCHS + 1):
        loss = float(config["x"]) + 1 / epoch
        yield loss + seed / 100, loss


TINY = tasks.Task(
    name="tiny",
    space=Space({"x": Uniform(lower=0.0, upper=1.0)}),
    data=tasks.wine,
    train=_losses,
)


def test_a_training_goes_no_further_than_it_is_looked_at() -> None:
    trained = 0

    def counted() -> Iterator[tasks.Losses]:
        nonlocal trained
        for trained in range(1, tasks.EPOCHS + 1):
            yield float(trained), 0.0

    seen = live.Training(counted())
    assert (seen[2], seen[0], len(seen)) == (3.0, 1.0, tasks.EPOCHS)
    assert trained == 3


@pytest.mark.parametrize("name", ["dense wine", "kernel moons", "boosted cancer"])
def test_a_training_is_its_configuration_and_seed(name: str) -> None:
    task = tasks.TASKS[name]
    config = task.space.at(dict.fromkeys(task.space.domains, 0.3))
    first, again, other = (live.Training(task.losses(config, seed)).upto(2) for seed in (1, 1, 2))
    assert first == again != other


def test_a_run_is_recorded_whole(tmp_path: Path) -> None:
    run = runs.recorded(TINY, "random + asha", seed=SEED, workers=8, epochs=60)
    curves = choices.curves(run)
    assert sum(map(len, curves.values())) == 60
    for trial, losses in curves.items():
        assert losses == live.Training(TINY.losses(run["configs"][str(trial)], SEED))[: len(losses)]
    found = judge.judged(run, ["best"], judge.Trainings(TINY, tmp_path / "trainings.jsonl"))
    # Trained anew by any seed, this task comes to the same on the rows that no loop sees.
    assert found["best"]["trial"] == min(curves, key=lambda trial: min(curves[trial]))
    assert found["best"]["anew"] <= found["best"]["checkpoint"]


def _run(*curves: Sequence[float]) -> dict[str, Any]:
    return {
        "configs": {str(trial): {"x": float(trial)} for trial in range(1, len(curves) + 1)},
        "points": [(trial, loss) for trial, losses in enumerate(curves, start=1) for loss in losses],
    }


def _anew(config: Config, _seed: int) -> Sequence[float]:
    """The higher, the better: what was seen of the first was luck."""
    return [1 / float(str(config["x"]))]


LUCKY = [0.9] * 26 + [0.1]
STEADY = [0.9] * 20 + [0.3] * 7


def test_what_is_seen_may_be_luck() -> None:
    run = _run(LUCKY, STEADY)
    assert choices.best(run, _anew) == choices.last(run, _anew) == 1
    assert choices.mean_of(3)(run, _anew) == 2
    assert choices.confirm(2, 1)(run, _anew) == 2


def test_the_mean_of_repeats_is_with_the_lucky_figure_or_without() -> None:
    def anew(config: Config, _seed: int) -> Sequence[float]:
        return [{1.0: 0.5, 2.0: 0.4}[float(str(config["x"]))]]

    run = _run([0.0] * 27, [0.3] * 27)
    assert choices.confirm(2, 1)(run, anew) == 1
    assert choices.confirm(2, 1, own=False)(run, anew) == 2


def test_repeats_are_paid_by_the_search() -> None:
    """30 trials of 27 epochs are the budget: two that are repeated twice leave 26 of them."""
    late = [*([[0.9] * 27] * 26), LUCKY, LUCKY, LUCKY, LUCKY]
    assert choices.best(_run(*late), _anew) == 27
    assert choices.confirm(2, 2)(_run(*late), _anew) == 2


def test_a_model_tells_a_lucky_trial_by_its_neighbours() -> None:
    worse = [[0.5 + 0.01 * trial] * 9 for trial in range(1, 13)]
    worse[10] = [0.1] * 9

    def fitted(points: tasks.Array, ranks: tasks.Array) -> tasks.Array:
        """What the three that are nearest have, by rank: the first and the lucky one are the least."""
        assert (points.min(), points.max(), ranks[10]) == (0.0, 1.0, 0.0)
        near: tasks.Array = ranks[np.abs(points - points.T).argsort(axis=1)[:, :3]].mean(axis=1)
        return near

    assert choices.best(_run(*worse), _anew) == 11
    assert choices.by_model(fitted)(_run(*worse), _anew) == 1


def test_a_forest_proposes_what_is_least_and_nothing_twice() -> None:
    run, again = (runs.recorded(TINY, "forest + asha", seed=SEED, workers=8, epochs=200) for _ in range(2))
    assert run == again
    found = [config["x"] for config in run["configs"].values()]
    assert len(set(found)) == len(found) > 20
    assert np.mean(found[10:]) < np.mean(found[:10])


@pytest.mark.parametrize(
    ("less", "verdict"),
    [
        ([-0.05, -0.03], "ahead"),
        ([-0.011, -0.01], "better"),
        ([-0.05, 0.01], "level"),
        ([0.02, 0.021], "behind"),
        ([-0.05], "not known"),
    ],
)
def test_a_loop_is_judged_by_its_pairs(less: list[float], verdict: str) -> None:
    def row(loop: str, seed: int, anew: float) -> dict[str, Any]:
        return {"loop": loop, "task": "t", "seed": seed, "workers": 8, "ways": {"best": {"anew": anew}}}

    rows = [row(differences.BASE, seed, float(seed)) for seed in range(5)]
    rows += [row("tpe + asha", seed, seed + each) for seed, each in enumerate(less, start=1)]
    found = differences.of_loop(rows, "tpe + asha", 8, "anew")
    assert (found.runs, found.verdict) == (len(less), verdict)
    assert found.less == pytest.approx(sum(less) / len(less))


def test_tasks_weigh_alike_and_sets_of_runs_by_how_sure_they_are() -> None:
    def row(task: str, seed: int, less: float) -> dict[str, Any]:
        ways = {decide.WAY: {"anew": 1 + less}, "best": {"anew": 1.0}}
        return {"task": task, "seed": seed, "ways": ways}

    rows = [row("one", 200 + seed, less) for seed, less in enumerate([-0.1, -0.3])]
    rows += [row("two", 200 + seed, less) for seed, less in enumerate([0.1, 0.1, 0.1, 0.1, 0.3, 0.5])]
    found = differences.over_tasks(rows, partial(differences.of_way, way=decide.WAY, what="anew"))
    assert found.runs == 8
    assert found.less == pytest.approx(0.0)
    errors = (0.1, np.std([0.1] * 4 + [0.3, 0.5], ddof=1) / 6**0.5)
    assert found.error == pytest.approx(np.hypot(*errors) / 2)

    def known(less: float, error: float) -> differences.Difference:
        return differences.Difference(runs=4, value=1 + less, less=less, error=error)

    both = differences.pooled([known(-0.1, 0.01), known(0.0, 0.02)])
    assert both.runs == 8
    assert [both.less, both.error] == pytest.approx([-0.08, 0.02 / 5**0.5])


def test_rounds_share_no_run_and_no_seed_of_before() -> None:
    asked = [run for number in range(replicate.ROUNDS) for run in replicate.of_round(number)]
    assert len(set(asked)) == len(asked) == 9 * replicate.ROUNDS
    spent = {*choices.CONFIRMERS, *range(*judge.JUDGES), *range(*replicate.JUDGES), *range(decide.NEW)}
    assert spent.isdisjoint(seed for _, _, seed, _ in asked)


def test_a_loop_is_paired_with_the_base_on_the_same_tasks_and_seeds() -> None:
    def row(loop: str, task: str, seed: int, value: float) -> dict[str, Any]:
        ways = {"best": dict.fromkeys(differences.JUDGED, value)}
        return {"loop": loop, "task": task, "seed": seed, "workers": 8, "ways": ways}

    rows = [row(differences.BASE, "dense spread", seed, 0.5) for seed in (100, 200, 201)]
    rows += [row(differences.BASE, "kernel moons", seed, 0.1) for seed in (200, 201)]
    rows += [
        row("other", "dense spread", seed, value) for seed, value in ((100, 0.0), (200, 0.3), (201, 0.5))
    ]
    rows += [row("other", "kernel moons", seed, 0.1) for seed in (200, 201, 202)]
    # Tasks weigh alike; what only one of the two has, and seeds of before, count for nothing.
    assert decide.table_of_loop(rows, "other")[-1] == (
        "| all | 4 | 0.250 | -0.050 ± 0.050 | 0.250 | -0.050 ± 0.050 | level |"
    )


class _Twice:
    """Asks for each configuration to epoch 3, and once it is told of it to epoch 9."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, int]] = []
        self.told: dict[int, float] = {}
        self._again: list[float] = []

    def ask(self) -> tuple[int, Config, int]:
        x, upto = (self._again.pop(), 9) if self._again else (len(self.asked) / 1000, 3)
        self.asked.append((x, upto))
        return len(self.asked) - 1, {"x": x}, upto

    def tell(self, number: int, loss: float) -> None:
        self.told[number] = loss
        x, upto = self.asked[number]
        if upto == 3:
            self._again.append(x)


def test_what_another_search_asks_for_again_goes_on_from_its_checkpoint() -> None:
    search = _Twice()
    trace = peers.searched(TINY, SEED, search)
    assert len(trace.points) == runs.BUDGET
    losses: dict[int, list[float]] = {}
    for _, trial, loss in sorted(trace.points):
        losses.setdefault(trial, []).append(loss)
    for trial, seen in losses.items():
        assert seen == live.Training(TINY.losses(trace.configs[trial], SEED))[: len(seen)]
    assert max(map(len, losses.values())) == 9
    assert len(search.asked) - len(search.told) == peers.WORKERS
    for number, loss in search.told.items():
        x, upto = search.asked[number]
        assert loss == pytest.approx(x + 1 / upto + SEED / 100)


def test_a_sampler_of_another_library_is_told_each_trial_that_ended_once() -> None:
    search = _Twice()
    run = runs.recorded(
        TINY, "peer + asha", seed=SEED, workers=8, epochs=120, make=lambda: peers.PeerSampler(search)
    )
    curves = choices.curves(run)
    assert set(search.told) < set(range(len(search.asked)))
    for number, loss in search.told.items():
        assert loss == min(curves[number + 1])


def test_of_another_search_only_whole_rounds_count() -> None:
    def row(loop: str, task: str, seed: int, anew: float) -> dict[str, Any]:
        best = {"anew": anew, "checkpoint": anew}
        return {"loop": loop, "task": task, "seed": seed, "workers": 8, "ways": {"best": best}}

    made = [(task, seed) for number in range(4) for task in peers.ROUND for seed in peers.seeds(task, number)]
    rows = [row("random + asha", task, seed, 0.5) for task, seed in made]
    rows += [row("dehb", task, seed, 0.4) for task, seed in made[:-1]]
    whole = made[: 3 * sum(peers.ROUND.values())]
    found = peers.counted(rows, "dehb", list(peers.ROUND))
    assert sorted({(each["task"], each["seed"]) for each in found}) == sorted(whole)
    assert peers.table(rows, "dehb")[-1].startswith("| all | 30 | 0.400 | -0.100 ± 0.000 |")
    assert peers.table(rows, "dehb")[-1].endswith("| ahead |")
    few = [each for each in rows if (each["task"], each["seed"]) in made[:29]]
    assert peers.table(few, "dehb")[-1].endswith("| not decided |")
    assert peers.table(rows, "smac") == decide.head("smac", "random + asha")


def test_a_model_fed_by_rungs_knows_no_trial_beyond_the_rung() -> None:
    """Nine have come to epoch 3, ten to epoch 1, and the eleventh to none."""
    told: list[Any] = []

    class Model:
        def __init__(self, _space: Space, _seed: int) -> None:
            told.clear()

        def tell(self, events: Sequence[Any]) -> None:
            told.extend(events)

        def ask(self, _trial: TrialId) -> Config:
            return {"x": 0.5}

    def read(trial: int, epoch: int, loss: float) -> ReportsRead:
        report = Report(resource=epoch, metrics={"loss": loss}, at=0.0)
        return ReportsRead(trial=TrialId(trial), attempt=1, reports=(report,), cursor="")

    def known() -> dict[int, float]:
        return {
            event.trial: event.reports[0].metrics["loss"] for event in told if isinstance(event, ReportsRead)
        }

    sampler = rungs.RungSampler(TINY.space, SEED, Model)
    sampler.tell([TrialProposed(trial=TrialId(trial), config={"x": trial / 20}) for trial in range(1, 12)])
    assert sampler.ask(TrialId(12)) is not None
    assert not told
    for trial in range(1, 11):
        sampler.tell([read(trial, 1, trial)])
    for trial in range(1, 10):
        sampler.tell([read(trial, 2, trial + 1), read(trial, 3, -trial)])
    assert sampler.ask(TrialId(12)) == {"x": 0.5}
    assert known() == {trial: trial for trial in range(1, 11)}
    # It is told once of each; what ended below the rung that is next is left out of it.
    sampler.ask(TrialId(12))
    assert len([event for event in told if isinstance(event, TrialProposed)]) == 11
    sampler.tell([TrialEnded(trial=TrialId(10), status=TrialStatus.PRUNED, reason="")])
    sampler.tell([read(11, epoch, 7.0) for epoch in (1, 2, 3)])
    sampler.ask(TrialId(12))
    assert known() == {11: 7.0, **{trial: -trial for trial in range(1, 10)}}
    assert [(e.trial, e.status) for e in told if isinstance(e, TrialEnded) and e.trial == 10] == [
        (10, TrialStatus.FAILED)
    ]


def test_on_spot_a_trial_goes_on_from_its_last_epoch_and_later() -> None:
    on_demand, spot = (
        runs.recorded(TINY, f"random + asha{ending}", seed=SEED, workers=8, epochs=200)
        for ending in ("", runs.ON_SPOT)
    )
    assert spot["hours"] > 1.5 * on_demand["hours"]
    for trial, losses in choices.curves(spot).items():
        assert losses == live.Training(TINY.losses(spot["configs"][str(trial)], SEED))[: len(losses)]


def test_of_two_objectives_the_front_counts() -> None:
    losses, sizes = {1: 0.5, 2: 0.2, 3: 0.4, 4: 0.2}, {1: 0.0, 2: 0.5, 3: 0.6, 4: 0.4}
    assert goals.front(losses, sizes) == [1, 4]
    assert goals.hypervolume([(0.2, 0.4), (0.5, 0.0), (0.3, 0.9), (2.0, 0.0)]) == pytest.approx(
        0.5 + 0.3 * 0.6
    )
    task = tasks.TASKS["dense spread"]
    small, middle = ({"hidden": hidden, "layers": layers} for hidden, layers in ((4, 1), (32, 2)))
    assert 0.0 == goals.size(task, small) < goals.size(task, middle) < 1.0


def test_a_second_objective_reaches_the_sampler() -> None:
    alone, two = (
        runs.recorded(TINY, "tpe + none", seed=SEED, workers=8, epochs=810, size=size)
        for size in (None, lambda config: -float(str(config["x"])))
    )
    middle = [np.median([config["x"] for config in run["configs"].values()]) for run in (alone, two)]
    assert middle[0] < middle[1]


class _Valley:
    """In place of the library's function: its least value is at 0.5, and early epochs mislead."""

    optimum = (0.5, 0.5, 0.5)

    def __init__(self, *, n_fidelities: int, fidelity_bias: float, fidelity_noise: float, seed: int) -> None:
        self._last = n_fidelities
        self._early = fidelity_bias + fidelity_noise * seed

    def __call__(self, z: int, place: Sequence[float]) -> float:
        return sum(abs(x - 0.5) for x in place) + self._early * (self._last - z)


def test_a_published_function_judges_a_choice_by_its_true_value(monkeypatch: pytest.MonkeyPatch) -> None:
    preset = SimpleNamespace(mfh_bias_noise=(1.0, 2.0), mfh_generator_type=_Valley)
    module: Any = ModuleType("mfpbench.synthetic.hartmann.benchmark")
    module.MFHartmann3BenchmarkGood = preset
    monkeypatch.setitem(sys.modules, module.__name__, module)
    name = "hartmann 3 good"
    config = {"x0": 0.5, "x1": 0.25, "x2": 0.5}
    seen = list(hartmann.values(name, config, 2))
    assert [seen[0], seen[-1]] == [(0.25 + 5 * 26, 0.25), (0.25, 0.25)]
    made = hartmann.made("random + none", name, SEED, 8)
    assert made["trials"] > 30
    # The best of some thirty random places in a valley, where that of the median is 1.
    assert 0 < made["ways"]["best"]["true"] < 0.7


def test_of_functions_only_whole_seeds_count() -> None:
    rows = [{"workers": 8, "seed": seed, "loop": loop} for seed in (1, 2) for loop in ("a", "b")]
    assert hartmann.whole(rows[:3]) == rows[:2]
