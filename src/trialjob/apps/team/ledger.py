"""A tenant and what it may spend: which experiment may cost how much, decided before it may cost anything.

Rule 1: all that is open, at the most that it may cost, and all that the month has cost are together within
the budget, or nothing more is opened. The most that an experiment may cost is its max_cost, which its
journal holds to; so the budget holds even if no process looks again.
Rule 2: an experiment that goes on over the end of a month counts in each of its months as a whole.
Rule 3: what is open is closed by an end that came behind the version of the journal at which it was opened.
So no process closes what another is about to go on with.
Rule 4: clocks differ, and are set. What is over counts in the month of whichever clock is ahead, and is kept
for a month more, so that a process whose clock is behind still counts it.
Rule 5: what a name has cost is counted also when the experiment was removed and another one has the name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, Self

from trialjob.errors import UsageError
from trialjob.model.money import Micros, dollars, exact_dollars

#: Seconds after which what has been opened and not begun is closed; beginning it later opens it again.
BEGINS_WITHIN: Final = 3600.0
_CENT: Final = 10_000


class NoRoom(UsageError):
    """It does not fit into the tenant's budget now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What an experiment may cost, or has."""

    #: The most that it may cost.
    cap: Micros
    #: Jobs that it may have at once.
    jobs: int
    #: The version of its journal at which it was opened; 0 before it has one.
    since: int
    #: When it was opened or last asked for, in seconds since the epoch.
    at: float
    #: A process has begun to run it.
    ran: bool = False
    #: The month of its end; "" while it is open.
    closed: str = ""
    #: What it has cost at most; only when it is closed.
    charge: Micros = 0

    def counts(self, month: str) -> Micros:
        """What of ``month`` is taken by it."""
        if not self.closed:
            return self.cap
        return self.charge if self.closed >= month else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalStatus:
    """Where the journal of an experiment stands."""

    version: int
    ended: bool
    #: The most that its jobs have cost.
    committed: Micros
    #: When it was last written.
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A group of people with a budget of their own."""

    name: str
    #: A month.
    budget: Micros
    max_concurrent: int
    #: What of a spec is allowed: fields, each with a pattern, as in ``backend.instance_type=ml.g4dn.*``.
    allow: tuple[str, ...] = ()
    #: Counted up with every change, so that none is mistaken for an earlier one.
    serial: int = 0
    entries: Mapping[str, Entry] = field(default_factory=dict)

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Self:
        entries = {str(name): Entry(**row) for name, row in fields["entries"].items()}
        rest = {name: fields[name] for name in ("name", "budget", "max_concurrent", "serial")}
        return cls(**rest, allow=tuple(fields["allow"]), entries=entries)

    def written(self) -> dict[str, Any]:
        return asdict(self)

    # What is free

    def taken(self, month: str, *, but: str = "") -> Micros:
        return sum(entry.counts(month) for name, entry in self.entries.items() if name != but)

    def jobs(self, *, but: str = "") -> int:
        return sum(e.jobs for name, e in self.entries.items() if name != but and not e.closed)

    def refusals(self, name: str = "", *, cap: Micros, jobs: int, at: float) -> list[str]:
        """Why an experiment, a new one unless it is named, would not be opened now."""
        said = []
        for money, slots in ((cap, 0), (0, jobs)):
            try:
                self.opened(name, cap=money, jobs=slots, since=0, at=at)
            except NoRoom as error:
                said.append(str(error))
        return said

    def standing(self, month: str) -> dict[str, Any]:
        """Its budget, for people and programs."""
        spent = sum(entry.counts(month) for entry in self.entries.values() if entry.closed)
        held = self.taken(month) - spent
        return {
            "name": self.name,
            "month": month,
            "budget": dollars(self.budget),
            "spent": dollars(spent),
            "held": dollars(held),
            "free": dollars(max(0, self.budget - spent - held)),
            "max_concurrent": self.max_concurrent,
            "jobs": self.jobs(),
            "allow": list(self.allow),
        }

    # What changes

    def opened(self, name: str, *, cap: Micros, jobs: int, since: int, at: float, ran: bool = False) -> Self:
        """With room for an experiment, which never becomes less while it is open. Raises NoRoom."""
        old, month = self.entries.get(name), month_of(at)
        if old is not None:
            cap = max(cap, old.charge if old.closed else old.cap)
        if old is not None and not old.closed:
            jobs = max(jobs, old.jobs)
        grows = old is None or bool(old.closed) or cap > old.cap
        if grows and self.taken(month, but=name) + cap > self.budget:
            raise NoRoom(self._no_money(name, cap, month))
        more = old is None or bool(old.closed) or jobs > old.jobs
        if more and self.jobs(but=name) + jobs > self.max_concurrent:
            raise NoRoom(self._no_jobs(name, jobs))
        entry = Entry(
            cap=cap,
            jobs=jobs,
            since=since if old is None else max(since, old.since),
            at=at,
            ran=ran or (old is not None and old.ran),
        )
        return self._with(month, {**self.entries, name: entry})

    def settled(self, standings: Mapping[str, JournalStatus | None], now: float) -> Self:
        """With what is over closed; ``standings`` were read after this was."""
        entries = {
            name: _settled(self.entries[name], standing, now)
            for name, standing in standings.items()
            if name in self.entries and not self.entries[name].closed
        }
        kept = {name: entry for name, entry in {**self.entries, **entries}.items() if entry is not None}
        return self if kept == self.entries else self._with(month_of(now), kept)

    def put_aside(self, name: str, at: float) -> Self:
        """With what is known by a name out of the way of another of that name: its journal is gone.

        What has not begun is left, as it may be the same start that is made again. What a lost one has cost
        is unknown.
        """
        old = self.entries.get(name)
        if old is None or not (old.closed or old.ran):
            return self
        over = old if old.closed else replace(old, closed=month_of(at), charge=old.cap)
        rest = {other: entry for other, entry in self.entries.items() if other != name}
        return self._with(month_of(at), {**rest, f"{name}/{self.serial}": over})  # no experiment's name

    def changed(self, *, budget: Micros, max_concurrent: int, allow: tuple[str, ...]) -> Self:
        """With other rights; what is open stays so."""
        new = replace(self, budget=budget, max_concurrent=max_concurrent, allow=allow)
        return self if new == self else replace(new, serial=self.serial + 1)

    def _with(self, month: str, entries: Mapping[str, Entry]) -> Self:
        since = month_before(month)
        kept = {name: e for name, e in entries.items() if not e.closed or e.closed >= since}
        return replace(self, entries=kept, serial=self.serial + 1)

    # In words

    def _no_money(self, name: str, cap: Micros, month: str) -> str:
        old, taken = self.entries.get(name), self.taken(month, but=name)
        free = max(0, self.budget - taken)
        cents = free // _CENT * _CENT  # what is written is not to be more than is free
        least = 0 if old is None else old.charge if old.closed else old.cap
        fits = f"limits.max_cost: {dollars(cents):.2f}" if cents > least else ""
        raised = f"`trialjob tenant set {self.name} --budget …`"
        held = sum(e.cap for other, e in self.entries.items() if other != name and not e.closed)
        later = f"; up to {_dollars(held)} of it come back as experiments end" if held else ""
        return (
            f"max_cost of {_dollars(cap)} does not fit: {_dollars(free)} of {_dollars(self.budget)} are free "
            f"in {month}, {_dollars(taken)} are spent or held{later}; all of it but what still runs is free "
            f"again in {next_month(month)}{_remedy(fits, raised, later=cap <= self.budget)}"
        )

    def _no_jobs(self, name: str, jobs: int) -> str:
        old, taken = self.entries.get(name), self.jobs(but=name)
        free = max(0, self.max_concurrent - taken)
        least = 1 if old is None or old.closed else old.jobs
        fits = f"limits.max_concurrent_trials: {free}" if free >= least else ""
        raised = f"`trialjob tenant set {self.name} --max-concurrent …`"
        return (
            f"{jobs} jobs at once do not fit: {free} of {self.max_concurrent} are free, {taken} are held by "
            "what is open; they come back as experiments end"
            + _remedy(fits, raised, later=jobs <= self.max_concurrent)
        )


def _remedy(fits: str, raised: str, *, later: bool) -> str:
    """What to write, if anything fits; and to wait, if what is wanted will fit ``later``."""
    ways = [f"write {fits} or less"] if fits else []
    ways.append("wait" if later else f"have an admin raise it: {raised}")
    return f"\n    → {', or '.join(ways)}"


def _settled(entry: Entry, standing: JournalStatus | None, now: float) -> Entry | None:
    late = now - entry.at > BEGINS_WITHIN
    if standing is None:
        # What never began has cost nothing; what a lost one has cost is unknown.
        if not late:
            return entry
        return replace(entry, closed=month_of(now), charge=entry.cap) if entry.ran else None
    if not standing.ended or (standing.version <= entry.since and not late):
        return entry
    return replace(entry, closed=month_of(max(standing.at, entry.at)), charge=standing.committed)


def month_of(at: float) -> str:
    """The month of a moment, in UTC."""
    return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m")


def month_before(month: str) -> str:
    year, number = map(int, month.split("-"))
    return f"{year - (number == 1)}-{(number - 2) % 12 + 1:02d}"


def next_month(month: str) -> str:
    year, number = map(int, month.split("-"))
    return f"{year + number // 12}-{number % 12 + 1:02d}"


def _dollars(micros: Micros) -> str:
    return exact_dollars(micros)
