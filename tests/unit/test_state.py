from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialjob.errors import InvariantError
from trialjob.model.ids import TrialId
from trialjob.model.job import JobEnd, Outcome
from trialjob.model.limits import Limits
from trialjob.model.metric import Mode, Objective, Report, Score
from trialjob.model.trial import AttemptStatus, EndKind, EndReason, Phase, TrialStatus
from trialjob.orchestrator.core import transitions
from trialjob.orchestrator.core.events import (
    AttemptEnded,
    AttemptIntended,
    Event,
    ExperimentCreated,
    ExperimentEnded,
    ExperimentResumed,
    JobProgressed,
    JobSubmitted,
    Record,
    ReportsRead,
    TrialEnded,
    TrialProposed,
)
from trialjob.orchestrator.core.evolve import apply, evolve, replay
from trialjob.orchestrator.core.rung import Rung
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial, Trials
from trialjob.testing.histories import beginning

ONE = TrialId(1)
END = JobEnd(outcome=Outcome.COMPLETED, exit_code=0, seconds=3.0, dollars=0.0)


def created(score: Score = Score.BEST) -> ExperimentCreated:
    return beginning("e", Objective(metric="acc", mode=Mode.MAX, score=score), Limits(max_trials=5))


def after(*events: Event, score: Score = Score.BEST) -> State:
    state = apply(None, created(score), 1.0)
    for event in events:
        state = apply(state, event, 2.0)
    return state


PROPOSED = TrialProposed(trial=ONE, config={"x": 1})
INTENDED = AttemptIntended(trial=ONE, attempt=1, max_runtime=60.0)
SUBMITTED = JobSubmitted(trial=ONE, attempt=1)


def reports(*values: tuple[float, float]) -> ReportsRead:
    made = tuple(Report(resource=at, metrics={"acc": value}, at=0.0) for at, value in values)
    return ReportsRead(trial=ONE, attempt=1, reports=made, cursor="7")


def test_a_trial_lives_and_ends() -> None:
    state = after(PROPOSED)
    assert state.open == {1}
    assert state.count(TrialStatus.PROPOSED) == 1
    state = after(PROPOSED, INTENDED)
    assert state.trials[ONE].status is TrialStatus.RUNNING
    live = state.trials[ONE].live
    assert live is not None
    assert live.status is AttemptStatus.INTENDED
    ended = AttemptEnded(trial=ONE, attempt=1, end=END)
    state = after(PROPOSED, INTENDED, SUBMITTED, ended)
    assert state.trials[ONE].live is None
    state = after(
        PROPOSED,
        INTENDED,
        SUBMITTED,
        ended,
        TrialEnded(trial=ONE, status=TrialStatus.COMPLETED, reason=""),
    )
    assert state.open == frozenset()
    assert dict(state.counts) == {
        TrialStatus.PROPOSED: 0,
        TrialStatus.RUNNING: 0,
        TrialStatus.COMPLETED: 1,
    }


@pytest.mark.parametrize(("score", "expected"), [(Score.BEST, 0.9), (Score.LAST, 0.7)])
def test_the_score_is_the_best_or_the_last_value(score: Score, expected: float) -> None:
    events: list[Event] = [
        PROPOSED,
        INTENDED,
        SUBMITTED,
        reports((1, 0.5), (2, float("nan")), (3, 0.9)),
        reports((4, 0.7)),
    ]
    trial = after(*events, score=score).trials[ONE]
    assert trial.score == expected
    assert trial.resource == 4
    assert trial.attempts[0].cursor == "7"
    assert trial.attempts[0].reports == 4


@pytest.mark.parametrize(
    "events",
    [
        (created(),),
        (TrialProposed(trial=TrialId(2), config={}),),
        (PROPOSED, AttemptIntended(trial=ONE, attempt=2, max_runtime=1.0)),
        (PROPOSED, INTENDED, AttemptIntended(trial=ONE, attempt=2, max_runtime=1.0)),
        (PROPOSED, SUBMITTED),
        (PROPOSED, INTENDED, JobProgressed(trial=ONE, attempt=1, status=AttemptStatus.TRAINING)),
        (PROPOSED, TrialEnded(trial=ONE, status=TrialStatus.COMPLETED, reason="")),
        (ExperimentResumed(),),
    ],
)
def test_an_illegal_event_raises(events: tuple[Event, ...]) -> None:
    state = after(*events[:-1])
    before = (state, hash(state.open))
    with pytest.raises(InvariantError):
        apply(state, events[-1], 3.0)
    assert (state, hash(state.open)) == before


@pytest.mark.parametrize("table", [transitions.TRIAL, transitions.ATTEMPT, transitions.EXPERIMENT])
def test_tables_name_every_state_and_check_keeps_them(table: dict[object, frozenset[object]]) -> None:
    states = type(next(iter(table)))
    assert set(table) == set(states)  # type: ignore[call-overload]
    for old, allowed in table.items():
        for new in table:
            if new in allowed:
                transitions.check(table, old, new, "it")  # type: ignore[type-var]
            else:
                with pytest.raises(InvariantError, match="it cannot go from"):
                    transitions.check(table, old, new, "it")  # type: ignore[type-var]


def test_an_ended_experiment_may_be_resumed() -> None:
    reason = EndReason(kind=EndKind.MAX_TRIALS, detail="")
    state = after(ExperimentEnded(reason=reason))
    assert (state.phase, state.reason) == (Phase.ENDED, reason)
    state = apply(state, ExperimentResumed(), 3.0)
    assert (state.phase, state.reason) == (Phase.RUNNING, None)


def test_records_must_follow_each_other() -> None:
    first = Record(version=1, at=1.0, events=(created(),))
    state = evolve(None, first)
    assert state.version == 1
    assert state.created_at == state.updated_at == 1.0
    with pytest.raises(InvariantError):
        evolve(state, first)
    with pytest.raises(InvariantError):
        evolve(None, Record(version=1, at=1.0, events=(PROPOSED,)))
    assert replay([]) is None
    assert replay([first]) == state


@given(st.lists(st.integers(1, 300), max_size=300))
def test_trials_are_a_list_with_cheap_copies(puts: list[int]) -> None:
    def made(number: int, at: float) -> Trial:
        return Trial(id=TrialId(number), config={}, status=TrialStatus.PROPOSED, proposed_at=at)

    trials, plain = Trials(), [made(number, 0.0) for number in range(1, 201)]
    for trial in plain:
        trials = trials.put(trial)
    for at, number in enumerate(puts):
        if number > len(plain) + 1:
            with pytest.raises(InvariantError):
                trials.put(made(number, at))
            continue
        before = list(trials)
        changed = trials.put(made(number, at))
        assert list(trials) == before
        plain[number - 1 : number] = [made(number, at)]
        trials = changed
    assert list(trials) == plain
    assert len(trials) == len(plain)
    assert trials[TrialId(len(plain))] == plain[-1]
    for outside in (0, -1, len(plain) + 1):
        with pytest.raises(KeyError):
            trials[TrialId(outside)]


@given(st.lists(st.floats(allow_nan=False)), st.floats(allow_nan=False))
def test_a_rung_counts_better_and_worse(entered: list[float], key: float) -> None:
    rung = Rung()
    for value in entered:
        rung = rung.enter(value)
    assert rung.better_than(key) == sum(value > key for value in entered)
    assert rung.worse_than(key) == sum(value < key for value in entered)
    assert len(rung) == len(entered)
