"""Configurations worked out ahead: the same ones, whoever and whenever, and nothing waits for them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trialjob.backends.simulator.clock import VirtualClock
from trialjob.errors import SamplerBusy, SamplerError, UsageError
from trialjob.model.ids import TrialId
from trialjob.model.limits import Limits
from trialjob.model.metric import Mode, Objective
from trialjob.model.space import Config
from trialjob.model.trial import Phase
from trialjob.orchestrator.core.events import (
    Event,
    ExperimentCreated,
    LimitsChanged,
    Record,
    ReportsRead,
    StopIntended,
    TrialProposed,
)
from trialjob.orchestrator.engine.loop import Loop
from trialjob.orchestrator.ports import Sampler
from trialjob.orchestrator.samplers.optuna import OptunaSampler
from trialjob.orchestrator.samplers.prefetch import Answer, Ask, Bench, Inline, Message, PreparedSampler, Tell
from trialjob.orchestrator.samplers.random import RandomSampler
from trialjob.orchestrator.samplers.subprocess_worker import SubprocessSampler
from trialjob.testing.histories import beginning
from trialjob.testing.simulation import SPACE, Simulation

AHEAD = 3


class Diary:
    """A sampler whose n-th configuration is all that it has been told and asked before."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def ask(self, trial: TrialId) -> Config | None:
        self.heard.append(f"ask {trial}")
        return {"lr": 0.5, "hidden": 16, "heard": list(self.heard)}

    def tell(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, TrialProposed):
                # As samplers of ours do, it makes nothing of having been asked before it is told.
                self.heard = [each for each in self.heard if each != f"ask {event.trial}"]
            trial = getattr(event, "trial", "")
            self.heard.append(f"{type(event).__name__} {trial}".strip())


class Slow:
    """A worker whose answers take ``seconds`` of a clock each, one after the other."""

    def __init__(self, sampler: Sampler, clock: VirtualClock, seconds: Callable[[int], float]) -> None:
        self._bench = Bench(sampler)
        self._clock = clock
        self._seconds = seconds
        self._answers: dict[TrialId, tuple[float, Answer]] = {}
        self._free_at = 0.0

    def put(self, message: Message) -> None:
        answer = self._bench.do(message)
        if answer is not None:
            self._free_at = max(self._free_at, self._clock.now()) + self._seconds(answer.trial)
            self._answers[answer.trial] = (self._free_at, answer)

    def answer(self, trial: TrialId) -> Answer | None:
        at, answer = self._answers.get(trial, (0.0, None))
        return answer if at <= self._clock.now() else None


def created(max_trials: int = 9) -> ExperimentCreated:
    return beginning("e", Objective(metric="m", mode=Mode.MAX), Limits(max_trials=max_trials))


def inline(sampler: Callable[[], Sampler] = Diary, ahead: int = AHEAD) -> PreparedSampler:
    return PreparedSampler(ahead, lambda: Inline(sampler()))


class Recorder:
    """Only remembers what it is to do."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def put(self, message: Message) -> None:
        self.messages.append(message)

    def answer(self, trial: TrialId) -> Answer | None:  # noqa: ARG002 - the protocol
        return None


def proposed(trial: int) -> TrialProposed:
    return TrialProposed(trial=TrialId(trial), config={"x": trial})


def test_trial_n_is_asked_for_once_trial_n_minus_ahead_has_been_proposed() -> None:
    worker = Recorder()
    sampler = PreparedSampler(2, lambda: worker)
    sampler.tell([created(max_trials=4)])
    with pytest.raises(SamplerBusy):
        sampler.ask(TrialId(1))
    assert worker.messages == [Tell((created(4),)), Ask(TrialId(1)), Ask(TrialId(2))]
    worker.messages.clear()
    sampler.tell([proposed(1)])
    sampler.tell([proposed(2), proposed(3)])
    # No more than there may ever be.
    assert worker.messages == [
        *(Tell((proposed(1),)), Ask(TrialId(3)), Tell((proposed(2),)), Ask(TrialId(4)), Tell((proposed(3),)))
    ]
    worker.messages.clear()
    more = LimitsChanged(limits=Limits(max_trials=5), document={})
    sampler.tell([more])
    assert worker.messages == [Tell((more,)), Ask(TrialId(5))]


def test_what_the_journal_knows_is_not_asked_again() -> None:
    worker = Recorder()
    sampler = PreparedSampler(2, lambda: worker)
    sampler.tell([created(), proposed(1)])
    sampler.tell([proposed(2), proposed(3)])
    with pytest.raises(SamplerBusy):
        sampler.ask(TrialId(4))
    assert worker.messages == [
        *(Tell((created(),)), Tell((proposed(1),)), Tell((proposed(2),)), Tell((proposed(3),))),
        *(Ask(TrialId(4)), Ask(TrialId(5))),
    ]


def test_without_an_experiment_it_answers_too() -> None:
    assert inline(lambda: RandomSampler(SPACE, 0)).ask(TrialId(1)) == RandomSampler(SPACE, 0).ask(TrialId(1))


SAMPLERS: dict[str, Callable[[], Sampler]] = {
    "diary": Diary,
    "random": lambda: RandomSampler(SPACE, 3),
    "tpe": lambda: OptunaSampler(SPACE, 3, n_startup_trials=3),
    "nsga2": lambda: OptunaSampler(SPACE, 3, kind="nsga2"),
    "cmaes": lambda: OptunaSampler(SPACE, 3, kind="cmaes"),
}


def simulation(sampler: Callable[[], Sampler], trials: int = 14) -> Simulation:
    limits = Limits(max_trials=trials, max_concurrent_trials=4)
    return Simulation(limits=limits, sampler=sampler)


def slow(simulation: Simulation, making: Callable[[], Sampler], seconds: Callable[[int], float]) -> None:
    simulation.sampler = lambda: PreparedSampler(AHEAD, lambda: Slow(making(), simulation.clock, seconds))


@pytest.mark.parametrize("kind", list(SAMPLERS))
@settings(max_examples=8, deadline=None)
@given(delays=st.lists(st.integers(min_value=0, max_value=2000), min_size=1, max_size=5))
def test_every_configuration_is_a_function_of_the_journal(kind: str, delays: list[int]) -> None:
    """A new sampler that is told the journal up to a proposal says the same, without any delay."""
    run = simulation(SAMPLERS[kind])
    slow(run, SAMPLERS[kind], lambda trial: float(delays[trial % len(delays)]))
    state = run.run()
    assert len(state.trials) == 14
    told: list[Event] = []
    for record in run.journal.read():
        for event in record.events:
            if isinstance(event, TrialProposed):
                again = inline(SAMPLERS[kind])
                again.tell(told)
                assert again.ask(event.trial) == event.config
            told.append(event)


@pytest.mark.parametrize("kind", ["tpe", "nsga2"])
@pytest.mark.parametrize("steps", [1, 3, 10])
def test_a_crash_changes_nothing(kind: str, steps: int) -> None:
    whole = simulation(lambda: inline(SAMPLERS[kind]))
    expected = [trial.config for trial in whole.run().trials]
    run = simulation(lambda: inline(SAMPLERS[kind]))
    stepper = run.stepper()
    while stepper.state.phase is not Phase.ENDED:
        stepper = run.stepper()
        for _ in range(steps):
            stepper.step()
            run.clock.sleep(run.poll_interval)
    assert [trial.config for trial in stepper.state.trials] == expected


def events_of(run: Simulation) -> list[tuple[float, Event]]:
    return [(record.at, event) for record in run.journal.read() for event in record.events]


def test_stopping_never_waits_for_a_sampler_that_is_stuck() -> None:
    """From trial 5 on no configuration ever comes; the four that run are watched and stopped as ever."""
    run = simulation(SAMPLERS["random"])
    slow(run, SAMPLERS["random"], lambda trial: 0.0 if trial <= 4 else 1e9)
    stepper = run.stepper()
    for _ in range(400):
        stepper.step()
        run.clock.sleep(run.poll_interval)
    state = stepper.state
    assert len(state.trials) == 4
    assert not state.open
    events = events_of(run)
    stops = [(at, event) for at, event in events if isinstance(event, StopIntended)]
    assert stops
    for at, stop in stops:
        reports = [when for when, e in events if isinstance(e, ReportsRead) and e.trial == stop.trial]
        assert at in reports


class Broken:
    """Breaks when it is asked for trial 2."""

    def __init__(self, how: type[Exception] = ZeroDivisionError) -> None:
        self._how = how

    def ask(self, trial: TrialId) -> Config | None:
        os.write(1, b"a library that prints")
        if trial == 2:
            raise self._how("seven of nine")
        return {"x": 1}

    def tell(self, events: Sequence[Event]) -> None: ...


class Killed(Broken):
    def ask(self, trial: TrialId) -> Config | None:
        if trial == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"x": 1}


class Waiting:
    """Asks its turn of a flag and waits for it to be set: for as long as the worker's process lives."""

    def __init__(self, sampler: Callable[[], Sampler]) -> None:
        woken = self._woken = threading.Event()
        self.sampler = PreparedSampler(2, lambda: SubprocessSampler(sampler, woken.set))
        self.sampler.tell([created(max_trials=6)])

    def ask(self, trial: int) -> Config | None:
        while True:
            self._woken.clear()
            try:
                return self.sampler.ask(TrialId(trial))
            except SamplerBusy:
                assert self._woken.wait(60)


def test_in_a_process_of_its_own_it_says_the_same() -> None:
    there, here = Waiting(partial(OptunaSampler, SPACE, 5)), inline(lambda: OptunaSampler(SPACE, 5), 2)
    here.tell([created(max_trials=6)])
    for trial in range(1, 7):
        config = there.ask(trial)
        assert config == here.ask(TrialId(trial))
        assert config is not None
        for sampler in (there.sampler, here):
            sampler.tell([TrialProposed(trial=TrialId(trial), config=config)])


@pytest.mark.parametrize(
    ("sampler", "words"),
    [
        (Broken, "ZeroDivisionError: seven of nine"),
        (partial(Broken, UsageError), r"^seven of nine$"),
        (partial(OptunaSampler, SPACE, 0, kind="dice"), "AssertionError|KeyError|unreachable"),  # type: ignore[arg-type]
        (Killed, "has ended with status -9"),
    ],
    ids=["a bug", "an error of ours", "cannot be made", "killed"],
)
def test_a_sampler_that_breaks_says_why(
    sampler: Callable[[], Sampler], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    waiting = Waiting(sampler)
    with pytest.raises(SamplerError, match=words):
        _ = [waiting.ask(trial) for trial in (1, 2)]


def test_its_process_ends_when_nobody_needs_it_any_more() -> None:
    def children() -> set[int]:
        return {child.pid for child in psutil.Process().children()}

    before = children()
    waiting = Waiting(partial(RandomSampler, SPACE, 0))
    assert waiting.ask(1) is not None
    assert children() - before
    del waiting
    assert not children() - before


def test_a_lost_race_makes_a_new_one() -> None:
    """Another orchestrator has proposed: what was prepared here is told, not proposed twice."""
    run = simulation(lambda: inline(SAMPLERS["tpe"]))
    first, second = run.stepper(), run.stepper()
    for _ in range(300):
        for stepper in (first, second):
            stepper.step()
        run.clock.sleep(run.poll_interval)
    whole = simulation(lambda: inline(SAMPLERS["tpe"]))
    assert [t.config for t in first.state.trials] == [t.config for t in whole.run().trials]


def test_the_loop_ends_while_configurations_are_being_worked_out() -> None:
    run = simulation(SAMPLERS["random"])
    run.limits = Limits(max_trials=14, max_concurrent_trials=4, timeout=5000.0)
    run = Simulation(limits=run.limits)
    slow(run, SAMPLERS["random"], lambda trial: 0.0 if trial <= 2 else 1e9)
    state = Loop(run.stepper(), run.clock, run.poll_interval).run(lambda _state, _events: None)
    assert state.phase is Phase.ENDED
    assert len(state.trials) == 2


def test_a_record_is_only_read() -> None:
    """Looking at an experiment makes no worker."""

    def refuse() -> Inline:
        raise AssertionError

    sampler = PreparedSampler(AHEAD, refuse)
    for record in (Record(version=1, at=0.0, events=(created(), proposed(1))),):
        sampler.tell(record.events)
