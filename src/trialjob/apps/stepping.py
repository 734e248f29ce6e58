"""Moving an experiment on for one invocation of a schedule, and telling a program how that went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trialjob.apps.summary import iso, status_of
from trialjob.errors import ExperimentBusy
from trialjob.experiment import Session
from trialjob.model.trial import Phase
from trialjob.orchestrator.core.events import Event
from trialjob.orchestrator.core.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepped:
    """How an invocation went."""

    #: False when another process steps it now, or the store did not answer.
    stepped: bool
    #: How many events were journaled, or learned from others.
    events: int
    #: What a person should know.
    notices: tuple[str, ...]
    #: The next step is worth while from then on; None when there is none or it is unknown.
    next_at: float | None


def step(session: Session, *, seconds: float | None = None) -> Stepped:
    """Look at the jobs once and do what follows; or go on so for ``seconds``, as ``Session.step`` does.

    Raises what a step may raise, but for ExperimentBusy.
    """
    count = 0

    def watch(_state: State, events: Sequence[Event]) -> None:
        nonlocal count
        count += len(events)

    busy = ""
    try:
        session.step(watch, seconds=seconds)
    except ExperimentBusy as error:
        busy = str(error)
    return Stepped(
        stepped=not busy and not session.trouble,
        events=count,
        notices=tuple(filter(None, (busy, session.trouble, *session.notices()))),
        next_at=None if session.state.phase is Phase.ENDED else session.next_at,
    )


def summary(session: Session, stepped: Stepped) -> dict[str, object]:
    """The status of the experiment with what the step did."""
    return {
        **status_of(session),
        "stepped": stepped.stepped,
        "events": stepped.events,
        "notices": list(stepped.notices),
        "next_step_at": None if stepped.next_at is None else iso(stepped.next_at),
    }
