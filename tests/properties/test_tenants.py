"""Tenants, budgets and crashes: whatever two servers do and wherever they die, no budget is broken.

Each thing that a server does is a generator that stops before each write, so that another may come between or
the server may die there. Between the ledger's read and its write lies the look at the journals, in which
others go on, too.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from trialjob.apps.team.ledger import BEGINS_WITHIN, JournalStatus, Tenant, month_of
from trialjob.apps.team.tenants import Ledger, change
from trialjob.errors import UsageError
from trialjob.testing.documents import MemoryDocuments

BUDGET, JOBS = 100, 4
TENANTS = ("red", "blue")
DAY = 86_400.0
STEPS = st.sampled_from([5, 5, 5, 1, 2, 3])


class Hand:
    """A clock that is set."""

    def __init__(self) -> None:
        self.at = 1_700_000_000.0

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        """Nothing is waited for."""


@dataclass
class Journal:
    cap: int
    jobs: int
    version: int = 1
    ended: bool = False
    committed: int = 0
    at: float = 0.0
    #: The servers that run it.
    run_by: set[int] = field(default_factory=set)


@dataclass(eq=False)
class Work:
    server: int
    steps: Generator[bool, None, None]
    #: It is between its last look at the ledger and its run, which takes no time worth the name.
    is_urgent: bool = False


class Servers(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.clock, self.documents = Hand(), MemoryDocuments()
        self.journals: dict[str, Journal] = {}
        self.works: list[Work] = []
        self.meanwhile: list[int] = []
        self.spent: dict[tuple[str, str], int] = {}
        for name in TENANTS:
            new = Tenant(name=name, budget=BUDGET * 10**6, max_concurrent=JOBS)
            change(self.documents, name, lambda old, new=new: old or new, self.clock)  # type: ignore[misc]

    # What a server does

    def ledger(self, experiment: str) -> Ledger:
        return Ledger(self.documents, experiment.partition("-")[0], self.clock, self.look)

    def look(self, names: list[str]) -> Mapping[str, JournalStatus | None]:
        self.others_go_on()
        found = {name: self.standing(name) for name in names}
        self.others_go_on()
        return found

    def others_go_on(self) -> None:
        while self.meanwhile:
            self.step(self.meanwhile.pop())

    def standing(self, name: str) -> JournalStatus | None:
        found = self.journals.get(name)
        if found is None:
            return None
        return JournalStatus(
            version=found.version, ended=found.ended, committed=found.committed * 10**6, at=found.at
        )

    def started(self, server: int, name: str, cap: int, jobs: int) -> Generator[bool, None, None]:
        yield False
        self.ledger(name).start(name, cap=cap, jobs=jobs)
        yield False
        if name in self.journals:
            return
        self.journals[name] = Journal(cap=cap, jobs=jobs, at=self.clock.now())
        made = self.journals[name]
        yield False
        yield from self.run(server, name, made)

    def run(self, server: int, name: str, journal: Journal) -> Generator[bool, None, None]:
        if not journal.ended and self.journals.get(name) is journal:
            self.ledger(name).begin(name, cap=journal.cap, jobs=journal.jobs, since=journal.version)
        yield True
        if not journal.ended and self.journals.get(name) is journal:
            journal.run_by.add(server)

    def resumed(self, server: int, name: str) -> Generator[bool, None, None]:
        journal = self.journals[name]
        if journal.ended:
            self.ledger(name).open(name, cap=journal.cap, jobs=journal.jobs, since=journal.version)
            yield False
            if journal.ended:
                journal.ended, journal.version = False, journal.version + 1
        yield False
        yield from self.run(server, name, journal)

    def removed(self, name: str) -> Generator[bool, None, None]:
        journal = self.journals[name]
        yield False
        self.ledger(name).tenant()
        yield False
        if not journal.run_by and self.journals.get(name) is journal:
            del self.journals[name]

    def bounded(self, name: str, cap: int, jobs: int) -> Generator[bool, None, None]:
        journal = self.journals[name]
        since = journal.version if journal.ended else 0
        yield False
        self.ledger(name).open(name, cap=cap, jobs=jobs, since=since)
        yield False
        journal.cap, journal.jobs, journal.version = cap, jobs, journal.version + 1

    def at_work(self, work: Work, steps: int) -> None:
        """Begin something, and do so much of it at once."""
        self.works.append(work)
        for _ in range(steps):
            if work in self.works:
                self.step(self.works.index(work))

    def step(self, number: int) -> None:
        """Let one of those who are at work go on to its next write."""
        if not self.works:
            return
        work = self.works.pop(number % len(self.works))
        try:
            work.is_urgent = next(work.steps)
        except (StopIteration, UsageError):  # there is no room, or one of that name
            return
        self.works.append(work)

    # What may happen

    @rule(
        server=st.integers(0, 1),
        tenant=st.sampled_from(TENANTS),
        number=st.integers(0, 2),
        cap=st.integers(1, 70),
        jobs=st.integers(1, 3),
        steps=STEPS,
    )
    def start(  # noqa: PLR0917 - Hypothesis names them
        self, server: int, tenant: str, number: int, cap: int, jobs: int, steps: int
    ) -> None:
        self.at_work(Work(server, self.started(server, f"{tenant}-{number}", cap, jobs)), steps)

    @precondition(lambda self: self.journals)
    @rule(server=st.integers(0, 1), number=st.integers(0, 9), steps=STEPS)
    def resume(self, server: int, number: int, steps: int) -> None:
        self.at_work(Work(server, self.resumed(server, self.some(number))), steps)

    @precondition(lambda self: self.journals)
    @rule(number=st.integers(0, 9), cap=st.integers(1, 70), jobs=st.integers(1, 3), steps=STEPS)
    def bound(self, number: int, cap: int, jobs: int, steps: int) -> None:
        self.at_work(Work(0, self.bounded(self.some(number), cap, jobs)), steps)

    @precondition(lambda self: self.journals)
    @rule(number=st.integers(0, 9), steps=STEPS)
    def remove(self, number: int, steps: int) -> None:
        self.at_work(Work(0, self.removed(self.some(number))), steps)

    @precondition(lambda self: self.journals)
    @rule(number=st.integers(0, 9))
    def remove_by_hand(self, number: int) -> None:
        """Of which no ledger knows."""
        name = self.some(number)
        if not self.journals[name].run_by:
            del self.journals[name]

    def some(self, number: int) -> str:
        names = sorted(self.journals)
        return names[number % len(names)]

    @rule(number=st.integers(0, 9), meanwhile=st.lists(st.integers(0, 9), max_size=3))
    def go_on(self, number: int, meanwhile: list[int]) -> None:
        self.meanwhile = meanwhile
        self.step(number)
        self.meanwhile = []

    @rule(tenant=st.sampled_from(TENANTS), meanwhile=st.lists(st.integers(0, 9), max_size=3))
    def settle(self, tenant: str, meanwhile: list[int]) -> None:
        self.meanwhile = meanwhile
        self.ledger(f"{tenant}-").tenant()
        self.meanwhile = []

    @rule(server=st.integers(0, 1))
    def die(self, server: int) -> None:
        self.works = [work for work in self.works if work.server != server]
        for journal in self.journals.values():
            journal.run_by.discard(server)

    @precondition(lambda self: self.journals)
    @rule(number=st.integers(0, 9), much=st.integers(1, 70))
    def spend(self, number: int, much: int) -> None:
        name = self.some(number)
        journal = self.journals[name]
        if journal.run_by and not journal.ended:
            more = max(0, min(much, journal.cap - journal.committed))
            journal.committed += more
            key = name.partition("-")[0], month_of(self.clock.now())
            self.spent[key] = self.spent.get(key, 0) + more

    @precondition(lambda self: self.journals)
    @rule(number=st.integers(0, 9))
    def end(self, number: int) -> None:
        journal = self.journals[self.some(number)]
        if journal.run_by:
            journal.ended, journal.version, journal.at = True, journal.version + 1, self.clock.now()
            journal.run_by.clear()

    @rule(days=st.sampled_from([0.01, 1.0, 20.0, 40.0]))
    def wait(self, days: float) -> None:
        self.works = [work for work in self.works if not work.is_urgent]
        self.clock.at += days * DAY

    # What must hold

    @invariant()
    def no_budget_is_broken(self) -> None:
        month = month_of(self.clock.now())
        for tenant in TENANTS:
            running = [
                journal
                for name, journal in self.journals.items()
                if name.startswith(tenant) and journal.run_by and not journal.ended
            ]
            to_come = sum(max(0, journal.cap - journal.committed) for journal in running)
            assert self.spent.get((tenant, month), 0) + to_come <= BUDGET
            assert sum(journal.jobs for journal in running) <= JOBS

    @invariant()
    def each_tenant_has_its_own(self) -> None:
        for tenant in TENANTS:
            found = self.documents.read(f"_team/tenants/{tenant}.json")
            assert found is not None
            assert all(name.startswith(tenant) for name in json.loads(found.data)["entries"])

    def teardown(self) -> None:
        """Once nobody is at work, what is over holds nothing, and what is not holds all that it may cost."""
        if not hasattr(self, "works"):
            return
        self.works = []
        self.clock.at += BEGINS_WITHIN + 1
        for tenant in TENANTS:
            held = {
                name for name, entry in self.ledger(f"{tenant}-").tenant().entries.items() if not entry.closed
            }
            alive = {
                name
                for name, journal in self.journals.items()
                if name.startswith(tenant) and not journal.ended
            }
            assert held <= alive
            for name in held:
                entry = self.ledger(name).tenant().entries[name]
                assert entry.cap >= self.journals[name].cap * 10**6
                assert entry.jobs >= self.journals[name].jobs


def test_a_name_that_is_used_again_breaks_no_budget() -> None:
    """What chance seldom comes to."""
    servers = Servers()
    servers.begin()
    servers.start(server=0, tenant="red", number=0, cap=60, jobs=1, steps=5)
    servers.spend(number=0, much=60)
    servers.end(number=0)
    servers.remove(number=0, steps=5)
    for cap, runs in ((50, False), (40, True)):
        servers.start(server=1, tenant="red", number=0, cap=cap, jobs=1, steps=5)
        assert bool(servers.journals) == runs
        servers.no_budget_is_broken()


TestServers = Servers.TestCase
TestServers.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
