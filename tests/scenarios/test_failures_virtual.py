"""Experiments that fail: what is tried again, and what is never paid for."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from trialjob.backends.simulator.job_script import JobScript
from trialjob.logs.on_log import LogPatterns
from trialjob.model.ids import TrialId
from trialjob.model.job import FailureKind, JobRequest
from trialjob.model.limits import Limits
from trialjob.model.trial import EndKind, LogAction, TrialStatus
from trialjob.orchestrator.core.events import Event, ExperimentResumed, LimitsChanged, LogMatched
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.stopping.none import NoStopping
from trialjob.testing.crash import Crash, Fuse
from trialjob.testing.simulation import Simulation, course

MANY = Limits(max_trials=50, max_concurrent_trials=4, max_failures=50)


def broken(
    *texts: str, runs_for: float = 30.0, failure: FailureKind | None = FailureKind.USER_CODE
) -> JobScript:
    lines = [(float(place), text) for place, text in enumerate(texts, start=1)]
    return JobScript(lines=lines, runs_for=runs_for, failure=failure, exit_code=1 if failure else 0)


def simulation(
    course_of: Callable[[JobRequest], JobScript], limits: Limits = MANY, *rules: tuple[str, LogAction]
) -> Simulation:
    return Simulation(limits=limits, course=course_of, rule=NoStopping(), rules=LogPatterns(rules))


def kind(state: State) -> EndKind:
    assert state.reason is not None
    return state.reason.kind


# The first trials


def test_no_further_trial_is_started_when_the_first_all_fail() -> None:
    tail = (
        "Traceback (most recent call last):",
        '  File "t.py"',
        "    x",
        "NameError: name 'x' is not defined",
    )
    sim = simulation(lambda _request: broken(*tail))
    state = sim.run()
    assert kind(state) is EndKind.FIRST_TRIALS
    assert len(state.trials) <= 4 + 3
    assert state.reason is not None
    assert "NameError: name 'x' is not defined (exit status 1)" in state.reason.detail
    assert state.reason.kind.is_failure


def test_trials_that_time_out_in_silence_count_too() -> None:
    limits = replace(MANY, trial_timeout=600.0, max_concurrent_trials=1)
    state = simulation(lambda _request: broken("hello", runs_for=9e9, failure=None), limits).run()
    assert kind(state) is EndKind.FIRST_TRIALS
    assert [trial.status for trial in state.trials] == [TrialStatus.CANCELLED] * 3


def test_one_that_runs_may_still_show_that_trials_can_work() -> None:
    # Trials 1, 2 and 4 fail at once; trial 3 takes its time and reports.
    sim = simulation(
        lambda request: broken("oops") if request.trial in (1, 2, 4) else course(request, epochs=3)
    )
    most_open = 0

    def watch(state: State, _events: Sequence[Event]) -> None:
        nonlocal most_open
        if state.scoreless_since_resume >= 3 and state.best is None:
            most_open = max(most_open, len(state.open))

    state = sim.run(watch)
    assert most_open == 1
    assert kind(state) is EndKind.MAX_TRIALS
    assert len(state.trials) == 50


def test_a_later_failure_is_only_counted() -> None:
    sim = simulation(
        lambda request: broken("oops") if request.trial > 2 else course(request, epochs=3),
        replace(MANY, max_trials=12),
    )
    state = sim.run()
    assert kind(state) is EndKind.MAX_TRIALS
    assert state.failures == 10


def test_what_is_tried_again_is_no_trial_that_has_ended() -> None:
    def course_of(request: JobRequest) -> JobScript:
        return broken(failure=FailureKind.LOST) if request.attempt < 3 else course(request, epochs=2)

    state = simulation(course_of, replace(MANY, max_trials=6)).run()
    assert {trial.status for trial in state.trials} == {TrialStatus.COMPLETED}


def test_resuming_tries_on() -> None:
    mended = False
    sim = simulation(lambda request: course(request, epochs=2) if mended else broken("oops"))
    first = sim.run()
    assert kind(first) is EndKind.FIRST_TRIALS
    # The code was packed when it began, and is not packed again.
    assert first.reason is not None
    assert first.reason.detail.endswith("Mend that and resume; for other code, start a new experiment")
    mended = True
    sim.journal.append([ExperimentResumed()], after=first.version, at=sim.clock.now())
    state = sim.run()
    assert kind(state) is EndKind.MAX_TRIALS
    assert state.count(TrialStatus.COMPLETED) == 50 - len(first.trials)


# The canary


def with_canary(course_of: Callable[[JobRequest], JobScript]) -> Simulation:
    return simulation(course_of, replace(MANY, canary=True, max_trials=8))


def test_the_others_start_when_the_canary_has_a_value() -> None:
    sim = with_canary(lambda request: course(request, epochs=3))
    alone: list[int] = []

    def watch(state: State, _events: Sequence[Event]) -> None:
        if state.best is None:
            alone.append(len(state.trials))

    state = sim.run(watch)
    assert max(alone) == 1
    assert kind(state) is EndKind.MAX_TRIALS
    assert state.trials[TrialId(2)].proposed_at >= state.trials[TrialId(1)].reports[0].at


def test_a_canary_that_fails_for_good_costs_one_trial() -> None:
    sim = with_canary(lambda _request: broken("MemoryError"))
    state = sim.run()
    assert kind(state) is EndKind.CANARY
    assert len(sim.service.jobs) == 1
    assert state.reason is not None
    assert "out_of_memory: MemoryError" in state.reason.detail


def test_a_canary_that_the_cloud_took_away_is_tried_again() -> None:
    def course_of(request: JobRequest) -> JobScript:
        if request.trial == 1 and request.attempt < 3:
            return broken(failure=FailureKind.CAPACITY)
        return course(request, epochs=2)

    sim = with_canary(course_of)
    state = sim.run()
    assert kind(state) is EndKind.MAX_TRIALS
    assert [job.request.trial for job in sim.service.jobs.values()][:4] == [1, 1, 1, 2]


@pytest.mark.parametrize("after", [False, True])
def test_a_canary_survives_crashes(after: bool) -> None:
    for blows_at in range(1, 40, 3):
        sim = with_canary(lambda request: course(request, epochs=2))
        with pytest.raises(Crash):
            sim.run(_alone, fuse=Fuse(blows_at, after=after))
        assert kind(sim.run(_alone)) is EndKind.MAX_TRIALS


def _alone(state: State, _events: Sequence[Event]) -> None:
    assert state.best is not None or len(state.trials) <= 1


# The metric deadline


def chatty(minutes: int, *, value_at: int | None = None) -> JobScript:
    """A job that logs once a minute, and has a value in one of those lines at most."""
    report = "[trialjob] " + json.dumps({"metrics": {"epoch": 1, "accuracy": 0.5}})
    lines = [
        (60.0 * minute, report if minute == value_at else f"step {minute}: acc 0.{minute}")
        for minute in range(1, minutes + 1)
    ]
    return JobScript(lines=lines, runs_for=60.0 * minutes + 1)


def test_a_job_that_logs_for_long_without_the_metric_ends_the_experiment() -> None:
    sim = simulation(lambda _request: chatty(600), replace(MANY, metric_deadline=1800.0))
    state = sim.run()
    assert kind(state) is EndKind.METRIC_DEADLINE
    assert sim.clock.now() - state.created_at < 2400
    assert state.reason is not None
    assert state.reason.lines
    assert all("acc 0." in line for line in state.reason.lines)
    assert "limits.metric_deadline" in state.reason.detail


def test_a_value_of_any_trial_before_the_deadline_is_enough() -> None:
    sim = simulation(
        lambda request: chatty(60, value_at=25 if request.trial == 3 else None),
        replace(MANY, metric_deadline=1800.0, max_trials=4),
    )
    assert kind(sim.run()) is EndKind.MAX_TRIALS


def test_silence_and_sleep_are_no_reason() -> None:
    # One line, hours of nothing, and then the value: the gap counts for ten minutes.
    report = "[trialjob] " + json.dumps({"metrics": {"epoch": 1, "accuracy": 0.5}})
    quiet = JobScript(lines=[(1.0, "begin"), (36_000.0, "end"), (36_001.0, report)], runs_for=36_010.0)
    state = simulation(lambda _request: quiet, replace(MANY, metric_deadline=1800.0, max_trials=2)).run()
    assert kind(state) is EndKind.MAX_TRIALS


def test_the_deadline_holds_for_a_process_that_makes_one_step() -> None:
    sim = simulation(lambda _request: chatty(600), replace(MANY, metric_deadline=1800.0))
    for _ in range(80):
        stepper = sim.stepper()
        stepper.step()
        sim.clock.sleep(60.0)
    assert kind(sim.stepper().state) is EndKind.METRIC_DEADLINE


def test_a_higher_deadline_lets_it_go_on() -> None:
    limits = replace(MANY, metric_deadline=600.0, max_trials=5, max_concurrent_trials=1)
    sim = simulation(lambda _request: chatty(60, value_at=50), limits)
    first = sim.run()
    assert kind(first) is EndKind.METRIC_DEADLINE
    more = LimitsChanged(limits=replace(limits, metric_deadline=36_000.0), document={})
    sim.journal.append([more, ExperimentResumed()], after=first.version, at=sim.clock.now())
    assert kind(sim.run()) is EndKind.MAX_TRIALS


# Patterns of the user's


def test_a_failure_is_not_tried_again_where_a_pattern_says_so() -> None:
    sim = simulation(
        lambda _request: broken("license expired", failure=FailureKind.INTERNAL),
        replace(MANY, max_trials=2),
        ("license", LogAction.NO_RETRY),
        ("expired", LogAction.RETRY),
    )
    state = sim.run()
    assert [len(trial.attempts) for trial in state.trials] == [1, 1]


def test_a_failure_of_the_code_is_tried_again_where_a_pattern_says_so() -> None:
    sim = simulation(
        lambda _request: broken("NCCL watchdog timeout"),
        replace(MANY, max_trials=1),
        ("NCCL .*timeout", LogAction.RETRY),
    )
    state = sim.run()
    assert [len(trial.attempts) for trial in state.trials] == [4]
    assert state.trials[TrialId(1)].status is TrialStatus.FAILED


def test_a_job_that_prints_and_hangs_is_stopped_and_has_failed() -> None:
    sim = simulation(
        lambda request: broken("hung now", runs_for=9e9) if request.trial == 1 else course(request, epochs=2),
        replace(MANY, max_trials=3),
        ("hung", LogAction.STOP_TRIAL),
    )
    state = sim.run()
    first = state.trials[TrialId(1)]
    assert first.status is TrialStatus.FAILED
    assert first.reason == "on_log: 'hung' was found in 'hung now'"
    assert kind(state) is EndKind.MAX_TRIALS


def test_a_line_may_end_the_experiment() -> None:
    sim = simulation(
        lambda request: broken("bad dataset", runs_for=9e9) if request.trial == 2 else course(request),
        MANY,
        ("bad dataset", LogAction.STOP_EXPERIMENT),
    )
    state = sim.run()
    assert kind(state) is EndKind.ON_LOG
    assert state.reason is not None
    assert "of trial 2" in state.reason.detail
    assert len(state.trials) == 4


@pytest.mark.parametrize("after", [False, True])
def test_a_match_counts_once_whatever_crashes(after: bool) -> None:
    texts = ["NCCL timeout"] * 3
    for blows_at in range(1, 40, 2):
        sim = simulation(
            lambda request: broken(*texts) if request.attempt == 1 else course(request, epochs=2),
            replace(MANY, max_trials=2),
            ("NCCL", LogAction.RETRY),
        )
        try:
            sim.run(fuse=Fuse(blows_at, after=after))
        except Crash:
            sim.run()
        events = [event for record in sim.journal.read() for event in record.events]
        assert sum(isinstance(event, LogMatched) for event in events) == 2
        assert [len(trial.attempts) for trial in sim.stepper().state.trials] == [2, 2]
