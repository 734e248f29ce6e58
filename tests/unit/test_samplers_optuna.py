from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Sequence

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from trialjob.errors import UsageError
from trialjob.model.ids import TrialId
from trialjob.model.json import canonical_json
from trialjob.model.limits import Limits
from trialjob.model.metric import Mode, Objective, Report, Score
from trialjob.model.space import Branches, Choice, Config, LogUniform, RandInt, Space, Uniform
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core.events import (
    Event,
    ExperimentCreated,
    KnownResult,
    ReportsRead,
    TrialEnded,
    TrialProposed,
)
from trialjob.orchestrator.ports import Sampler
from trialjob.orchestrator.samplers import optuna as optuna_samplers
from trialjob.orchestrator.samplers import sobol
from trialjob.orchestrator.samplers.optuna import Kind, OptunaSampler
from trialjob.orchestrator.samplers.sobol import SobolSampler
from trialjob.testing.histories import beginning

KINDS: tuple[Kind, ...] = ("tpe", "cmaes", "nsga2", "qmc")
SPACE = Space(
    {
        "lr": LogUniform(lower=1e-4, upper=1.0),
        "x": Uniform(lower=-1.0, upper=1.0),
        "n": RandInt(lower=1, upper=5),
        "c": Choice(values=(1, True, "1", None)),
    }
)
FINITE = Space({"a": Choice(values=(1, True, "1")), "b": RandInt(lower=-1, upper=3)})
NESTED = Space(
    {
        "optimizer": Branches(
            values=("sgd", "adam"),
            branches={
                "sgd": {"momentum": Uniform(lower=0.0, upper=1.0), "lr": Uniform(lower=0.0, upper=1.0)},
                "adam": {"beta": Uniform(lower=0.5, upper=1.0), "lr": Uniform(lower=0.0, upper=1.0)},
            },
        ),
        "width": RandInt(lower=1, upper=100),
    }
)


def created(**objective: object) -> ExperimentCreated:
    given = {"metric": "m", "mode": Mode.MAX, **objective}
    return beginning("e", Objective(**given), Limits(max_trials=99))  # type: ignore[arg-type]


def proposed(trial: int, config: Config) -> TrialProposed:
    return TrialProposed(trial=TrialId(trial), config=config)


def ended(trial: int, status: TrialStatus, *values: float) -> list[Event]:
    reports = tuple(Report(resource=n, metrics={"m": value}, at=0.0) for n, value in enumerate(values, 1))
    read = [ReportsRead(trial=TrialId(trial), attempt=1, reports=reports, cursor="")] if reports else []
    return [*read, TrialEnded(trial=TrialId(trial), status=status, reason="")]


def score(config: Config) -> float:
    numbers = [float(value) for value in config.values() if isinstance(value, int | float)]
    return -sum((number - 0.3) ** 2 for number in numbers)


STATUSES = (TrialStatus.COMPLETED, TrialStatus.PRUNED, TrialStatus.COMPLETED, TrialStatus.FAILED)


class JobTimeline:
    """Four trials at a time, which end in another order than they began."""

    def __init__(self, sampler: Sampler) -> None:
        self.sampler = sampler
        self.events: list[Event] = []
        self.configs: list[Config | None] = []
        self._running: list[tuple[int, Config]] = []
        self.tell(created())

    def tell(self, *events: Event) -> None:
        self.sampler.tell(events)
        self.events += events

    def go_on(self, trials: int) -> JobTimeline:
        for trial in range(len(self.configs) + 1, len(self.configs) + trials + 1):
            config = self.sampler.ask(TrialId(trial))
            self.configs.append(config)
            if config is None:
                continue
            self.tell(proposed(trial, config))
            self._running.append((trial, config))
            if len(self._running) == 4:
                number, its = self._running.pop(trial * 7 % 4)
                self.tell(*ended(number, STATUSES[number % 4], *([score(its)] * (number % 3 + 1))))
        return self


def sampler(kind: str, space: Space = SPACE, seed: int = 3) -> Sampler:
    if kind == "sobol":
        return SobolSampler(space, seed)
    return OptunaSampler(space, seed, kind=kind)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [*KINDS, "sobol"])
def test_the_same_seed_gives_the_same_and_another_one_others(kind: str) -> None:
    first, second = JobTimeline(sampler(kind)).go_on(25), JobTimeline(sampler(kind)).go_on(25)
    assert first.configs == second.configs
    assert JobTimeline(sampler(kind, seed=4)).go_on(25).configs != first.configs


@pytest.mark.parametrize("space", [SPACE, FINITE, NESTED], ids=["mixed", "finite", "nested"])
@pytest.mark.parametrize("kind", [*KINDS, "sobol"])
def test_one_that_is_told_the_journal_goes_on_as_the_one_before(kind: str, space: Space) -> None:
    whole = JobTimeline(sampler(kind, space)).go_on(24)
    for crash in (1, 11, 17, 23):
        story = JobTimeline(sampler(kind, space)).go_on(crash)
        again = sampler(kind, space)
        again.tell(story.events)
        story.sampler = again
        assert story.go_on(24 - crash).configs == whole.configs


@pytest.mark.parametrize("kind", KINDS)
def test_points_of_others_are_learned_from_and_replayed(kind: str) -> None:
    story = JobTimeline(sampler(kind))
    points: Sequence[Config] = [
        {"lr": 0.1, "x": 1.0, "n": 4, "c": None},
        {"lr": 1.0, "x": -1, "n": 1, "c": True},
    ]
    for trial, point in enumerate(points, 1):
        story.tell(proposed(trial, point))
        story.configs.append(point)
        story.tell(*ended(trial, TrialStatus.COMPLETED, 1.0))
    story.go_on(12)
    again = sampler(kind)
    again.tell(story.events)
    assert again.ask(TrialId(15)) == story.sampler.ask(TrialId(15))


@pytest.mark.parametrize("kind", [*KINDS, "sobol"])
def test_every_process_proposes_the_same(kind: str) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(__file__).rpartition('/')[0]!r})\n"
        "from test_samplers_optuna import *\n"
        f"print(JobTimeline(sampler({kind!r})).go_on(14).configs)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONHASHSEED": "7", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{JobTimeline(sampler(kind)).go_on(14).configs}\n"
    assert done.stderr == ""


@pytest.mark.parametrize("kind", [*KINDS, "sobol"])
def test_a_finite_space_is_exhausted_without_a_repetition(kind: str) -> None:
    configs = JobTimeline(sampler(kind, FINITE)).go_on(15).configs
    assert configs[12:] == [None] * 3
    assert len({canonical_json(config) for config in configs[:12]}) == 12


@pytest.mark.parametrize("kind", [*KINDS, "sobol"])
def test_what_is_inactive_is_absent(kind: str) -> None:
    configs = JobTimeline(sampler(kind, NESTED)).go_on(30).configs
    assert {tuple(config) for config in configs if config} == {
        ("optimizer", "momentum", "lr", "width"),
        ("optimizer", "beta", "lr", "width"),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_asking_twice_is_asking_once(kind: str) -> None:
    story = JobTimeline(sampler(kind)).go_on(12)
    assert story.sampler.ask(TrialId(13)) == story.sampler.ask(TrialId(13))
    assert story.go_on(6).configs == JobTimeline(sampler(kind)).go_on(18).configs


def in_optuna(given: OptunaSampler) -> list[FrozenTrial]:
    return given._study.get_trials()


@pytest.mark.parametrize(
    ("status", "values", "state", "loss"),
    [
        (TrialStatus.COMPLETED, (0.2, 0.8, 0.5), TrialState.COMPLETE, -0.8),
        (TrialStatus.COMPLETED, (0.2, math.nan), TrialState.COMPLETE, -0.2),
        (TrialStatus.COMPLETED, (math.nan,), TrialState.COMPLETE, math.inf),
        (TrialStatus.PRUNED, (0.2, 0.1), TrialState.PRUNED, -0.2),
        (TrialStatus.CANCELLED, (0.2,), TrialState.PRUNED, -0.2),
        (TrialStatus.CANCELLED, (), TrialState.FAIL, None),
        (TrialStatus.FAILED, (0.2,), TrialState.FAIL, None),
        (TrialStatus.METRICS_UNAVAILABLE, (), TrialState.FAIL, None),
    ],
)
def test_what_optuna_is_told_of_an_end(
    status: TrialStatus, values: tuple[float, ...], state: TrialState, loss: float | None
) -> None:
    given = OptunaSampler(FINITE, 0)
    given.tell([created(), proposed(1, {"a": 1, "b": 0}), *ended(1, status, *values)])
    (trial,) = in_optuna(given)
    assert (trial.state, trial.value) == (state, loss)
    if state is TrialState.PRUNED:
        assert trial.intermediate_values == {len(values): loss}


def test_the_last_value_counts_where_it_is_the_score() -> None:
    given = OptunaSampler(FINITE, 0)
    events = [proposed(1, {"a": 1, "b": 0}), *ended(1, TrialStatus.COMPLETED, 0.9, 0.4)]
    given.tell([created(mode=Mode.MIN, score=Score.LAST), *events])
    assert in_optuna(given)[0].value == 0.4


def test_a_running_trial_is_known_as_such() -> None:
    given = OptunaSampler(FINITE, 0)
    given.tell([created(), proposed(1, {"a": True, "b": 2})])
    (trial,) = in_optuna(given)
    assert (trial.state, trial.params) == (TrialState.RUNNING, {"a": 1, "b": 2})


@pytest.mark.parametrize("kind", ["tpe", "cmaes"])
def test_a_model_that_knows_earlier_results_begins_where_they_were_good(kind: Kind) -> None:
    space = Space({name: Uniform(lower=0.0, upper=1.0) for name in "xy"})

    def distance(*known: KnownResult) -> float:
        given = OptunaSampler(space, 1, kind=kind)
        given.tell([created(), *known])
        configs = [given.ask(TrialId(trial)) or {} for trial in range(1, 9)]
        return sum(abs(float(str(value)) - 0.8) for config in configs for value in config.values())

    points = [(x / 5, y / 5) for x in range(6) for y in range(6)]
    known = [
        KnownResult(config={"x": x, "y": y}, score=-((x - 0.8) ** 2) - (y - 0.8) ** 2) for x, y in points
    ]
    pruned = [KnownResult(config={"x": 0.1, "y": 0.1}, score=9.0, pruned_at=1.0)]
    assert distance(*known, *pruned) < 0.6 * distance()


@pytest.mark.parametrize("kind", ["tpe", "cmaes"])
@pytest.mark.parametrize("count", [1, 2])
def test_few_earlier_results_are_enough_to_begin(kind: Kind, count: int) -> None:
    story = JobTimeline(OptunaSampler(SPACE, 1, kind=kind))
    for _ in range(count):
        story.tell(KnownResult(config={"lr": 0.1, "x": 0.0, "n": 2, "c": None}, score=math.nan))
    assert len(story.go_on(12).configs) == 12


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("gp", r"'gp' needs torch and scipy.*pip install 'trialjob\[gp\]'"),
        ("qmc", r"'qmc' needs scipy.*pip install 'trialjob\[qmc\]'"),
        ("sobol", r"'sobol' needs scipy.*pip install 'trialjob\[qmc\]'"),
    ],
)
def test_a_missing_package_is_named(kind: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (optuna_samplers, sobol):
        monkeypatch.setattr(module, "find_spec", lambda _name: None)
    with pytest.raises(UsageError, match=words):
        sampler(kind)


def test_what_the_user_has_set_up_in_optuna_stays() -> None:
    before: Callable[[], int] = optuna.logging.get_verbosity
    level = before()
    JobTimeline(OptunaSampler(SPACE, 0)).go_on(3)
    assert optuna.logging.get_verbosity() == level


def test_point_n_of_sobol_does_not_depend_on_what_was_asked() -> None:
    forwards = [SobolSampler(SPACE, 0).ask(TrialId(trial)) for trial in range(1, 9)]
    one = SobolSampler(SPACE, 0)
    assert [one.ask(TrialId(trial)) for trial in range(8, 0, -1)] == forwards[::-1]
    # Evenly: each eighth of a range holds one of eight points.
    assert sorted(int((float(str(config["x"])) + 1) * 4) for config in forwards if config) == list(range(8))
