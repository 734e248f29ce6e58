"""What follows where a service proposes the trials and starts their jobs: events of the same journal. Pure.

Rule: a job is known by the name that the service gave it, so that looking twice, or from two processes, makes
one trial of it. All else that becomes of a trial is decided as for any other.
"""

from __future__ import annotations

from collections.abc import Iterator

from trialjob.model.ids import TrialId
from trialjob.model.trial import EndKind, EndReason, Phase
from trialjob.orchestrator.core.events import (
    AttemptIntended,
    Event,
    HostedAccepted,
    HostedEnded,
    HostedIntended,
    JobSubmitted,
    TrialProposed,
)
from trialjob.orchestrator.core.observations import (
    Hosted,
    HostedJob,
    HostedObserved,
    HostedOffered,
    HostedStarted,
    HostedStopped,
)
from trialjob.orchestrator.core.state import State


def goes_on(state: State) -> bool:
    """True while the service may start jobs, or has started some that are not known."""
    return state.hosted is not None and state.hosted.end is None


def follows(state: State, answer: Hosted) -> Iterator[Event]:
    """The events that follow from a service's answer; none from one that says nothing new."""
    if isinstance(answer, HostedOffered):
        if state.hosted is None and state.phase is Phase.RUNNING:
            yield HostedIntended(name=answer.name, prunes=answer.prunes)
        return
    if state.hosted is None or state.hosted.end is not None:
        return
    match answer:
        case HostedStarted(adopted=adopted):
            if not state.hosted.accepted:
                yield HostedAccepted(adopted=adopted)
        case HostedStopped(known=known):
            if not known:
                yield HostedEnded(reason=EndReason(kind=EndKind.STOPPED, detail="never handed over"))
        case HostedObserved(started=started, end=end):
            names = {trial.job for trial in state.trials} if started else set()
            fresh = {job.job: job for job in started if job.job not in names}
            for number, job in enumerate(fresh.values(), start=len(state.trials) + 1):
                yield from _began(state, TrialId(number), job)
            if end is not None:
                yield HostedEnded(reason=end)


def _began(state: State, trial: TrialId, job: HostedJob) -> Iterator[Event]:
    """A trial whose job the service has started. It is counted at its worst until its bill is known."""
    yield TrialProposed(trial=trial, config=job.config, job=job.job)
    yield AttemptIntended(
        trial=trial,
        attempt=1,
        max_runtime=state.limits.trial_timeout,
        terms=None if state.tariff is None else state.tariff.dearest,
    )
    yield JobSubmitted(trial=trial, attempt=1)


def calls_for(state: State) -> str:
    """What is to be asked of the service now: ``start``, ``stop``, ``look`` or nothing."""
    if state.hosted is None or state.hosted.end is not None or state.phase is Phase.ENDED:
        return ""
    if state.phase is Phase.ENDING:
        return "stop"
    return "look" if state.hosted.accepted else "start"
