"""Runs the experiments that the server was asked to run, each in a thread of its own, as `trialjob run` does.

Rule: its journal decides which process holds an experiment, so a terminal, a schedule or a second server
beside this one doubles nothing. What the server runs when it ends can go on from anywhere.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from trialjob.apps.service.log import log
from trialjob.errors import ExperimentBusy, TrialjobError
from trialjob.experiment import Session
from trialjob.model.trial import Phase
from trialjob.orchestrator.core.events import Event
from trialjob.orchestrator.core.state import State
from trialjob.reporting.results import experiment_state

#: Seconds in which all are asked to come back; a step that has begun is finished.
_PATIENCE = 30.0


@dataclass(slots=True)
class _Run:
    session: Session
    thread: threading.Thread = field(init=False)
    #: It was asked to run while it ran, or was just about to leave off.
    following: Session | None = None


class Runner:
    """What runs here. Safe to be used by several threads."""

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}
        #: Why the last run of an experiment ended before the experiment did.
        self._troubles: dict[str, str] = {}
        self._lock = threading.Lock()
        self._closed = False

    def start(self, session: Session) -> None:
        """Run it from now on; where it runs here already, it is run once more behind that.

        An end that has come meanwhile may be none any more. ``session`` is the runner's from then on.
        """
        with self._lock:
            if self._closed:
                return
            if (running := self._runs.get(session.name)) is not None:
                running.following = session
                return
            self._troubles.pop(session.name, None)
            run = self._runs[session.name] = _Run(session)
            run.thread = threading.Thread(target=self._work, args=(run,), name=session.name, daemon=True)
            run.thread.start()

    def trouble(self, name: str) -> str:
        """Why it does not run here any more, or what the run waits for; "" for nothing."""
        with self._lock:
            run = self._runs.get(name)
            why = self._troubles.get(name, "")
        return why if run is None else "; ".join(run.session.notices())

    def running(self) -> list[str]:
        """The names of those that run here."""
        with self._lock:
            return sorted(self._runs)

    def close(self) -> None:
        """Let all come back; their jobs run on."""
        with self._lock:
            self._closed = True
            runs = list(self._runs.values())
        for run in runs:
            run.session.interrupt()
        for run in runs:
            run.thread.join(_PATIENCE)

    def _work(self, run: _Run) -> None:
        why = _run(run.session)
        while self._goes_on(run, why):
            why = _run(run.session, again=True)

    def _goes_on(self, run: _Run, why: str) -> bool:
        """Whether it was asked for meanwhile; where it was not, it does not run here any more."""
        with self._lock:
            following, run.following = run.following, None
            if following is None or self._closed:
                del self._runs[run.session.name]
                if why:
                    self._troubles[run.session.name] = why
                return False
            run.session = following
            return True


def _run(session: Session, *, again: bool = False) -> str:
    """Run it until it leaves off; why, where its end has not come. ``again``: unless it has."""
    name, why = session.name, ""
    try:
        if again and session.refresh().phase is Phase.ENDED:
            return ""
        log("run", experiment=name)
        session.run(partial(_logged, name))
    except ExperimentBusy:
        pass  # its holder runs it
    except TrialjobError as error:
        why = str(error)
    except BaseException as error:  # noqa: BLE001 - the others go on, and it is told
        why = f"{type(error).__name__}: {error}"
    log("left", experiment=name, trouble=why)
    return why


def _logged(name: str, state: State, events: Sequence[Event]) -> None:
    """In brief: the journal has the rest."""
    if events:
        kinds = [type(event).__name__ for event in events]
        log("step", experiment=name, version=state.version, state=experiment_state(state), events=kinds)
