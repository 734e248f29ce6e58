"""The two halves of a search, what proposes and what judges: to core and engine, and to a spec.

Rule: the frozen dataclass that is written under ``sampler`` makes samplers, and says what it can do, so that
other modules need not know it by name; that under ``stopping`` judges itself. Their fields are the keys, with
bounds from annotated-types; what they mean together they say themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

from trialjob.errors import Problem
from trialjob.model.ids import TrialId
from trialjob.model.limits import Limits
from trialjob.model.metric import Objective, Report
from trialjob.model.space import Config, Space
from trialjob.model.trial import StopReason
from trialjob.orchestrator.core.events import Event
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial


class Sampler(Protocol):
    """Proposes configurations.

    It is told every event of the experiment, in order, and has no other memory: telling a new sampler the
    events of a journal makes it equal to the one that was there before the crash.
    """

    def ask(self, trial: TrialId) -> Config | None:
        """The configuration for the next trial, or None when there is none left for ever.

        Raises SamplerBusy while it is being worked out: the engine goes on without it and asks again.
        """

    def tell(self, events: Sequence[Event]) -> None:
        """Learn what happened."""


def only_proposals(sampler: Sampler) -> bool:
    """Whether a sampler says by an attribute of this name that it learns from ``TrialProposed`` alone.

    Then a process that begins with a state tells it of the trials there, and reads no journal for it.
    """
    return getattr(sampler, "only_proposals", False) is True


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """The parts of a spec that a sampler and a stopping rule may depend on."""

    space: Space
    objective: Objective
    limits: Limits
    sampler: BaseSampler
    stopping: BaseRule

    @property
    def seed(self) -> int:
        """The sampler's seed; 0 for one that does not draw."""
        return getattr(self.sampler, "seed", None) or 0


class BaseSampler:
    """A sampler as a spec names it. A frozen, keyword-only dataclass derives from this.

    One that has a field ``seed: int | None = None`` is given a seed when the experiment is created; one with
    ``prepare: int = 0`` is asked so many trials ahead, in a process of its own; one with ``warm_start:
    tuple[str, ...] = ()`` is told the results of those experiments and tables first.
    """

    __slots__ = ()
    #: What is written as ``sampler.kind``.
    kind: ClassVar[str] = ""
    #: It weighs every objective, or learns from none.
    several_objectives: ClassVar[bool] = False
    #: It proposes by what the trials have reported.
    learns: ClassVar[bool] = False
    #: The labels of the stopping rules under which it was measured surely behind random search.
    behind_random_under: ClassVar[tuple[str, ...]] = ()

    def problems(self) -> Iterator[Problem]:
        """What is wrong with its own values."""
        yield from ()

    def problems_with(self, search: Search) -> Iterator[Problem]:  # noqa: ARG002 - for those that look
        """What is wrong with it beside what else the spec says."""
        yield from ()

    def resolved(self, search: Search, seed: int) -> BaseSampler:  # noqa: ARG002 - for those that look
        """This one with nothing left open, as it is journaled: with ``seed`` where it has none."""
        return replace(self, seed=seed) if getattr(self, "seed", seed) is None else self  # type: ignore[type-var]

    def as_recorded(self, recorded: BaseSampler) -> BaseSampler:
        """This one with what it leaves open taken from ``recorded``, which ``resolved`` once gave."""
        if type(self) is not type(recorded) or getattr(self, "seed", 0) is not None:
            return self
        return replace(self, seed=getattr(recorded, "seed", None))  # type: ignore[type-var]

    def make(self, search: Search) -> Sampler:
        """A sampler that has been told nothing yet. Raises UsageError when a package is missing.

        It is a function of ``search`` and of this dataclass, so that a process after a crash makes the same.
        """
        raise NotImplementedError


def warm_start_of(sampler: BaseSampler) -> tuple[str, ...]:
    """The earlier experiments and tables that a sampler is to be told first."""
    return getattr(sampler, "warm_start", ())


# Stopping rules


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

    def judge(self, state: State, trial: Trial, report: Report) -> Judgement:
        """The judgement on ``trial`` upon a report of it that is the newest point of its curve.

        Reports behind that one may already be in the state; a rule looks at ``trial.curve_to(report)``.
        """

    def settle(self, state: State, trial: Trial) -> tuple[tuple[float, float], ...]:
        """Rungs that ``trial``, which has just completed, enters with its whole curve."""

    def target(self, trial: Trial) -> float | None:
        """The resource at which the next attempt of ``trial`` is to pause or end; None for its own end."""

    def pauses_at(self, resource: float) -> bool:
        """True when a trial whose target was ``resource`` pauses there and is not complete."""

    def promote(self, state: State) -> TrialId | None:
        """The paused trial that is to be resumed now, if one is."""

    def source(self, trial: TrialId) -> TrialId | None:
        """The trial whose checkpoint ``trial``, which is being proposed, is to begin with, if one is."""


class Scheduler(StoppingRule, Protocol):
    """A stopping rule that is the sampler, too."""

    def sampler(self) -> Sampler:
        """A new sampler, told nothing yet; from now on the rule judges by what that one is told."""
