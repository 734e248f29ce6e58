"""What a stopping rule is to the core."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from trialjob.model.ids import TrialId
from trialjob.model.metric import Report
from trialjob.model.trial import StopReason
from trialjob.orchestrator.core.state import State, Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a rule makes of one report."""

    #: Rungs the trial enters with this report, each with the value that counts there.
    enters: tuple[tuple[float, float], ...] = ()
    #: Why the trial is to be stopped, or None to let it run.
    stop: StopReason | None = None
    #: Why the rule makes no sense for what was reported, and what to do; it ends the experiment.
    refusal: str | None = None


class PlainRule:
    """What a rule answers that only ever stops trials."""

    __slots__ = ()
    learns = False

    def settle(self, state: State, trial: Trial) -> tuple[tuple[float, float], ...]:  # noqa: ARG002 - the protocol
        return ()

    def target(self, trial: Trial) -> float | None:  # noqa: ARG002 - the protocol
        return None

    def pauses_at(self, resource: float) -> bool:  # noqa: ARG002 - the protocol
        return False

    def promote(self, state: State) -> TrialId | None:  # noqa: ARG002 - the protocol
        return None

    def source(self, trial: TrialId) -> TrialId | None:  # noqa: ARG002 - the protocol
        return None


class StoppingRule(Protocol):
    """Says whether a trial may go on. A pure function of the recorded state; it has no memory."""

    @property
    def learns(self) -> bool:
        """True for one that is the sampler too, which is told everything before this is asked to judge."""
        ...

    def judge(self, state: State, trial: Trial, report: Report) -> Judgement:
        """The judgement on ``trial`` upon a report of it that is the newest point of its curve.

        Reports behind that one may already be in the state; a rule looks at ``trial.curve_to(report)``.
        """
        ...

    def settle(self, state: State, trial: Trial) -> tuple[tuple[float, float], ...]:
        """Rungs that ``trial``, which has just completed, enters with its whole curve."""
        ...

    def target(self, trial: Trial) -> float | None:
        """The resource at which the next attempt of ``trial`` is to pause or end; None for its own end."""
        ...

    def pauses_at(self, resource: float) -> bool:
        """True when a trial whose target was ``resource`` pauses there and is not complete."""
        ...

    def promote(self, state: State) -> TrialId | None:
        """The paused trial that is to be resumed now, if one is."""
        ...

    def source(self, trial: TrialId) -> TrialId | None:
        """The trial whose checkpoint ``trial``, which is being proposed, is to begin with, if one is."""
        ...
