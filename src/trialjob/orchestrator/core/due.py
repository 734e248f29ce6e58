"""Which calls are to be made now.

Rule: commands are derived from state and never stored, so a crash anywhere heals: the next step derives the
same ones again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from trialjob.model.ids import TrialId
from trialjob.model.trial import AttemptStatus, Phase
from trialjob.orchestrator.core.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitJob:
    """Start the job of an attempt."""

    trial: TrialId
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StopJob:
    """End the job of an attempt."""

    trial: TrialId
    attempt: int


Command: TypeAlias = SubmitJob | StopJob


def due(state: State, now: float) -> list[Command]:
    """The commands of this moment: stops first, as each frees a slot and saves money."""
    if state.phase is Phase.ENDED:
        return []
    stops: list[Command] = []
    submits: list[Command] = []
    for trial in state.open_trials():
        live = trial.live
        if live is None:
            continue
        if live.stop is not None:
            if live.status is not AttemptStatus.STOPPING:
                stops.append(StopJob(trial=trial.id, attempt=live.number))
        elif live.status is AttemptStatus.INTENDED and live.postponed_until <= now:
            submits.append(SubmitJob(trial=trial.id, attempt=live.number))
    return stops + submits
