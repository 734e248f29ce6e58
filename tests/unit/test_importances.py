"""Which hyperparameters matter, and the best trial's model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import cycle
from pathlib import Path

import optuna
import pytest

from trialjob import Script, Tuner, UsageError, maximize, random_search
from trialjob.model.ids import TrialId
from trialjob.model.job import JobEnd, Outcome
from trialjob.model.json import Json
from trialjob.model.limits import Limits
from trialjob.model.metric import Mode, Objective, Report
from trialjob.model.space import Branches, Choice, LogUniform, Normal, RandInt, Space, Uniform
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core.events import (
    AttemptEnded,
    AttemptIntended,
    Event,
    Record,
    ReportsRead,
    TrialEnded,
    TrialProposed,
)
from trialjob.orchestrator.core.evolve import replay
from trialjob.orchestrator.samplers.random import RandomSampler
from trialjob.reporting.results import Result
from trialjob.testing.histories import beginning


def searched(
    space: Space, score: Callable[[Mapping[str, Json]], float], trials: int = 60, mode: Mode = Mode.MAX
) -> Result:
    events: list[Event] = [beginning("e", Objective(metric="m", mode=mode), Limits(max_trials=trials))]
    sampler = RandomSampler(space, 0)
    for number in range(1, trials + 1):
        this = TrialId(number)
        config = sampler.ask(this) or {}
        reports = (Report(resource=1, metrics={"m": score(config)}, at=0.0),)
        events += [
            TrialProposed(trial=this, config=config),
            AttemptIntended(trial=this, attempt=1, max_runtime=60.0),
            ReportsRead(trial=this, attempt=1, reports=reports, cursor=""),
            AttemptEnded(trial=this, attempt=1, end=JobEnd(outcome=Outcome.COMPLETED, seconds=1.0)),
            TrialEnded(trial=this, status=TrialStatus.COMPLETED, reason=""),
        ]
    state = replay([Record(version=1, at=0.0, events=tuple(events))])
    assert state is not None
    return Result(state, None, space)


class Uncopied(str):
    """A value that must not be copied."""

    __slots__ = ()

    def __deepcopy__(self, memo: object) -> Uncopied:
        raise AssertionError("it is copied")


def test_values_are_not_copied_for_optuna() -> None:
    space = Space({"x": Uniform(lower=0.0, upper=1.0), "kind": Choice(values=(Uncopied("a"), Uncopied("b")))})
    found = searched(space, lambda config: float(str(config["x"])))
    assert list(found.importances()) == ["x", "kind"]


WIDE = Space({f"<x{place}>": Uniform(lower=0.0, upper=1.0) for place in range(40)})


@pytest.mark.parametrize("mode", list(Mode))
def test_the_one_that_matters_is_first_of_forty(mode: Mode) -> None:
    sign = 1.0 if mode is Mode.MAX else -1.0
    found = searched(WIDE, lambda config: sign * float(str(config["<x7>"])), 200, mode).importances()
    assert next(iter(found)) == "<x7>"
    assert sum(found.values()) == pytest.approx(1.0)
    assert len(found) == 40


def test_every_kind_of_domain_has_its_share() -> None:
    space = Space(
        {
            "kind": Branches(
                values=("a", "b"), branches={"a": {"only": Uniform(lower=0.0, upper=1.0)}, "b": {}}
            ),
            "many": Choice(values=tuple(f'é"{n}<script>' for n in range(200))),
            "odd": Choice(values=(1, True, None, [1, {"x": 2}])),
            "n": RandInt(lower=1, upper=9),
            "lr": LogUniform(lower=1e-5, upper=1.0),
            "any": Normal(mu=0.0, sigma=3.0),
            "one": Choice(values=("same",)),
        }
    )
    found = searched(space, lambda config: math.log(float(str(config["lr"])))).importances()
    assert next(iter(found)) == "lr"
    assert set(found) == {"kind", "only", "many", "odd", "n", "lr", "any", "one"}
    assert found["one"] == 0.0


BOTH = Space({name: Uniform(lower=0.0, upper=1.0) for name in "abcd"})


def of(config: Mapping[str, Json], name: str) -> float:
    return float(str(config[name]))


@pytest.mark.parametrize(
    "score",
    [
        lambda config: 2 * of(config, "a") + of(config, "b"),
        lambda config: -4 * (of(config, "a") - 0.5) ** 2 - 2 * (of(config, "b") - 0.5) ** 2,
        lambda config: math.exp(-(((of(config, "a") - 0.3) / 0.1) ** 2)) + 0.2 * of(config, "b"),
    ],
    ids=["linear", "quadratic", "narrow"],
)
def test_of_functions_with_a_known_answer_the_right_one_is_first(
    score: Callable[[Mapping[str, Json]], float],
) -> None:
    found = searched(BOTH, score, 60).importances()
    assert next(iter(found)) == "a"
    assert found["a"] > 2 * found.get("c", 0.0)
    assert set(found.spread) == set("abcd")
    assert all(0 <= spread < 0.5 for spread in found.spread.values())
    assert "PED-ANOVA" in found.method
    assert searched(BOTH, score, 60).importances().spread == found.spread


def test_why_nothing_is_said_is_said() -> None:
    assert searched(BOTH, lambda config: of(config, "a"), trials=9).importances().reason == (
        "it takes 10 trials that have ended with a score; so far 9"
    )
    assert (
        searched(BOTH, lambda _: 0.5, trials=12).importances().reason == "all 12 trials have the same score"
    )


def test_nothing_is_said_where_nothing_is_known() -> None:
    one = Space({"x": Uniform(lower=0.0, upper=1.0)})
    assert searched(one, lambda config: float(str(config["x"])), trials=9).importances() == {}
    assert searched(one, lambda _config: 0.5).importances() == {}
    assert searched(one, lambda _config: math.nan).importances() == {}
    assert searched(one, lambda _config: math.inf, trials=0).importances() == {}


def test_what_is_not_finite_is_as_bad_as_the_worst() -> None:
    bad = cycle([math.nan, -math.inf])

    def score(config: Mapping[str, Json]) -> float:
        value = float(str(config["<x3>"]))
        return next(bad) if value < 0.3 else value

    level = optuna.logging.get_verbosity()
    assert next(iter(searched(WIDE, score, 200).importances())) == "<x3>"
    assert optuna.logging.get_verbosity() == level


def test_the_best_model_is_brought_from_where_its_job_left_it(tmp_path: Path) -> None:
    (tmp_path / "t.sh").write_text('echo "acc=$SM_HP_LR"; echo "$SM_HP_LR" > "$SM_MODEL_DIR/w"')
    tuner = Tuner(
        estimator=Script("t.sh", source_dir=str(tmp_path)),
        space={"lr": {"type": "uniform", "lower": 0, "upper": 1}},
        objective=maximize("acc"),
        metrics={"acc": "acc=({number})"},
        sampler=random_search(seed=1),
        limits={"max_trials": 3, "max_concurrent_trials": 3},
        name="best",
        store=tmp_path / "store",
    )
    result = tuner.run()
    best = result.best
    assert best.artifact is not None
    assert Path(best.artifact, "w").exists()
    again = Tuner.attach("best", store=tmp_path / "store").result()
    model = again.best_model(tmp_path / "models")
    assert model == tmp_path / "models" / f"trial-{best.trial:04d}" / "model"
    assert float((model / "w").read_text()) == best.score
    assert again.best_model(tmp_path / "models") == model
    assert "best" in again._repr_html_()


def test_without_a_model_it_says_why() -> None:
    with pytest.raises(UsageError, match="no score is a number yet"):
        searched(WIDE, lambda _config: 1.0, trials=0).best_model()
    with pytest.raises(UsageError, match="has not left a model yet"):
        searched(WIDE, lambda _config: 1.0, trials=2).best_model()
