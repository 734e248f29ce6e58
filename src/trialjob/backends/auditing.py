"""What an audit finds, and whose it is; each backend looks in a way of its own.

Rule: an experiment has an owner as long as anybody may come back to it. Only what surely has none is ended
without its name being said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import groupby
from typing import Protocol, TypeAlias

from trialjob.model.ids import ExperimentName, JobName
from trialjob.model.trial import Phase


class Standing(Enum):
    """Who minds an experiment."""

    #: A process runs it now.
    RUN = "run"
    #: It is in the store here and can go on; nobody runs it now.
    LEFT = "left"
    #: Another user, machine or store started it, and may know it.
    ELSEWHERE = "elsewhere"
    #: It is in the store here and has ended: nobody will look at its jobs again.
    ENDED = "ended"
    #: This user started it on this machine in this store, which does not know it any more.
    FORGOTTEN = "forgotten"

    @property
    def has_owner(self) -> bool:
        return self not in {Standing.ENDED, Standing.FORGOTTEN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the store here knows of an experiment."""

    phase: Phase
    #: Who runs it now, in words.
    holder: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A job that has not ended, or the warm pool that waits behind one that has."""

    job: JobName
    experiment: ExperimentName
    #: Who started it: user and machine, and the store that knows of it.
    owner: str
    instance_type: str
    instances: int
    #: The service's word for where the job stands.
    state: str
    #: Since when it runs or waits.
    since: float

    #: It is a warm pool, and no job runs on it.
    is_pool: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """All of one experiment."""

    experiment: ExperimentName
    owner: str
    standing: Standing
    #: Who runs it now, in words.
    holder: str | None
    found: tuple[Found, ...]


#: Asks a store for an experiment.
Knows: TypeAlias = Callable[[ExperimentName], Known | None]


class Auditor(Protocol):
    """One account or cluster, seen from one store."""

    def region(self) -> str:
        """Where it looks, in words."""
        ...

    def look(self, experiment: str = "") -> Sequence[Group]:
        """Everything that runs or waits, or that of one experiment."""
        ...

    def stop(self, found: Iterable[Found], say: Callable[[str], None]) -> Sequence[Found]:
        """End these; what has not ended is returned."""
        ...


def grouped(found: Iterable[Found], known: Knows, me: str) -> list[Group]:
    """By experiment; ``me`` is what this user's jobs of this store have as their owner."""
    ordered = sorted(found, key=lambda each: (each.experiment, each.job))
    return [
        _group(name, tuple(members), known(name), me)
        for name, members in groupby(ordered, key=lambda each: each.experiment)
    ]


def _group(experiment: ExperimentName, found: tuple[Found, ...], known: Known | None, me: str) -> Group:
    if known is None:
        # What moved here or away has jobs of more than one owner, and some other store may know it.
        ours = all(each.owner == me for each in found)
        standing = Standing.FORGOTTEN if ours else Standing.ELSEWHERE
    elif known.holder:
        standing = Standing.RUN
    else:
        standing = Standing.ENDED if known.phase is Phase.ENDED else Standing.LEFT
    return Group(
        experiment=experiment,
        owner=found[0].owner,
        standing=standing,
        holder=known.holder if known else None,
        found=found,
    )


def without_owner(groups: Sequence[Group]) -> list[Found]:
    """What may be ended without asking whose it is."""
    return [each for group in groups if not group.standing.has_owner for each in group.found]
