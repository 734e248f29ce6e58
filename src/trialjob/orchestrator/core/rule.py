"""What a stopping rule is: to the core, and to a spec.

Rule: the frozen dataclass that judges is also what is written under ``stopping``. Its fields are the keys,
with bounds from annotated-types; what they mean together it says itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from trialjob.errors import Problem
from trialjob.model.ids import TrialId
from trialjob.model.metric import Report
from trialjob.model.trial import StopReason
from trialjob.orchestrator.core.events import Event
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial

if TYPE_CHECKING:
    from trialjob.orchestrator.core.search import Sampler, Search


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a rule makes of one report."""

    #: Rungs the trial enters with this report, each with the value that counts there.
    enters: tuple[tuple[float, float], ...] = ()
    #: Why the trial is to be stopped, or None to let it run.
    stop: StopReason | None = None
    #: Why the rule makes no sense for what was reported, and what to do; it ends the experiment.
    refusal: str | None = None


class BaseRule:
    """A stopping rule as a spec names it. A frozen, keyword-only dataclass derives from this.

    Most rules judge by themselves (``judge``) and stop trials only; those that pause and promote answer the
    other questions of ``StoppingRule`` as well. One that remembers more than the state does opens as another
    frozen value with a memory, and says in ``after`` what an event makes of that.
    """

    __slots__ = ()
    #: What is written as ``stopping.kind``.
    kind: ClassVar[str] = ""
    #: True for a scheduler, which proposes configurations too: ``opened`` then gives a ``Scheduler``.
    proposes: ClassVar[bool] = False
    learns: ClassVar[bool] = False
    #: False for one that lets every trial run to its end.
    ends_trials: ClassVar[bool] = True
    #: A trial may begin with the checkpoint of another one.
    copies_trials: ClassVar[bool] = False

    @property
    def label(self) -> str:
        """What it is called where variants of one kind are told apart."""
        return self.kind

    # As a section of the spec

    def problems(self) -> Iterator[Problem]:
        """What is wrong with its own values."""
        yield from ()

    def problems_with(self, search: Search) -> Iterator[Problem]:  # noqa: ARG002 - for those that look
        """What is wrong with it beside what else the spec says."""
        yield from ()

    def opened(self, search: Search) -> StoppingRule:  # noqa: ARG002 - for those that look
        """What judges. Raises SpecError, and UsageError when a package is missing."""
        return self  # type: ignore[return-value]  # a rule that does not judge overrides this

    def rungs(self) -> tuple[float, ...]:
        """The resources at which trials are compared, where that is known beforehand."""
        return ()

    def stand_in(self) -> BaseRule:
        """A rule without a memory that stops about as many trials, for estimates."""
        return self

    # As a rule that remembers nothing, and only ever stops trials

    def after(self, event: Event) -> StoppingRule:  # noqa: ARG002 - for those that remember
        return self  # type: ignore[return-value]  # as in opened

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
    """Says whether a trial may go on: a value, and what it says a pure function of it and the recorded state.

    A rule with a memory is folded over the journal as the state is: ``after`` gives the rule that has seen
    one event more, and the next process gets the same one from the journal.
    """

    #: True for one that is the sampler too, which is told everything before this is asked to judge.
    learns: ClassVar[bool]

    def after(self, event: Event) -> StoppingRule:
        """This rule once ``event`` has been recorded; itself when that is nothing to it. Changes nothing.

        It is asked upon every event, those of its own judgements included, in the order of the journal. How
        many reports come in one event is chance; what is remembered of ``RungReached`` is not.
        """
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


class Scheduler(StoppingRule, Protocol):
    """A stopping rule that is the sampler, too."""

    def sampler(self) -> Sampler:
        """A new sampler, told nothing yet; from now on the rule judges by what that one is told."""
        ...
