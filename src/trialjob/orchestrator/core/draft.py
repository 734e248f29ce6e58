"""What has been decided so far in a step, and the state as it will be once that is in the journal. Pure."""

from __future__ import annotations

from trialjob.model.ids import TrialId
from trialjob.model.trial import Phase
from trialjob.orchestrator.core.events import Event
from trialjob.orchestrator.core.evolve import apply
from trialjob.orchestrator.core.rule_answers import followed
from trialjob.orchestrator.core.search import StoppingRule
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Attempt


class Draft:
    """Events that are decided one after the other, each in the light of those before it."""

    def __init__(self, state: State, rule: StoppingRule, now: float) -> None:
        self.state = state
        self.events: list[Event] = []
        self.rule = rule
        self.now = now

    def record(self, event: Event) -> None:
        self.state = apply(self.state, event, self.now)
        self.rule = followed(self.rule, event)
        self.events.append(event)

    @property
    def running(self) -> bool:
        return self.state.phase is Phase.RUNNING

    def runs(self, trial: TrialId, attempt: int) -> bool:
        """False for news of an attempt that has ended, which may come late and say nothing new."""
        current = self.state.trials[trial].current
        return current is not None and current.number == attempt

    def attempt(self, trial: TrialId) -> Attempt:
        """The newest attempt of a trial that has one which ``runs``."""
        current = self.state.trials[trial].current
        assert current is not None, "checked by runs"  # noqa: S101 - narrows the type
        return current
