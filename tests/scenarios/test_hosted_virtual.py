"""Experiments that are handed to SageMaker's own tuner, while processes die and answers are lost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from trialjob.errors import BackendError
from trialjob.model.limits import Limits
from trialjob.model.trial import EndKind, EndReason, Phase, TrialStatus
from trialjob.orchestrator.core.events import ExperimentEnding, HostedAccepted, TrialProposed
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.engine.loop import Loop
from trialjob.orchestrator.stopping.median import MedianStopping
from trialjob.testing.crash import Crash, Fuse, FusedJournal
from trialjob.testing.fake_aws import Faults
from trialjob.testing.fake_aws.errors import ConnectionLost, not_found
from trialjob.testing.hosted_simulation import HostedSimulation
from trialjob.testing.simulation import NAME

DAY, POLL = 86_400.0, 60.0


def simulation(folder: Path, *, trials: int = 5, **given: object) -> HostedSimulation:
    limits = Limits(max_trials=trials, max_concurrent_trials=2, trial_timeout=3600.0)
    given = {"limits": limits, "folder": folder, "poll_interval": POLL, **given}
    return HostedSimulation(**given)  # type: ignore[arg-type]


def stepped(simulated: HostedSimulation, *, pause: float = POLL) -> State:
    """Steps by processes of one step each, until it has ended."""
    for _ in range(3000):
        stepper = simulated.stepper()
        stepper.step()
        if stepper.state.phase is Phase.ENDED:
            return stepper.state
        simulated.clock.sleep(pause)
    raise AssertionError("it does not come to an end")


def check(simulated: HostedSimulation, state: State) -> None:
    """The journal says what the service did: each job once, with its values, each report once."""
    (tuning,) = simulated.service.tuning.jobs.values()
    children = {child.job.name: child for child in tuning.children}
    assert state.phase is Phase.ENDED
    assert tuning.terminal
    assert [trial.job for trial in state.trials] == sorted(children)
    events = [event for record in simulated.journal.read() for event in record.events]
    proposed = [event.job for event in events if isinstance(event, TrialProposed)]
    assert sorted(proposed) == sorted(set(proposed)) == sorted(children)
    assert sum(isinstance(event, HostedAccepted) for event in events) <= 1
    for trial in state.trials:
        child = children[trial.job or ""]
        assert trial.config["lr"] == float(child.tuned["lr"])
        assert str(trial.config["hidden"]) == child.tuned["hidden"]
        resources = [report.resource for report in trial.reports]
        assert resources == [float(n) for n in range(1, len(child.values) + 1)]
        assert trial.score == (max(child.values) if child.values else None)
        (attempt,) = trial.attempts
        if child.job.billable is not None and attempt.end is not None:
            assert attempt.billed == round(child.job.billable)


def test_from_the_call_to_the_last_bill(tmp_path: Path) -> None:
    simulated = simulation(tmp_path)
    state = simulated.run()
    check(simulated, state)
    assert Counter(trial.status for trial in state.trials) == {TrialStatus.COMPLETED: 5}
    assert state.reason == EndReason(kind=EndKind.MAX_TRIALS, detail="all 5 trials of max_trials have ended")


def test_whoever_looks_days_later_finds_all_of_it(tmp_path: Path) -> None:
    simulated = simulation(tmp_path)
    simulated.stepper().step()
    simulated.clock.sleep(3 * DAY)
    check(simulated, simulated.run())
    watched = simulation(tmp_path)
    assert [trial.score for trial in watched.run().trials] == [
        trial.score for trial in simulated.stepper().state.trials
    ]


def test_steps_of_processes_that_exit(tmp_path: Path) -> None:
    simulated = simulation(tmp_path)
    check(simulated, stepped(simulated))


def outcome(state: State) -> list[object]:
    return [(trial.config, trial.status, trial.score, trial.job) for trial in state.trials]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_crash_at_any_kind_of_call_changes_nothing(tmp_path: Path, moment: str) -> None:
    whole = simulation(tmp_path, trials=2)
    expected = outcome(whole.run())
    operations = [call.operation for call in whole.service.ledger.calls]
    places = {operation: place for place, operation in reversed([*enumerate(operations, start=1)])}
    last = {operation: place for place, operation in enumerate(operations, start=1)}
    for fatal in sorted({*places.values(), *last.values()}):
        simulated = simulation(tmp_path, trials=2)
        simulated.faults.hook = fuse(moment, fatal)
        with suppress(Crash):  # not after a call that was refused
            simulated.run()
        simulated.faults.hook = None
        state = simulated.run()
        check(simulated, state)
        assert outcome(state) == expected, operations[fatal - 1]


def fuse(moment: str, fatal: int) -> Callable[[str, str], None]:
    """Kills the process at its so-manieth call."""
    passed = 0

    def hook(when: str, _operation: str) -> None:
        nonlocal passed
        passed += when == moment
        if passed == fatal and when == moment:
            raise Crash

    return hook


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_at_any_append_changes_nothing(tmp_path: Path, after: bool) -> None:
    whole = simulation(tmp_path, trials=2)
    expected = outcome(whole.run())
    appends = len(whole.journal.read())
    for fatal in [*range(1, 6), *range(6, appends + 1, 4)]:
        simulated = simulation(tmp_path, trials=2)
        journal = FusedJournal(simulated.journal, Fuse(fatal, after=after))
        try:
            state = Loop(simulated.stepper(journal=journal), simulated.clock, POLL).run(lambda _s, _e: None)
        except Crash:
            state = simulated.run()
        check(simulated, state)
        assert outcome(state) == expected, fatal


@pytest.mark.parametrize("seed", range(3))
def test_with_every_fault_at_once(tmp_path: Path, seed: int) -> None:
    simulated = simulation(tmp_path, faults=Faults.everything(seed))
    state = simulated.run()
    check(simulated, state)


def test_two_orchestrators_make_one_tuning_job_and_one_trial_of_each_job(tmp_path: Path) -> None:
    simulated = simulation(tmp_path)
    first, second = simulated.stepper(), simulated.stepper()
    for _ in range(200):
        first.step()
        second.step()
        if first.state.phase is Phase.ENDED:
            break
        simulated.clock.sleep(POLL)
    check(simulated, first.state)


def test_early_stopping_is_told_as_pruning(tmp_path: Path) -> None:
    simulated = simulation(tmp_path, trials=20, stopping=MedianStopping(variant="amt"))
    state = simulated.run()
    check(simulated, state)
    statuses = Counter(trial.status for trial in state.trials)
    assert statuses[TrialStatus.PRUNED] > 0
    assert set(statuses) == {TrialStatus.PRUNED, TrialStatus.COMPLETED}


def ask_stop(simulated: HostedSimulation) -> None:
    reason = EndReason(kind=EndKind.STOPPED, detail="stopped by the user")
    records = simulated.journal.read()
    simulated.journal.append([ExperimentEnding(reason=reason)], after=len(records), at=simulated.clock.now())


def test_a_stop_ends_the_tuning_job_and_its_children(tmp_path: Path) -> None:
    simulated = simulation(tmp_path)
    stepper = simulated.stepper()
    for _ in range(4):
        stepper.step()
        simulated.clock.sleep(POLL)
    ask_stop(simulated)
    state = stepped(simulated)
    check(simulated, state)
    (tuning,) = simulated.service.tuning.jobs.values()
    assert tuning.status == "Stopped"
    assert len(tuning.children) == 2
    assert state.reason is not None
    assert state.reason.kind is EndKind.STOPPED
    assert {trial.status for trial in state.trials} == {TrialStatus.CANCELLED}


def test_a_stop_finds_the_tuning_job_whose_creation_was_never_answered(tmp_path: Path) -> None:
    simulated = simulation(tmp_path)
    simulated.faults.hook = lost("CreateHyperParameterTuningJob")
    with pytest.raises(Crash):
        simulated.stepper().step()
    simulated.faults.hook = None
    ask_stop(simulated)
    check(simulated, stepped(simulated))
    (tuning,) = simulated.service.tuning.jobs.values()
    assert tuning.status == "Stopped"


def lost(operation: str) -> Callable[[str, str], None]:
    def hook(when: str, what: str) -> None:
        if (when, what) == ("after", operation):
            raise Crash

    return hook


@pytest.mark.parametrize("answered", [True, False], ids=["answered", "the answer is lost"])
def test_a_tuning_job_that_cannot_be_seen_yet_is_not_taken_for_one_that_never_was(
    tmp_path: Path, *, answered: bool
) -> None:
    simulated = simulation(tmp_path)

    def hook(when: str, what: str) -> None:
        if (when, what) == ("after", "CreateHyperParameterTuningJob") and not answered:
            raise ConnectionLost
        if when == "before" and what in {"DescribeHyperParameterTuningJob", "StopHyperParameterTuningJob"}:
            created = [tuning.created for tuning in simulated.service.tuning.jobs.values()]
            if any(simulated.clock.now() - at < 40.0 for at in created):
                raise not_found()

    simulated.faults.hook = hook
    while not simulated.service.tuning.jobs:
        simulated.stepper().step()
        simulated.clock.sleep(1)
    ask_stop(simulated)
    check(simulated, stepped(simulated, pause=5.0))
    (tuning,) = simulated.service.tuning.jobs.values()
    assert tuning.status == "Stopped"


def test_a_stop_before_the_call_leaves_no_tuning_job_ever(tmp_path: Path) -> None:
    simulated = simulation(tmp_path)

    def hook(when: str, what: str) -> None:
        if (when, what) == ("before", "CreateHyperParameterTuningJob"):
            raise Crash

    simulated.faults.hook = hook
    with pytest.raises(Crash):
        simulated.stepper().step()
    simulated.faults.hook = None
    late = simulated.hosted()  # of a process that has decided to create it, and has not come to it
    ask_stop(simulated)
    state = stepped(simulated)
    assert (state.phase, len(state.trials)) == (Phase.ENDED, 0)
    assert not simulated.service.tuning.jobs
    late.hand_over("it comes too late", "simulated")
    assert not simulated.service.tuning.jobs


def test_a_child_that_is_stopped_in_the_console_is_one_trial_cancelled(tmp_path: Path) -> None:
    simulated = simulation(tmp_path)
    stepper = simulated.stepper()
    for _ in range(4):
        stepper.step()
        simulated.clock.sleep(POLL)
    job = stepper.state.trials[1].job  # type: ignore[index]
    simulated.session.client("sagemaker").stop_training_job(TrainingJobName=job)
    state = stepped(simulated)
    check(simulated, state)
    assert [trial.status for trial in state.trials] == [TrialStatus.CANCELLED] + [TrialStatus.COMPLETED] * 4


def test_a_tuning_job_of_somebody_else_is_neither_adopted_nor_stopped(tmp_path: Path) -> None:
    simulated = simulation(tmp_path)
    theirs = simulated.hosted()
    theirs.hand_over("theirs", "simulated")
    simulated.clock.sleep(POLL)
    with pytest.raises(BackendError, match="run under another --name"):
        simulated.stepper().step()
    ask_stop(simulated)
    assert stepped(simulated).phase is Phase.ENDED
    assert simulated.service.tuning.jobs[NAME].status == "InProgress"


def test_a_failed_child_is_not_tried_again_and_too_many_end_the_search(tmp_path: Path) -> None:
    simulated = simulation(tmp_path, trials=9)
    simulated.faults.internal_server_error = 1.0
    state = stepped(simulated)
    assert state.reason is not None
    assert state.reason.kind is EndKind.MAX_FAILURES
    (tuning,) = simulated.service.tuning.jobs.values()
    assert tuning.terminal
    assert len(state.trials) == len(tuning.children) < 9
    assert all(len(trial.attempts) == 1 for trial in state.trials)


def test_more_children_than_a_page_are_caught_up_with_by_few_calls(tmp_path: Path) -> None:
    simulated = simulation(tmp_path, trials=120)
    simulated.service.tuning.parallel = 40
    simulated.limits = Limits(max_trials=120, max_concurrent_trials=40, trial_timeout=3600.0)
    simulated.stepper().step()
    simulated.clock.sleep(DAY)
    before = len(simulated.service.ledger.calls)
    state = simulated.run()
    check(simulated, state)
    operations = Counter(call.operation for call in simulated.service.ledger.calls[before:])
    assert operations["ListTrainingJobsForHyperParameterTuningJob"] <= 2
    assert operations["DescribeTrainingJob"] <= 130


def test_a_job_that_is_listed_twice_is_one_trial(tmp_path: Path) -> None:
    simulated = simulation(tmp_path)

    def rewrite(operation: str, body: bytes) -> bytes:
        answer = json.loads(body)
        if operation == "ListTrainingJobsForHyperParameterTuningJob":
            answer["TrainingJobSummaries"] *= 2
        return json.dumps(answer).encode()

    simulated.faults.rewrite = rewrite
    check(simulated, simulated.run())


def test_a_look_costs_the_same_however_many_jobs_have_ended(tmp_path: Path) -> None:
    simulated = simulation(tmp_path, trials=750)
    simulated.service.tuning.parallel = 25
    simulated.limits = Limits(max_trials=750, max_concurrent_trials=25, trial_timeout=3600.0)
    stepper = simulated.stepper()
    for _ in range(40):
        before, ended = len(simulated.service.ledger.calls), count_ended(stepper.state)
        stepper.step()
        calls = Counter(call.operation for call in simulated.service.ledger.calls[before:])
        news = count_ended(stepper.state) - ended
        # What became of jobs is asked once for each, or once for a hundred; all else does not grow.
        assert calls.pop("DescribeTrainingJob", 0) <= news + 1
        calls.pop("Search", 0)
        logs = calls.pop("FilterLogEvents", 0)
        assert logs <= 4 + news
        assert sum(calls.values()) <= 8, calls
        simulated.clock.sleep(POLL)
    assert count_ended(stepper.state) > 50


def count_ended(state: State) -> int:
    return sum(trial.status is not TrialStatus.RUNNING for trial in state.trials)
