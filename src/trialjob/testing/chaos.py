"""An experiment while everything goes wrong at chosen calls, and what must hold after every one of them.

A ``Schedule`` says what goes wrong; ``play`` runs it and raises ``Broken``, with the journal in its words,
when a law does not hold. The same schedule always plays the same way.
"""

from __future__ import annotations

from dataclasses import replace

from trialjob.model.trial import Phase
from trialjob.orchestrator.core.events import ExperimentResumed, LimitsChanged
from trialjob.orchestrator.core.state import State
from trialjob.testing.chaos_laws import LawfulWorld
from trialjob.testing.chaos_orchestrator import Orchestrator
from trialjob.testing.chaos_schedule import EPOCHS, RULES, Broken, Fault, Job, Schedule

#: So many turns are made at the pace of the schedule; the rest are longer, as clocks may be hours apart.
_TURNS, _ALL_TURNS, _LONG = 150, 600, 600.0


__all__ = ["EPOCHS", "RULES", "Broken", "Fault", "Job", "Schedule", "World", "play"]


class World(LawfulWorld):
    """A world with orchestrators in it."""

    def __init__(self, schedule: Schedule) -> None:
        super().__init__(schedule)
        self.orchestrators: list[Orchestrator] = []
        self.orchestrators += [Orchestrator(self, self.orchestrators) for _ in range(schedule.orchestrators)]

    def play(self) -> State:
        """Run to the end. Raises Broken."""
        state = self._to_its_end()
        if self.schedule.more:
            limits = replace(state.limits, max_trials=len(state.trials) + self.schedule.more)
            self.append(LimitsChanged(limits=limits, document={}), ExperimentResumed())
            state = self._to_its_end()
        return state

    def _to_its_end(self) -> State:
        for turn in range(_ALL_TURNS):
            orchestrator = self.orchestrators[turn % len(self.orchestrators)]
            orchestrator.step()
            self.check()
            state = self.state()
            if state.phase is Phase.ENDED:
                self.check_end(state)
                return state
            self.clock.sleep(self.schedule.poll if turn < _TURNS else _LONG)
        raise self.broken("it does not come to an end")


def play(schedule: Schedule) -> State:
    """Run a schedule to its end and return the last state. Raises Broken."""
    return World(schedule).play()
