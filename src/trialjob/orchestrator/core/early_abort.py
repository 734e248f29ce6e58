"""When an experiment is to be kept from paying for trials that cannot work. Pure.

Rule 1: one value of the objective, from whichever trial, shows that trials can work; then nothing here
applies any more. Before that, any running trial may still show it: no job is stopped because others failed.
Rule 2: an experiment that is resumed begins anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trialjob.model.trial import EndKind, EndReason, Phase
from trialjob.orchestrator.core import expected_gain
from trialjob.orchestrator.core.observations import JobObserved, Observation
from trialjob.orchestrator.core.state import State

#: When so many trials have ended and none has a value, no other is started.
FIRST_TRIALS: Final = 3


def holds(state: State) -> str:
    """Why no new trial is to be started for now; "" when nothing speaks against it."""
    metric = state.objective.metric
    if state.best is not None or state.phase is not Phase.RUNNING:
        return ""
    if state.limits.canary and len(state.trials) > state.trials_at_resume:
        canary = state.trials_at_resume + 1
        return f"trial {canary} is the canary: it runs alone until it has a value of {metric}"
    if state.scoreless_since_resume >= FIRST_TRIALS:
        ended = f"{state.scoreless_since_resume} trials ended"
        return f"{ended} without a value of {metric}, and no other has one yet"
    return ""


def verdict(state: State) -> EndReason | None:
    """Why the experiment is to end: new trials are held, and none is left that could show that all works."""
    if state.open or not expected_gain.proposes(state) or not holds(state):
        return None
    canary = state.limits.canary
    first = "the canary" if canary else f"the first {state.scoreless_since_resume} trials"
    last = next(trial for trial in reversed(list(state.trials)[state.trials_at_resume :]))
    reason = (last.reason or last.status.value).splitlines()[0]
    detail = (
        f"{first} ended without a value of {state.objective.metric}; trial {last.id}: {reason}. "
        "Mend that and resume; for other code, start a new experiment"
    )
    kind = EndKind.CANARY if canary else EndKind.FIRST_TRIALS
    return EndReason(kind=kind, detail=detail)


def silence(state: State, observations: Sequence[Observation]) -> EndReason | None:
    """Why the experiment is to end: a job has logged for long, and no trial has a value of the objective."""
    deadline, metric = state.limits.metric_deadline, state.objective.metric
    if deadline is None or deadline == "none" or state.best is not None or state.phase is not Phase.RUNNING:
        return None
    for observation in observations:
        if isinstance(observation, JobObserved) and observation.logged >= deadline:
            detail = (
                f"no value of {metric} in {observation.logged:.0f} s of the log of trial {observation.trial} "
                f"(limits.metric_deadline is {deadline:g}); resume with a regex that matches, or with a "
                "later deadline"
            )
            return EndReason(kind=EndKind.METRIC_DEADLINE, detail=detail, lines=observation.nearest)
    return None
