from __future__ import annotations

import math
from pathlib import Path

import pytest

from trialjob.apps.service.experiments import Experiments
from trialjob.apps.service.runner import Runner
from trialjob.errors import UsageError
from trialjob.model.ids import ExperimentName, TrialId
from trialjob.model.limits import Limits
from trialjob.model.metric import Mode, Objective, Report, Score
from trialjob.model.space import Branches, Choice, LogUniform, RandInt, Space, Uniform
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core.events import (
    AttemptIntended,
    Event,
    ExperimentCreated,
    KnownResult,
    Record,
    ReportsRead,
    TrialEnded,
    TrialProposed,
)
from trialjob.orchestrator.core.evolve import apply
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.journals.codec import decode, encode
from trialjob.orchestrator.samplers.warm_start import Present, of_experiment, of_table
from trialjob.reporting.results import Result

ACCURACY = Objective(metric="acc", mode=Mode.MAX)
SPACE = Space({"lr": LogUniform(lower=1e-4, upper=1.0), "n": RandInt(lower=1, upper=9)})


def present(space: Space = SPACE, objective: Objective = ACCURACY, **constants: int) -> Present:
    return Present(space=space, constants=constants, objective=objective)


def earlier(
    *trials: tuple[dict[str, object], TrialStatus, float | None],
    objective: Objective = ACCURACY,
    **constants: int,
) -> State:
    """An experiment whose trials had these configurations, ends and scores."""
    events: list[Event] = [
        ExperimentCreated(
            name=ExperimentName("earlier"),
            document={"estimator": {"hyperparameters": constants}},
            bundle="",
            objective=objective,
            limits=Limits(max_trials=9),
            trialjob="0",
        )
    ]
    for number, (config, status, score) in enumerate(trials, 1):
        trial = TrialId(number)
        events.append(TrialProposed(trial=trial, config=config))  # type: ignore[arg-type]
        events.append(AttemptIntended(trial=trial, attempt=1, max_runtime=1.0))
        if score is not None:
            report = Report(resource=3.0, metrics={objective.metric: score}, at=0.0)
            events.append(ReportsRead(trial=trial, attempt=1, reports=(report,), cursor=""))
        events.append(TrialEnded(trial=trial, status=status, reason=""))
    state: State | None = None
    for event in events:
        state = apply(state, event, 0.0)
    assert state is not None
    return state


def test_completed_and_pruned_trials_are_known_and_others_are_not() -> None:
    state = earlier(
        ({"lr": 0.1, "n": 3}, TrialStatus.COMPLETED, 0.7),
        ({"lr": 0.2, "n": 3}, TrialStatus.PRUNED, 0.3),
        ({"lr": 0.3, "n": 3}, TrialStatus.FAILED, 0.9),
        ({"lr": 0.4, "n": 3}, TrialStatus.METRICS_UNAVAILABLE, None),
    )
    known = of_experiment(state, present())
    assert known.dropped == 0
    assert known.results == (
        KnownResult(config={"lr": 0.1, "n": 3}, score=0.7),
        KnownResult(config={"lr": 0.2, "n": 3}, score=0.3, pruned_at=3.0),
    )


def test_what_lies_outside_of_a_narrower_space_is_dropped_and_counted() -> None:
    state = earlier(
        ({"lr": 0.1, "n": 3}, TrialStatus.COMPLETED, 0.7), ({"lr": 0.5, "n": 3}, TrialStatus.COMPLETED, 0.8)
    )
    narrow = Space({"lr": LogUniform(lower=1e-3, upper=0.2), "n": Choice(values=(3, 4))})
    known = of_experiment(state, present(narrow))
    assert (len(known.results), known.dropped) == (1, 1)


def test_a_constant_is_a_value_like_any_other() -> None:
    wide = Space({**SPACE.tree, "depth": RandInt(lower=1, upper=5)})
    state = earlier(({"lr": 0.1, "n": 3}, TrialStatus.COMPLETED, 0.7), depth=2)
    assert of_experiment(state, present(wide)).results[0].config == {"lr": 0.1, "n": 3, "depth": 2}

    narrow = Space({"lr": SPACE.tree["lr"]})
    assert of_experiment(state, present(narrow, n=3)).results[0].config == {"lr": 0.1}
    assert of_experiment(state, present(narrow, n=4)).dropped == 1
    assert of_experiment(state, present(narrow)).dropped == 1


def test_scores_of_another_objective_mean_nothing() -> None:
    state = earlier(({"lr": 0.1, "n": 3}, TrialStatus.COMPLETED, 0.7))
    other = Objective(metric="loss", mode=Mode.MIN)
    with pytest.raises(UsageError, match="earlier has the objective max acc, this spec has min loss"):
        of_experiment(state, present(objective=other))


def test_a_score_is_what_counts_as_one_now() -> None:
    state = earlier(({"lr": 0.1, "n": 3}, TrialStatus.PRUNED, 0.7))
    again = ReportsRead(
        trial=TrialId(1), attempt=1, reports=(Report(resource=4.0, metrics={"acc": 0.2}, at=0.0),), cursor=""
    )
    state = apply(state, again, 0.0)
    last = Objective(metric="acc", mode=Mode.MAX, score=Score.LAST)
    steps = Objective(metric="acc", mode=Mode.MAX, resource="step")
    found = [of_experiment(state, present(objective=each)).results[0] for each in (ACCURACY, last, steps)]
    assert [(each.score, each.pruned_at) for each in found] == [(0.7, 4.0), (0.2, 4.0), (0.7, 0.0)]


def test_what_is_called_like_a_column_of_the_results_is_found_in_its_own() -> None:
    trained = Objective(metric="seconds", mode=Mode.MIN)
    space = Space(
        {"attempts": RandInt(lower=1, upper=9), "config.n": RandInt(lower=1, upper=9), "n": SPACE.tree["n"]}
    )
    config: dict[str, object] = {"attempts": 7, "config.n": 4, "n": 3}
    state = earlier((config, TrialStatus.COMPLETED, 0.5), objective=trained)
    known = of_table(Result(state).to_csv(), "t.csv", present(space, trained))
    assert [(each.config, each.score) for each in known.results] == [(config, 0.5)]


def test_a_word_for_no_number_may_be_a_value() -> None:
    space = Space({"fill": Choice(values=("NaN", "mean"))})
    known = of_table("fill,acc\nNaN,0.5\n1e999,0.4\n", "t.csv", present(space))
    assert ([each.config for each in known.results], known.dropped) == ([{"fill": "NaN"}], 1)


@pytest.mark.parametrize("cell", ["1" * 400, "[" * 5000], ids=["larger than a float", "nested"])
def test_a_cell_that_is_no_value_of_the_space_is_left_out(cell: str) -> None:
    space = Space({"fill": Choice(values=("mean", "none"))})
    known = of_table(f"fill,acc\n{cell},0.5\nmean,0.4\n", "t.csv", present(space))
    assert ([each.config for each in known.results], known.dropped) == ([{"fill": "mean"}], 1)


def test_a_table_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"rate,loss\n{'1' * 200_000},0.5\n")
    study = {
        "metric": "loss",
        "mode": "min",
        "space": {"rate": {"type": "uniform", "lower": 0, "upper": 1}},
        "sampler": {"kind": "tpe", "warm_start": [str(tmp_path / "t.csv")]},
        "limits": {"max_trials": 1},
    }
    with pytest.raises(UsageError, match=r"sampler\.warm_start: .*t\.csv cannot be read: field larger"):
        Experiments(str(tmp_path / "store"), Runner(), tmp_path).start_study(study, key="")


def test_the_results_of_an_experiment_are_a_table() -> None:
    state = earlier(
        ({"lr": 0.1, "n": 3}, TrialStatus.COMPLETED, 0.7),
        ({"lr": 0.2, "n": 3}, TrialStatus.PRUNED, math.nan),
        ({"lr": 0.3, "n": 3}, TrialStatus.CANCELLED, 0.9),
    )
    known, same = of_table(Result(state).to_csv(), "t.csv", present()), of_experiment(state, present())
    assert repr(known) == repr(same)


def test_a_table_of_somebody_else() -> None:
    text = "n,lr,acc,comment\n3.0,1e-2,0.5,good\n7,0.1,,no score\n99,0.1,0.6,outside\n4, 0.5 ,0.25,\n"
    known = of_table(text, "t.csv", present())
    assert known.dropped == 1
    assert [(result.config, result.score) for result in known.results] == [
        ({"lr": 0.01, "n": 3}, 0.5),
        ({"lr": 0.5, "n": 4}, 0.25),
    ]


def test_cells_are_read_as_the_domain_means_them() -> None:
    space = Space(
        {
            "a": Choice(values=(None, True, "1", 2, "x,y", (1, 2))),
            "b": Branches(
                values=("on", "off"), branches={"on": {"c": Uniform(lower=0.0, upper=1.0)}, "off": {}}
            ),
        }
    )
    text = (
        'a,b,c,acc\n,off,,1\ntrue,on,0.5,2\n1,off,,3\n2.0,off,7,4\n"x,y",off,,5\n"[1, 2]",off,,6\n2,on,,7\n'
    )
    known = of_table(text, "t.csv", present(space))
    assert [result.config["a"] for result in known.results] == [None, True, "1", 2, "x,y", [1, 2]]
    assert known.results[1].config == {"a": True, "b": "on", "c": 0.5}
    assert known.results[3].config == {"a": 2, "b": "off"}
    assert known.dropped == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "t.csv has no column lr, n, score; it has: none"),
        ("lr,acc\n", "t.csv has no column n; it has: lr, acc"),
        ("lr,n\n", r"t.csv has no column acc \(or score\); it has: lr, n"),
    ],
)
def test_a_column_that_is_missing_is_named(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        of_table(text, "t.csv", present())


@pytest.mark.parametrize("score", [0.5, math.nan, -math.inf])
def test_it_is_kept_in_a_journal_as_it_is(score: float) -> None:
    events = (KnownResult(config={"lr": 5e-324, "n": [None]}, score=score, pruned_at=1.5),)
    record = Record(version=1, at=0.0, events=events)
    assert repr(decode(encode(record), "here")) == repr(record)


def test_rows_that_cannot_be_read_are_counted_and_the_first_is_told() -> None:
    text = 'lr,n,acc\n0.01,3,"0,5"\n0.02,4,"0,6"\n0.04,5,0.7\n0.1,6,\n'
    known = of_table(text, "t.csv", present())
    assert [result.score for result in known.results] == [0.7]
    assert (known.unread, known.first_unread) == (3, "line 2: acc is '0,5', which is no number")
    text = 'lr,n,acc\n"0,01",3,0.5\n0.02,four,0.6\n0.04,5,1e400\n2,5,0.7\n0.1,6,0.8\n'
    known = of_table(text, "t.csv", present())
    assert [result.score for result in known.results] == [0.8]
    assert (known.dropped, known.unread) == (1, 3)
    assert known.first_unread == "line 2: lr is '0,01', which is no number"
    pruned = "lr,n,acc,status,resource\n0.01,3,0.5,pruned,3 epochs\n0.01,3,,failed,\n"
    known = of_table(pruned, "t.csv", present())
    assert (known.unread, known.first_unread) == (1, "line 2: resource is '3 epochs', which is no number")
