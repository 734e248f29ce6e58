"""Which events are news for a person, and the sentence for each.

Rule: a line for each trial that starts, is tried again or ends, and none for a single report.
"""

from __future__ import annotations

from dataclasses import dataclass

from trialjob.model.ids import TrialId
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core.events import (
    Event,
    ExperimentEnded,
    ExperimentEnding,
    ExperimentResumed,
    JobSubmitted,
    LimitsChanged,
    RetryPlanned,
    SpaceExhausted,
    SubmitPostponed,
    TrialEnded,
)
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial
from trialjob.reporting import formatting
from trialjob.reporting.terminal import clean, one_line

_TROUBLE = {TrialStatus.FAILED, TrialStatus.METRICS_UNAVAILABLE}


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """One sentence."""

    text: str
    #: It is something going wrong.
    trouble: bool = False
    #: Set when the same sentence may come again and again for this trial.
    repeats: TrialId | None = None


def news(state: State, event: Event, best: Trial | None) -> list[News]:
    """What to say of ``event``, which has led to ``state``; nothing for most events."""
    match event:
        case JobSubmitted():
            return [News(text=_started(state.trials[event.trial], event))]
        case SubmitPostponed():
            why = one_line(event.reason)
            return [News(text=f"trial {event.trial} waits: {why}", repeats=event.trial)]
        case RetryPlanned():
            why = one_line(event.reason)
            return [News(text=f"trial {event.trial} will be tried again: {why}", trouble=True)]
        case TrialEnded():
            return [_ended(state, state.trials[event.trial], event, best)]
        case SpaceExhausted():
            return [News(text="the sampler has no further configuration")]
        case LimitsChanged():
            return [News(text=f"the limits were changed: at most {event.limits.max_trials} trials")]
        case ExperimentResumed():
            return [News(text=f"{clean(state.name)} goes on")]
        case ExperimentEnding():
            return [
                News(text=f"cancelling what runs: {one_line(event.reason.detail or event.reason.kind.value)}")
            ]
        case ExperimentEnded():
            return [News(text=f"ended: {one_line(event.reason.detail or event.reason.kind.value)}")]
        case _:
            return []


def _started(trial: Trial, event: JobSubmitted) -> str:
    how = "found running" if event.adopted else "started"
    which = f", attempt {event.attempt}" if event.attempt > 1 else ""
    return f"trial {trial.id} {how}{which}: {formatting.configuration(trial.config)}"


def _ended(state: State, trial: Trial, event: TrialEnded, best: Trial | None) -> News:
    what = event.status.value.replace("_", " ")
    text = f"trial {trial.id} {what}"
    if trial.score is not None:
        reached = f"{clean(state.objective.resource)} {formatting.number(trial.resource)}"
        text += f": {formatting.scores(trial, state.objective)}, {reached}"
    if event.reason and event.status is not TrialStatus.COMPLETED:
        text += f" ({one_line(event.reason)})"
    if best is not None and best.id == trial.id:
        text += " - best so far"
    return News(text=text, trouble=event.status in _TROUBLE)
