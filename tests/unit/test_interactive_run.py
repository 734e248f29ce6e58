"""Signals during a run, on a simulated experiment: real signals, virtual jobs."""

from __future__ import annotations

import io
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

import pytest

from trialjob.apps.interactive_run import Attended, OnInterrupt, attend, farewell
from trialjob.experiment import Session
from trialjob.model.limits import Limits
from trialjob.model.trial import EndKind, EndReason, Phase, TrialStatus
from trialjob.orchestrator.core.events import Event, ExperimentEnding
from trialjob.orchestrator.core.evolve import replay
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.engine.loop import Loop
from trialjob.reporting.terminal import console
from trialjob.testing.simulation import Simulation


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@dataclass
class SimulatedSession:
    """A session whose jobs and time are simulated; ``during`` is called at every step."""

    during: Callable[[int], None] = lambda _step: None
    simulation: Simulation = field(
        default_factory=lambda: Simulation(limits=Limits(max_trials=6, max_concurrent_trials=2))
    )
    steps: int = 0
    runs: int = 0
    asked: int = 0
    loop: Loop | None = None

    @property
    def state(self) -> State:
        state = replay(self.simulation.journal.read())
        assert state is not None
        return state

    def refresh(self) -> State:
        return self.state

    def run(self, watch: Callable[[State, Sequence[Event]], None]) -> State:
        def watched(state: State, events: Sequence[Event]) -> None:
            watch(state, events)
            self.steps += 1
            self.during(self.steps)

        self.runs += 1
        self.loop = Loop(self.simulation.stepper(), self.simulation.clock, 10.0)
        return self.loop.run(watched)

    def interrupt(self) -> None:
        assert self.loop is not None
        self.loop.leave()

    def notices(self) -> Sequence[str]:
        return ["a quota is 0"] if self.steps > 1 else []

    def ask_stop(self) -> None:
        self.asked += 1
        state = self.state
        reason = EndReason(kind=EndKind.STOPPED, detail="stopped by the user")
        self.simulation.journal.append(
            [ExperimentEnding(reason=reason)], after=state.version, at=self.simulation.clock.now()
        )


def raising(number: signal.Signals, *at: int) -> Callable[[int], None]:
    def during(step: int) -> None:
        if step in at:
            signal.raise_signal(number)

    return during


def attended(
    session: SimulatedSession, on_interrupt: OnInterrupt | None, stream: io.StringIO | None = None
) -> Attended:
    return attend(cast(Session, session), console(stream or io.StringIO()), on_interrupt)


@contextmanager
def answering(text: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", Terminal(text))
        patch.setenv("TERM", "dumb")
        yield


def test_without_a_signal_it_runs_to_the_end() -> None:
    done = attended(SimulatedSession(), None)
    assert (done.detached, done.signal, done.state.phase) == (False, None, Phase.ENDED)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_detaches_and_leaves_the_jobs_running(number: signal.Signals) -> None:
    session = SimulatedSession(during=raising(number, 5))
    before = signal.getsignal(number)
    done = attended(session, None)
    assert (done.detached, done.signal, session.steps) == (True, number, 5)
    assert done.state.phase is Phase.RUNNING
    assert farewell(done.state, "again") == "left simulated: 2 jobs run on. Come back with:\n  again"
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_when_that_was_said(number: signal.Signals) -> None:
    session = SimulatedSession(during=raising(number, 5))
    done = attended(session, "stop")
    assert (done.detached, session.asked) == (False, 1)
    assert done.state.reason is not None
    assert done.state.reason.kind is EndKind.STOPPED
    assert done.state.count(TrialStatus.CANCELLED) == 2


def test_whoever_interrupts_the_cancelling_leaves() -> None:
    session = SimulatedSession(during=raising(signal.SIGINT, 5, 7))
    done = attended(session, "stop")
    assert (done.detached, done.state.phase) == (True, Phase.ENDING)


@pytest.mark.parametrize(
    ("answer", "phase"),
    [("s\n", Phase.ENDED), ("STOP\n", Phase.ENDED), ("d\n", Phase.RUNNING), ("", Phase.RUNNING)],
)
def test_on_a_terminal_it_asks(answer: str, phase: Phase, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    with answering(answer, monkeypatch):
        done = attended(SimulatedSession(during=raising(signal.SIGINT, 5)), None, stream)
    assert done.state.phase is phase
    assert "[s]top" in stream.getvalue()


def test_sigterm_does_not_wait_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    with answering("s\n", monkeypatch):
        done = attended(SimulatedSession(during=raising(signal.SIGTERM, 5)), None, stream)
    assert done.detached
    assert "[s]top" not in stream.getvalue()


@pytest.mark.parametrize("on_interrupt", ["stop", "detach"])
def test_a_second_ctrl_c_leaves_at_once(on_interrupt: OnInterrupt) -> None:
    def twice(step: int) -> None:
        if step == 5:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("the second one should have left")

    done = attended(SimulatedSession(during=twice), on_interrupt)
    assert (done.detached, done.signal) == (True, signal.SIGINT)


def test_a_signal_that_was_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        done = attended(SimulatedSession(during=raising(signal.SIGHUP, 5)), None)
        assert not done.detached
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_it_runs_outside_the_main_thread_too() -> None:
    results: list[Attended] = []
    thread = threading.Thread(target=lambda: results.append(attended(SimulatedSession(), None)))
    thread.start()
    thread.join()
    assert [done.detached for done in results] == [False]
