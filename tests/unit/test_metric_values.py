"""Every metric of a trial: at its score, last and best, and how a table of them is chosen from."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from trialjob.errors import UsageError
from trialjob.model.ids import TrialId
from trialjob.model.limits import Limits
from trialjob.model.metric import MetricGoal, Mode, NanPolicy, Objective, Report, Score
from trialjob.orchestrator.core.events import (
    AttemptIntended,
    Event,
    Record,
    ReportsRead,
    TrialProposed,
)
from trialjob.orchestrator.core.evolve import replay
from trialjob.orchestrator.core.state import State
from trialjob.reporting.metric_values import MetricValues, direction
from trialjob.reporting.results import Result
from trialjob.reporting.row_selection import Choice
from trialjob.reporting.tables import print_results
from trialjob.testing.histories import beginning


def state_of(*trials: Sequence[tuple[float, Mapping[str, float]]], **objective: object) -> State:
    goal = Objective(**{"metric": "val_acc", "mode": Mode.MAX, **objective})  # type: ignore[arg-type]
    events: list[Event] = [beginning("digits", goal, Limits(max_trials=9))]
    for number, reports in enumerate(trials, start=1):
        this = TrialId(number)
        read = tuple(Report(resource=epoch, metrics=metrics, at=1.0) for epoch, metrics in reports)
        events += [
            TrialProposed(trial=this, config={"lr": number / 10}),
            AttemptIntended(trial=this, attempt=1, max_runtime=60.0),
            ReportsRead(trial=this, attempt=1, reports=read, cursor=""),
        ]
    state = replay([Record(version=1, at=100.0, events=tuple(events))])
    assert state is not None
    return state


def metrics(*reports: tuple[float, Mapping[str, float]], **objective: object) -> Mapping[str, MetricValues]:
    return Result(state_of(list(reports), **objective)).trials[0].metrics


def values(at_score: float | None, last: float | None, best: float | None) -> MetricValues:
    return MetricValues(at_score=at_score, last=last, best=best)


def test_a_metric_has_its_value_at_the_score_the_last_and_the_best() -> None:
    found = metrics(
        (1, {"epoch": 1, "val_acc": 0.5, "train_loss": 0.9, "alpha": 7.0}),
        (2, {"epoch": 2, "val_acc": 0.8, "train_loss": 0.4, "alpha": 8.0}),
        (3, {"epoch": 3, "val_acc": 0.7, "train_loss": 0.2, "alpha": 9.0}),
    )
    assert found == {
        "val_acc": values(0.8, 0.7, 0.8),
        "train_loss": values(0.4, 0.2, 0.2),
        "alpha": values(8.0, 9.0, None),
    }
    latest = metrics((1, {"val_acc": 0.8, "loss": 1.0}), (2, {"val_acc": 0.7, "loss": 2.0}), score=Score.LAST)
    assert latest == {"val_acc": values(0.7, 0.7, 0.8), "loss": values(2.0, 2.0, 1.0)}


def test_what_is_reported_apart_from_the_score_belongs_to_it_by_resource_else_by_order() -> None:
    found = metrics(
        (1, {"loss": 0.9}), (2, {"val_acc": 0.8}), (2, {"f1": 0.3}), (3, {"loss": 0.1, "f1": 0.9})
    )
    assert found["f1"].at_score == 0.3
    assert found["loss"].at_score == 0.9
    # A second attempt has trained the epoch again; its loss is not that of the better model.
    again = metrics(
        (1, {"val_acc": 0.8}), (1, {"loss": 0.2}), (1, {"val_acc": 0.7}), (1, {"loss": 0.3}), (1, {"f1": 0.1})
    )
    assert again["loss"] == values(0.2, 0.3, 0.2)
    assert again["f1"].at_score is None
    late = metrics((1, {"val_acc": 0.8}), (2, {"loss": 0.1}))
    assert late["loss"] == values(None, 0.1, 0.1)


def test_further_objectives_are_as_the_results_have_them() -> None:
    goals = (MetricGoal(metric="latency", mode=Mode.MIN),)
    found = metrics(
        (1, {"val_acc": 0.8, "latency": 3.0}), (2, {"val_acc": 0.7, "latency": 1.0}), others=goals
    )
    assert found["latency"] == values(3.0, 1.0, 1.0)


def test_nan_is_no_best_and_may_be_no_value() -> None:
    assert metrics((1, {"val_acc": math.nan, "loss": math.nan}))["loss"].best is None
    ignored = metrics(
        (1, {"val_acc": 0.5}), (2, {"val_acc": math.nan}), nan=NanPolicy.IGNORE, score=Score.LAST
    )
    assert (ignored["val_acc"].at_score, ignored["val_acc"].best) == (0.5, 0.5)


def test_a_trial_without_a_score_has_its_metrics_too() -> None:
    assert metrics((1, {"loss": 0.5})) == {"loss": values(None, 0.5, 0.5)}


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        *(("eval_loss", Mode.MIN), ("val/mse", Mode.MIN), ("Perplexity", Mode.MIN), ("top1-acc", Mode.MAX)),
        *(
            ("eval_f1", Mode.MAX),
            ("learning_rate", None),
            ("accuracy_loss", None),
            ("map_location", Mode.MAX),
        ),
        *(("score", Mode.MAX), ("mine", Mode.MIN)),
    ],
)
def test_which_way_is_better_is_said_by_the_spec_or_the_name(name: str, mode: Mode | None) -> None:
    goals = (MetricGoal(metric="mine", mode=Mode.MIN),)
    assert direction(name, Objective(metric="val_acc", mode=Mode.MAX, others=goals)) is mode


NUMBERS = st.one_of(st.none(), st.floats(allow_infinity=False), st.integers(-3, 3).map(float))


@given(st.lists(NUMBERS, max_size=6), st.booleans())
def test_sorting_puts_what_is_not_known_last_and_loses_nothing(
    losses: list[float | None],
    turned: bool,
) -> None:
    trials: list[list[tuple[float, Mapping[str, float]]]] = [
        [(1, {"val_acc": 0.5, "loss": loss} if loss is not None else {"val_acc": 0.5})] for loss in losses
    ]
    table = Result(state_of([(1, {"loss": 0.0})], *trials)).table(Choice(sort="-loss" if turned else "loss"))
    assert sorted(table.trials) == list(range(1, len(losses) + 2))
    found = [row[table.columns.index("loss")] for row in table.rows]
    known = [value for value in found if isinstance(value, float) and not math.isnan(value)]
    assert found[: len(known)] == sorted(known, reverse=turned)


def test_texts_and_times_sort_too_and_equals_keep_their_order() -> None:
    result = Result(state_of(*([(1, {"val_acc": 0.5})] for _ in range(3))))
    assert result.table(Choice(sort="status")).trials == [1, 2, 3]
    assert result.table(Choice(sort="-status")).trials == [1, 2, 3]
    assert result.table(Choice(sort="-lr", top=2)).trials == [3, 2]
    with pytest.raises(UsageError, match="did you mean 'val_acc'"):
        result.table(Choice(columns=("valacc",)))


def test_the_terminal_shows_the_metrics_that_fit_and_names_the_others() -> None:
    names = [f"metric_number_{number}" for number in range(30)]
    state = state_of([(1, {"val_acc": 0.5, **dict.fromkeys(names, 0.25)})])

    def shown(width: int) -> str:
        out = Console(file=io.StringIO(), width=width)
        print_results(out, state)
        return out.file.getvalue()  # type: ignore[attr-defined, no-any-return]

    narrow, wide = shown(80), shown(900)
    assert "metric_number_0 " in narrow
    assert "metrics that there is no room for:" in narrow
    assert all(len(line) <= 80 for line in narrow.splitlines() if "number_0" in line)
    assert "no room" not in wide
    assert all(name in wide for name in names)
