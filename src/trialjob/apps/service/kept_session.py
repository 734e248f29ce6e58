"""An experiment that a server keeps in memory between two looks at it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from trialjob.apps.summary import iso
from trialjob.errors import JournalReplaced
from trialjob.experiment import Session
from trialjob.orchestrator.core.best import best_trial
from trialjob.orchestrator.core.costs import all_priced
from trialjob.orchestrator.core.state import State
from trialjob.reporting.results import experiment_state


@dataclass(slots=True)
class KeptSession:
    """An experiment in memory; to use it, take the lock."""

    session: Session
    lock: threading.Lock = field(default_factory=threading.Lock)
    _line: tuple[State, dict[str, object]] | None = None

    def is_there(self) -> bool:
        """Read what is new; False when it was removed, also where another one has its name by now."""
        try:
            self.session.refresh()
        except JournalReplaced:
            return False
        return True

    def line(self) -> dict[str, object]:
        """Its line in a list, for which all trials are gone through once for each state."""
        state = self.session.state
        if self._line is None or self._line[0] is not state:
            self._line = state, _summary(state)
        return self._line[1]


def _summary(state: State) -> dict[str, object]:
    best, priced = best_trial(state.trials, state.objective), all_priced(state)
    return {
        "name": state.name,
        "state": experiment_state(state),
        "metric": state.objective.metric,
        "best": None if best is None else best.score,
        "trials": len(state.trials),
        "ended": len(state.trials) - len(state.open),
        "max_trials": state.limits.max_trials,
        "running": len(state.live),
        "dollars": state.spent.dollars if priced else None,
        "committed_dollars": state.committed.dollars if priced else None,
        "created_at": iso(state.created_at),
        "updated_at": iso(state.updated_at),
    }
