"""The step of an experiment whose trials a service proposes: hand over, look, fold into the journal.

Rule: nothing here has to run while the service works. A later look finds what has come of it, each job and
each line once, by the same journal, observer and decisions as any other experiment.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from trialjob.errors import BackendBusy, BackendUnavailable
from trialjob.model.json import digest
from trialjob.model.trial import Phase
from trialjob.orchestrator.core import hosted
from trialjob.orchestrator.core.events import Record
from trialjob.orchestrator.core.observations import (
    HostedObserved,
    HostedOffered,
    HostedStarted,
    HostedStopped,
    Observation,
)
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.engine.looks import Look
from trialjob.orchestrator.engine.step import Parts, Stepper
from trialjob.orchestrator.ports import HostedSearch

#: Seconds in which a service may not show what it has taken, from a process that has died since, too.
_LAG: Final = 60.0


def identity(state: State) -> str:
    """What tells this experiment from every other of its name, whichever version of trialjob looks."""
    return digest({"name": state.name, "created_at": state.created_at, "bundle": state.bundle})


class HostedStepper(Stepper):
    """Steps one experiment of a service's."""

    def __init__(
        self,
        parts: Parts,
        search: HostedSearch,
        *,
        prunes: bool,
        known: Sequence[Record] = (),
        state: State | None = None,
    ) -> None:
        """``prunes`` says that the service may stop jobs whose values are hopeless."""
        self._search = search
        self._prunes = prunes
        super().__init__(parts, known, state)

    def _step(self, look: Look | None) -> bool:
        now = self._parts.clock.now()
        if self.state.phase is Phase.RUNNING and self.state.hosted is None:
            offered = HostedOffered(name=self._search.search_name, prunes=self._prunes)
            self._append(self._decide(self.state, [offered], now), now)
        self._turns = {kind: at for kind, at in self._turns.items() if now < at}
        self._ask(now, look=look is not None)
        observed: Sequence[Observation] = ()
        more = False
        if look is not None:
            with suppress(BackendUnavailable):
                observed, more = self._observer.look(self.state, now, look)
        self._append(self._decide(self.state, observed, now), now)
        if self.state.phase is Phase.RUNNING:  # else the service ends its jobs itself
            self._act(now)
        return more

    def _ask(self, now: float, *, look: bool) -> None:
        """Make the service's call that is due, and journal its answer; one without an answer stays due."""
        for call in (self._start, self._stop, self._look):
            try:
                answer = call(look=look)
            except BackendBusy as busy:
                self._turns[HostedSearch] = now + busy.seconds
                return
            except BackendUnavailable:
                return
            if answer is not None:
                self._append(self._decide(self.state, [answer], now), now)

    def _start(self, *, look: bool) -> HostedStarted | None:  # noqa: ARG002 - as the others
        if hosted.calls_for(self.state) != "start":
            return None
        return HostedStarted(adopted=self._search.hand_over(identity(self.state), self.state.bundle))

    def _stop(self, *, look: bool) -> HostedStopped | None:  # noqa: ARG002 - as the others
        if hosted.calls_for(self.state) != "stop":
            return None
        known = self._search.call_off(identity(self.state))
        if not known and 0.0 <= self._parts.clock.now() - self.state.updated_at < _LAG:
            return None  # it is asked again
        return HostedStopped(known=known)

    def _look(self, *, look: bool) -> HostedObserved | None:
        if not look or hosted.calls_for(self.state) not in {"look", "stop"}:
            return None
        known = {trial.job for trial in self.state.trials if trial.job is not None}
        return self._search.look_for_jobs(known)
