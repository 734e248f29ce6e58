"""What follows from what was observed: the events of one step. Pure.

Rule: every call that is to be made is first an event (AttemptIntended, StopIntended).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trialjob.orchestrator.core import early_abort
from trialjob.orchestrator.core.closing import check_limits, finish
from trialjob.orchestrator.core.draft import Draft
from trialjob.orchestrator.core.events import Event
from trialjob.orchestrator.core.launching import launch
from trialjob.orchestrator.core.observations import Observation
from trialjob.orchestrator.core.on_observation import take_in
from trialjob.orchestrator.core.search import StoppingRule
from trialjob.orchestrator.core.state import State


@dataclass(frozen=True, slots=True)
class Decision:
    """The events that follow, in order, and the state as it will be once they are in the journal."""

    events: list[Event]
    state: State
    #: The stopping rule, which has seen the events.
    rule: StoppingRule


def decide(state: State, observations: Sequence[Observation], rule: StoppingRule, now: float) -> Decision:
    """What follows; no events when nothing does."""
    draft = Draft(state, rule, now)
    for observation in observations:
        take_in(draft, observation)
    check_limits(draft, early_abort.silence(draft.state, observations))
    launch(draft)
    finish(draft)
    return Decision(draft.events, draft.state, draft.rule)
