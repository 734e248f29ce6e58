"""What an audit finds, and whose it is; each backend looks in a way of its own.

Rule: an experiment has an owner as long as a user may come back to it. Only what surely has none is ended
without its name being said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import chain, groupby
from typing import Protocol, TypeAlias, runtime_checkable

from trialjob.errors import BackendError, UsageError
from trialjob.model.ids import ExperimentName, JobName
from trialjob.model.trial import Phase


class NothingToAudit(UsageError):
    """A backend's jobs cannot be forgotten anywhere."""


class Ownership(Enum):
    """Who minds an experiment."""

    #: A process runs it now.
    RUN = "run"
    #: It is in the store here and can go on; no process runs it now.
    LEFT = "left"
    #: Another user, machine or store started it, and may know it.
    ELSEWHERE = "elsewhere"
    #: It is in the store here and has ended: its jobs will not be looked at again.
    ENDED = "ended"
    #: This user started it on this machine in this store, which does not know it any more.
    FORGOTTEN = "forgotten"

    @property
    def has_owner(self) -> bool:
        return self not in {Ownership.ENDED, Ownership.FORGOTTEN}


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
    #: It is a search that the service makes, and runs on no machine itself: its jobs do.
    is_tuning_job: bool = False
    #: Such a search has started it, and would start another in its place.
    tuning_job: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """All of one experiment."""

    experiment: ExperimentName
    owner: str
    standing: Ownership
    #: Who runs it now, in words.
    holder: str | None
    found: tuple[Found, ...]


#: Asks a store for an experiment.
Knows: TypeAlias = Callable[[ExperimentName], Known | None]


@runtime_checkable
class Auditor(Protocol):
    """One account or cluster, seen from one store."""

    def region(self) -> str:
        """Where it looks, in words."""

    def look(self, experiment: str = "") -> Sequence[Group]:
        """Everything that runs or waits, or that of one experiment."""

    def stop(self, found: Iterable[Found], say: Callable[[str], None]) -> Sequence[Found]:
        """End these; what has not ended is returned."""


class Together:
    """Several accounts or clusters, each with an auditor of its own; what one cannot see, the others can."""

    def __init__(self, auditors: Sequence[Auditor], unseen: Sequence[str] = ()) -> None:
        """``unseen`` are places known to be out of reach, and why."""
        inner = [each._auditors if isinstance(each, Together) else (each,) for each in auditors]  # noqa: SLF001
        self._auditors: Sequence[Auditor] = [*chain.from_iterable(inner)]
        self._unseen = [*unseen]
        self._of: dict[Found, Auditor] = {}
        self._silent: list[Auditor] = []

    def unseen(self) -> Sequence[str]:
        """The places out of reach, and why; after ``look``."""
        return self._unseen

    def notes(self) -> Sequence[str]:
        """What those who could look may not see; after ``look``."""
        return [note for each in self._auditors for note in getattr(each, "notes", tuple)()]

    @property
    def looks(self) -> bool:
        """Whether there is anywhere to look."""
        return bool(self._auditors)

    def region(self) -> str:
        return " and ".join(each.region() for each in self._auditors if each not in self._silent)

    def look(self, experiment: str = "") -> Sequence[Group]:
        """What is seen of all. Raises what the only one raises, or the last of those that all failed."""
        groups: list[Group] = []
        for each in self._auditors:
            try:
                found = each.look(experiment)
            except (BackendError, UsageError) as error:
                self._silent.append(each)
                if len(self._silent) == len(self._auditors):
                    raise
                self._unseen.append(str(error))
                continue
            groups += found
            self._of |= {job: each for group in found for job in group.found}
        return groups

    def stop(self, found: Iterable[Found], say: Callable[[str], None]) -> Sequence[Found]:
        asked = [*found]
        left: list[Found] = []
        for auditor in self._auditors:
            mine = [each for each in asked if self._of.get(each) is auditor]
            left += auditor.stop(mine, say) if mine else []
        return left


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
        standing = Ownership.FORGOTTEN if ours else Ownership.ELSEWHERE
    elif known.holder:
        standing = Ownership.RUN
    else:
        standing = Ownership.ENDED if known.phase is Phase.ENDED else Ownership.LEFT
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
