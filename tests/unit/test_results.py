"""Results are read off a state made by replaying events by hand."""

from __future__ import annotations

import csv
import io
import json
import math
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialjob.apps.cli.errors import ExitStatus
from trialjob.apps.cli.running import exit_status
from trialjob.errors import NoBestTrial
from trialjob.model.ids import TrialId
from trialjob.model.job import FailureKind, JobEnd, Outcome
from trialjob.model.json import Json
from trialjob.model.limits import Limits
from trialjob.model.metric import Mode, Objective, Report
from trialjob.model.trial import EndKind, EndReason, TrialStatus
from trialjob.orchestrator.core.decide import decide
from trialjob.orchestrator.core.events import (
    AttemptEnded,
    AttemptIntended,
    Event,
    ExperimentCreated,
    ExperimentEnded,
    ExperimentEnding,
    Record,
    ReportsRead,
    TrialEnded,
    TrialProposed,
)
from trialjob.orchestrator.core.evolve import replay
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.stopping.none import NoStopping
from trialjob.reporting.results import Result
from trialjob.testing.histories import beginning


def created(mode: Mode = Mode.MAX) -> ExperimentCreated:
    return beginning("digits", Objective(metric="acc", mode=mode), Limits(max_trials=9))


def state_of(*events: Event, mode: Mode = Mode.MAX) -> State:
    state = replay([Record(version=1, at=100.0, events=(created(mode), *events))])
    assert state is not None
    return state


def trial(
    number: int,
    values: list[float],
    *,
    config: Mapping[str, Json] | None = None,
    status: TrialStatus | None = TrialStatus.COMPLETED,
    end: JobEnd | None = None,
    reason: str = "",
) -> list[Event]:
    this = TrialId(number)
    reports = tuple(Report(resource=i, metrics={"acc": v}, at=1.0) for i, v in enumerate(values, start=1))
    events: list[Event] = [
        TrialProposed(trial=this, config=config or {"lr": number / 10}),
        AttemptIntended(trial=this, attempt=1, max_runtime=60.0),
        ReportsRead(trial=this, attempt=1, reports=reports, cursor=""),
    ]
    if status is not None:
        ended = end or JobEnd(outcome=Outcome.COMPLETED, seconds=10.0, dollars=0.5)
        events += [
            AttemptEnded(trial=this, attempt=1, end=ended),
            TrialEnded(trial=this, status=status, reason=reason),
        ]
    return events


def test_best_is_the_highest_and_of_equals_the_earlier() -> None:
    best = Result(state_of(*trial(1, [0.1]), *trial(2, [0.9, 0.3]), *trial(3, [0.9]))).best
    assert best is not None
    assert (best.trial, best.score, best.resource) == (2, 0.9, 2)


def test_best_is_the_lowest_when_minimising() -> None:
    best = Result(state_of(*trial(1, [0.4]), *trial(2, [0.2]), mode=Mode.MIN)).best
    assert best is not None
    assert best.trial == 2


@pytest.mark.parametrize("mode", list(Mode))
def test_nan_is_never_the_best(mode: Mode) -> None:
    nothing = Result(state_of(*trial(1, [math.nan]), mode=mode))
    assert nothing.best_or_none() is None
    with pytest.raises(NoBestTrial, match="no trial of digits has a value of acc yet"):
        _ = nothing.best
    assert Result(state_of(*trial(1, [math.nan]), *trial(2, [0.1]), mode=mode)).best.trial == 2


def test_a_failed_trial_is_not_the_best_but_keeps_its_score() -> None:
    failed = JobEnd(outcome=Outcome.FAILED, failure=FailureKind.USER_CODE, message="exit 1", tail="boom\n")
    state = state_of(
        *trial(1, [0.99], status=TrialStatus.FAILED, end=failed, reason="user_code: exit 1\nboom\n"),
        *trial(2, [0.5]),
    )
    result = Result(state)
    assert result.best.trial == 2
    assert result.trials[0].score == 0.99
    assert result.trials[0].reason == "user_code: exit 1"


def test_what_is_not_known_is_none_and_never_zero() -> None:
    running = Result(state_of(*trial(1, [0.5], status=None))).trials[0]
    assert (running.seconds, running.dollars, running.attempts) == (None, None, 1)
    end = JobEnd(outcome=Outcome.COMPLETED, seconds=7.0)
    unpriced = Result(state_of(*trial(1, [0.5], end=end))).trials[0]
    assert (unpriced.seconds, unpriced.dollars) == (7.0, None)
    proposed = Result(state_of(TrialProposed(trial=TrialId(1), config={}))).trials[0]
    assert (proposed.seconds, proposed.score, proposed.attempts) == (None, None, 0)


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (EndKind.MAX_TRIALS, "finished"),
        (EndKind.TIMEOUT, "finished"),
        (EndKind.SPACE_EXHAUSTED, "finished"),
        (EndKind.MAX_FAILURES, "failed"),
        (EndKind.NO_RESULT, "failed"),
        (EndKind.STOPPED, "stopped"),
    ],
)
def test_states(kind: EndKind, word: str) -> None:
    reason = EndReason(kind=kind, detail="because")
    assert Result(state_of()).state == "running"
    ending = Result(state_of(ExperimentEnding(reason=reason)))
    assert (ending.state, ending.reason) == ("ending", kind.value)
    ended = Result(state_of(ExperimentEnding(reason=reason), ExperimentEnded(reason=reason)))
    assert (ended.state, ended.reason, ended.detail) == (word, kind.value, "because")


def test_json_is_one_strict_object() -> None:
    text = Result(
        state_of(*trial(1, [math.inf]), *trial(2, [math.nan], config={"x": [1, "é\x1b"]}))
    ).to_json()

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    value = json.loads(text, parse_constant=refuse)
    assert list(value) == [
        *("experiment", "state", "reason", "detail", "best", "costs", "warnings", "pareto", "trials")
    ]
    assert list(value["trials"][0]) == [
        *("trial", "status", "config", "score", "others", "resource", "attempts", "proposed_at"),
        *("started_at", "ended_at", "seconds", "idle_seconds", "dollars", "wasted_dollars", "reason"),
        *("artifact", "metrics"),
    ]
    assert value["trials"][0]["metrics"] == {"acc": {"at_score": None, "last": None, "best": None}}
    assert [row["score"] for row in value["trials"]] == [None, None]
    assert value["trials"][1]["config"] == {"x": [1, "é\x1b"]}
    assert text.isascii()


def test_an_experiment_without_trials_has_results_too() -> None:
    result = Result(state_of())
    assert json.loads(result.to_json())["best"] is None
    assert result.to_csv().splitlines() == [
        ",".join(
            [
                *(
                    "trial",
                    "status",
                    "score",
                    "resource",
                    "attempts",
                    "proposed_at",
                    "started_at",
                    "ended_at",
                ),
                *("seconds", "idle_seconds", "dollars", "wasted_dollars", "reason", "artifact"),
            ]
        )
    ]
    assert len(result.dataframe()) == 0
    assert list(result.reports().columns) == ["trial", "attempt", "resource", "at"]


def test_columns_are_prefixed_only_when_they_clash() -> None:
    config: dict[str, Json] = {"lr": 0.5, "score": 3, "config.score": 4, "note": 'a,"b"\n', "flag": True}
    result = Result(state_of(*trial(1, [0.25], config=config), *trial(2, [0.5], config={"other": None})))
    frame = result.dataframe()
    assert list(frame.columns)[:8] == [
        *("trial", "status", "lr", "config.config.score", "config.score", "note", "flag", "other")
    ]
    assert frame["config.config.score"][0] == 3
    assert frame["config.score"][0] == 4
    rows = list(csv.DictReader(io.StringIO(result.to_csv())))
    assert rows[0]["note"] == 'a,"b"\n'
    assert (rows[0]["flag"], rows[0]["score"], rows[1]["lr"]) == ("true", "0.25", "")


@given(st.lists(st.one_of(st.floats(), st.just(0.5)), max_size=8), st.sampled_from(list(Mode)))
def test_best_is_never_beaten(scores: list[float], mode: Mode) -> None:
    events = [event for number, score in enumerate(scores, start=1) for event in trial(number, [score])]
    state = state_of(*events, mode=mode)
    best = Result(state).best_or_none()
    numbers = [score for score in scores if not math.isnan(score)]
    if not numbers:
        assert best is None
        return
    assert best is not None
    target = max(numbers) if mode is Mode.MAX else min(numbers)
    assert best.trial == scores.index(target) + 1
    json.loads(Result(state).to_json())


def test_without_pandas_it_says_what_to_install() -> None:
    program = """
import sys
sys.modules["pandas"] = None
from trialjob.errors import UsageError
from trialjob.reporting.frames import Table
try:
    Table([], [], frozenset()).frame()
except UsageError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "trialjob[pandas]" in done.stdout


def test_a_row_for_each_report_with_the_attempt_that_made_it() -> None:
    this = TrialId(1)
    again: list[Event] = [
        AttemptIntended(trial=this, attempt=2, max_runtime=60.0),
        ReportsRead(
            trial=this,
            attempt=2,
            reports=(Report(resource=2, metrics={"acc": 0.7, "at": 5.0}, at=2.5),),
            cursor="",
        ),
    ]
    lost = AttemptEnded(trial=this, attempt=1, end=JobEnd(outcome=Outcome.FAILED, failure=FailureKind.LOST))
    state = state_of(*trial(1, [0.1, 0.2], status=None), lost, *again)
    frame = Result(state).reports()
    assert list(frame.columns) == ["trial", "attempt", "resource", "at", "acc", "metric.at"]
    assert frame["attempt"].tolist() == [1, 1, 2]
    assert frame["acc"].tolist() == [0.1, 0.2, 0.7]
    assert frame["metric.at"].isna().tolist() == [True, True, False]
    assert frame["at"][2].isoformat() == "1970-01-01T00:00:02.500000+00:00"


def test_times_of_a_trial() -> None:
    end = JobEnd(outcome=Outcome.COMPLETED, started_at=101.0, ended_at=160.0, seconds=59.0)
    result = Result(state_of(*trial(1, [0.5], end=end), *trial(2, [0.5], status=None)))
    first, second = result.trials
    assert (first.proposed_at, first.started_at, first.ended_at) == (100.0, 100.0, 160.0)
    assert (second.started_at, second.ended_at) == (100.0, None)
    frame = result.dataframe()
    assert str(frame["ended_at"][0]) == "1970-01-01 00:02:40+00:00"
    row = next(csv.DictReader(io.StringIO(result.to_csv())))
    assert row["ended_at"] == "1970-01-01T00:02:40.000+00:00"
    assert json.loads(result.to_json())["trials"][0]["ended_at"] == row["ended_at"]


FAILED = JobEnd(outcome=Outcome.FAILED, failure=FailureKind.USER_CODE, message="exit code 1", seconds=1.0)


@pytest.mark.parametrize(
    "kind", [EndKind.MAX_TRIALS, EndKind.SPACE_EXHAUSTED, EndKind.TARGET, EndKind.TIMEOUT]
)
def test_an_experiment_of_which_every_trial_failed_has_failed(kind: EndKind) -> None:
    over = ExperimentEnded(reason=EndReason(kind=kind, detail=""))
    failed = trial(1, [0.5], status=TrialStatus.FAILED, end=FAILED)
    without = trial(2, [], status=TrialStatus.METRICS_UNAVAILABLE)
    state = state_of(*failed, *without, over)
    assert (Result(state).state, exit_status(state)) == ("failed", ExitStatus.FAILED)
    some = state_of(*failed, *trial(2, [0.5]), over)
    assert (Result(some).state, exit_status(some)) == ("finished", ExitStatus.DONE)
    stopped = state_of(*failed, ExperimentEnded(reason=EndReason(kind=EndKind.STOPPED, detail="")))
    assert exit_status(stopped) == ExitStatus.CAN_GO_ON


def test_a_score_read_in_an_error_is_no_result() -> None:
    state = state_of(
        *[e for n in range(1, 10) for e in trial(n, [0.5], status=TrialStatus.FAILED, end=FAILED)]
    )
    state = replace(state, limits=Limits(max_trials=9, max_failures=99))
    (ended,) = decide(state, (), NoStopping(), 200.0).events
    assert isinstance(ended, ExperimentEnded)
    assert ended.reason.kind is EndKind.NO_RESULT


@pytest.mark.parametrize(("mode", "value"), [(Mode.MAX, math.inf), (Mode.MIN, -math.inf)])
def test_an_infinite_score_is_told_and_reaches_no_target(mode: Mode, value: float) -> None:
    events = [*trial(1, [value]), *trial(2, [0.5])]
    (warning,) = Result(state_of(*events, mode=mode)).warnings()
    assert f"trial 1 reported {value} for acc" in warning
    assert Result(state_of(*trial(1, [-value, 0.5]), mode=mode)).warnings() == []
    far = Limits(max_trials=9, target=0.7 if mode is Mode.MAX else 0.3)
    state = replace(state_of(*events, mode=mode), limits=far)
    assert not any(
        isinstance(event, ExperimentEnding) for event in decide(state, (), NoStopping(), 200.0).events
    )
    near = replace(state, limits=Limits(max_trials=9, target=0.5))
    (ending,) = [e for e in decide(near, (), NoStopping(), 200.0).events if isinstance(e, ExperimentEnding)]
    assert ending.reason.kind is EndKind.TARGET


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_scores_of_which_none_is_finite_are_told(value: float) -> None:
    (warning,) = Result(state_of(*trial(1, [value]), *trial(2, [value]))).warnings()
    assert "nothing is known of acc" in warning
    assert Result(state_of(*trial(1, [value]), *trial(2, [0.5]))).warnings() == []
