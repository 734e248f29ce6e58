"""Which calls are to be made now.

Rule: commands are derived from state and never stored, so a crash anywhere heals: the next step derives the
same ones again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

from trialjob.model.ids import TrialId
from trialjob.model.trial import AttemptStatus, Phase
from trialjob.orchestrator.core import budget, expected_gain, stall, waits
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


@dataclass(frozen=True, slots=True, kw_only=True)
class EndPools:
    """Give back the machines that ended jobs have left warm."""

    #: Trial and attempt of each of these jobs.
    left_by: tuple[tuple[TrialId, int], ...]


Command: TypeAlias = SubmitJob | StopJob | EndPools


def due(state: State, now: float) -> list[SubmitJob | StopJob]:
    """The commands of this moment for trials: stops first, as each frees a slot and saves money.

    Launches that were decided before ``max_concurrent_trials`` was lowered wait until one of so many is over.
    """
    commands = [command for trial in sorted(state.live) if (command := due_of(state, trial, now))]
    begun = sum(trial.attempts[-1].status is not AttemptStatus.INTENDED for trial in state.live_trials())
    launches = [command for command in commands if isinstance(command, SubmitJob)]
    stops = [command for command in commands if isinstance(command, StopJob)]
    return [*stops, *launches[: max(0, state.limits.max_concurrent_trials - begun)]]


def pools_due(state: State) -> EndPools | None:
    """The warm machines that no launch can use any more; None when there are none or one may yet.

    Whether one is still kept is for the service to say: our clock may not be its clock.
    """
    kept = tuple((pool.trial, pool.attempt) for pool in state.pools)
    if not kept or state.phase is Phase.ENDED:
        return None
    if state.phase is Phase.RUNNING:
        proposing = expected_gain.proposes(state)
        launching = any(
            live.status is AttemptStatus.INTENDED
            for trial in state.live
            if (live := state.trials[trial].live) is not None
        )
        resuming = any(state.trials[trial].attempts[-1].may_resume for trial in state.draining)
        waiting = resuming or bool(state.open - state.live - state.draining)
        # Once nothing runs and nothing can be paid for, what is kept only makes it worse.
        broke = not state.live and not resuming and not budget.can_start(state)
        if not broke and (proposing or launching or waiting):
            return None
    return EndPools(left_by=kept)


def due_of(state: State, trial: TrialId, now: float) -> SubmitJob | StopJob | None:
    """The one command that is due for a trial, if any is."""
    live = state.trials[trial].live
    if live is None or state.phase is Phase.ENDED:
        return None
    if live.stop is not None:
        stopping = live.status is AttemptStatus.STOPPING
        return None if stopping else StopJob(trial=trial, attempt=live.number)
    if live.status is AttemptStatus.INTENDED and not waits.is_to_come(live.postponed_until, now):
        return SubmitJob(trial=trial, attempt=live.number)
    return None


def idle_until(state: State, now: float) -> float:
    """Until when the passing of time makes nothing due for any trial; inf when no trial waits for a time."""
    times = [math.inf if state.limits.timeout is None else state.created_at + state.limits.timeout]
    times += [state.trials[trial].not_before for trial in state.idle]
    if not state.open:
        times += [pool.until for pool in state.pools] + [bill.until for bill in state.pending_bills]
    for trial in state.live:
        live = state.trials[trial].live
        waits = live is not None and (live.status is AttemptStatus.INTENDED or live.stop is not None)
        if live is not None and waits and live.status is not AttemptStatus.STOPPING:
            times.append(live.postponed_until if live.stop is None else now)
        elif live is not None:
            times.append(stall.next_part(state, live))
    return max(now, min(times))
