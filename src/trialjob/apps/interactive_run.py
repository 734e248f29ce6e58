"""Running an experiment while a person may look at it and interrupt it.

Rule 1: the first signal ends the present step and then asks, or does what was said beforehand; a second
Ctrl-C leaves at once, which is as safe as a crash.
Rule 2: to detach is to leave the jobs running; to stop is to cancel them. Neither loses a result.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Literal, TypeAlias

from trialjob.model.trial import Phase
from trialjob.orchestrator.core.events import Event
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.reporting.terminal import clean

if TYPE_CHECKING:
    from rich.console import Console

    from trialjob.experiment import Session

OnInterrupt: TypeAlias = Literal["stop", "detach"]
Watch: TypeAlias = Callable[[State, Sequence[Event]], None]
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


class LeaveNow(BaseException):
    """A second Ctrl-C; not an Exception, so that nothing on the way handles it."""


@dataclass(slots=True)
class Caught:
    """The first signal that arrived, if one did."""

    number: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attended:
    """How a run came back."""

    state: State
    #: The signal that ended it, or None when the experiment ended by itself.
    signal: int | None = None

    @property
    def detached(self) -> bool:
        """True when the experiment can go on and the user did not ask for its end."""
        return self.state.phase is not Phase.ENDED


def attend(session: Session, console: Console, on_interrupt: OnInterrupt | None) -> Attended:
    """Run until the experiment ends or the user detaches.

    ``on_interrupt`` None asks on a terminal, and detaches where there is none.
    """
    caught = Caught()
    while True:
        stopping = session.state.phase is Phase.ENDING
        in_a_hurry = _run_once(session, console, caught)
        state = session.refresh()
        if state.phase is Phase.ENDED or caught.number is None:
            return Attended(state=state, signal=caught.number)
        # A user who interrupts the cancelling wants to leave; resuming goes on with it.
        leave = in_a_hurry or stopping
        if leave or _choice(console, caught.number, on_interrupt) == "detach":
            return Attended(state=state, signal=caught.number)
        session.ask_stop()


def _run_once(session: Session, console: Console, caught: Caught) -> bool:
    """Run until the end or a signal; True when it was left in the middle of a step."""
    from trialjob.reporting.console import watcher  # noqa: PLC0415 - rich is slow to import

    try:
        with _signals(session, caught), watcher(console, session.state, SystemClock().now) as watch:
            session.run(_noticing(session, console, watch))
    except LeaveNow:
        return True
    return False


def _noticing(session: Session, console: Console, watch: Watch) -> Watch:
    """``watch``, and a line for each thing that a person should know, when it is news."""
    before: set[str] = set()

    def watching(state: State, events: Sequence[Event]) -> None:
        watch(state, events)
        now = set(session.notices())
        for notice in sorted(now - before):
            console.print(clean(f"notice: {notice}"), markup=False, soft_wrap=True)
        before.clear()
        before.update(now)

    return watching


@contextmanager
def _signals(session: Session, caught: Caught) -> Iterator[None]:
    """Signals interrupt the session; those that were ignored before (nohup) stay ignored."""

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT and already:
            raise LeaveNow
        already.append(number)
        caught.number = number
        session.interrupt()

    already: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return
    wanted = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    heeded = [number for number in wanted if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, on_signal) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _choice(console: Console, number: int, on_interrupt: OnInterrupt | None) -> OnInterrupt:
    if on_interrupt is not None:
        return on_interrupt
    # Only a Ctrl-C is sure to come from a user who can answer.
    if number != signal.SIGINT or not console.file.isatty() or not sys.stdin.isatty():
        return "detach"
    question = "\n[s]top: cancel what runs    [d]etach: leave the jobs running    [d] "
    try:
        console.print(question, end="")
        answer = sys.stdin.readline().strip().lower()
    except (KeyboardInterrupt, OSError, ValueError):
        return "detach"
    return "stop" if answer in {"s", "stop"} else "detach"


def farewell(state: State, come_back: str) -> str:
    """What to say when leaving an experiment that can go on."""
    if state.moved_to is not None:
        return f"{state.name} has moved to {state.moved_to} and goes on there"
    jobs = len(state.live)
    left = "no job is running" if jobs == 0 else "1 job runs on" if jobs == 1 else f"{jobs} jobs run on"
    return f"left {state.name}: {left}. Come back with:\n  {come_back}"
