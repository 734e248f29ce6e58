"""What a sampler is: to the engine, and to a spec; and what both halves of a search know of each other.

Rule: what is written under ``sampler`` is a frozen dataclass that makes samplers. It says what it can do, so
that no other module needs to know it by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

from trialjob.errors import Problem
from trialjob.model.ids import TrialId
from trialjob.model.limits import Limits
from trialjob.model.metric import Objective
from trialjob.model.space import Config, Space
from trialjob.orchestrator.core.events import Event
from trialjob.orchestrator.core.rule import BaseRule


class Sampler(Protocol):
    """Proposes configurations.

    It is told every event of the experiment, in order, and has no other memory: telling a new sampler the
    events of a journal makes it equal to the one that was there before the crash.
    """

    def ask(self, trial: TrialId) -> Config | None:
        """The configuration for the next trial, or None when there is none left for ever.

        Raises SamplerBusy while it is being worked out: the engine goes on without it and asks again.
        """
        ...

    def tell(self, events: Sequence[Event]) -> None:
        """Learn what happened."""
        ...


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
