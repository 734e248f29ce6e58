"""The tenants of a store, and what each has opened: the ledger, kept in the store.

Rule: before an experiment may cost anything, it is opened here, and once more when its journal is there and
it is about to run. To close it, a process reads the ledger first and its journal then, and writes only
if the ledger is still the same. So a crash between any two of these loses and doubles nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from trialjob.apps.team import json_documents
from trialjob.apps.team.ledger import JournalStatus, Tenant, month_of
from trialjob.errors import StoreError, UsageError
from trialjob.model.money import Micros, cap_micros
from trialjob.orchestrator.journals.store import BaseStore, Documents
from trialjob.orchestrator.ports import Clock
from trialjob.reporting.typed_commands import command

_FOLDER: Final = f"{json_documents.FOLDER}/tenants"
#: No hyphen: what stands before the first one in an experiment's name is its tenant.
_NAME: Final = re.compile(r"[a-z][a-z0-9]{0,15}", re.ASCII)
_BUDGET: Final = re.compile(r"\$?([0-9]{1,9}(?:\.[0-9]{1,6})?)/month", re.ASCII)

#: What an experiment of a tenant may not be.
UNCAPPED: Final = (
    "limits.max_cost is missing, and what a tenant starts is paid from its budget\n"
    "    → write the most that it may cost, in dollars"
)
#: Where the journals of these experiments stand; None for one that has none. One that cannot be read is
#: left out.
Look = Callable[[list[str]], Mapping[str, JournalStatus | None]]


class NoSuchTenant(UsageError):
    """There is no tenant of that name."""


class Tenants:
    """All tenants of a store."""

    def __init__(self, store: BaseStore, clock: Clock) -> None:
        self._documents, self._clock = store.documents(), clock
        self._where = store.where()

    def names(self) -> list[str]:
        found = self._documents.names(_FOLDER)
        return [name.removesuffix(".json") for name in found if name.endswith(".json")]

    def read(self, name: str) -> Tenant:
        """Raises NoSuchTenant."""
        tenant = (
            json_documents.read(self._documents, _key(name), Tenant.parse, None)
            if _NAME.fullmatch(name)
            else None
        )
        if tenant is None:
            raise NoSuchTenant(
                f"no tenant {name!r} in {self._where}; "
                f"`{command('tenant', 'list', store=self._where)}` shows what there is"
            )
        return tenant

    def add(self, name: str, *, budget: Micros, max_concurrent: int, allow: tuple[str, ...]) -> None:
        """Raises UsageError when the name is none or taken."""
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} is no name of a tenant: write up to 16 small letters and digits, a letter first; "
                "its experiments have it in front of theirs"
            )
        new = Tenant(name=name, budget=budget, max_concurrent=max_concurrent, allow=allow)

        def make(old: Tenant | None) -> Tenant:
            if old is not None and old != new:
                change_it = command("tenant", "set", name, store=self._where)
                raise UsageError(f"there is a tenant {name}; change it with `{change_it}`")
            return new

        change(self._documents, name, make, self._clock)

    def set(
        self,
        name: str,
        *,
        budget: Micros | None = None,
        max_concurrent: int | None = None,
        allow: tuple[str, ...] | None = None,
    ) -> None:
        """Give a tenant other rights; what is open stays so. Raises NoSuchTenant."""
        self.read(name)

        def make(old: Tenant | None) -> Tenant:
            assert old is not None  # noqa: S101 - tenants are never removed
            return old.changed(
                budget=old.budget if budget is None else budget,
                max_concurrent=old.max_concurrent if max_concurrent is None else max_concurrent,
                allow=old.allow if allow is None else allow,
            )

        change(self._documents, name, make, self._clock)


class Ledger:
    """What one tenant has opened."""

    def __init__(self, documents: Documents, name: str, clock: Clock, look: Look) -> None:
        self._documents, self.name, self._clock, self._look = documents, name, clock, look

    def tenant(self) -> Tenant:
        """As it is, with what is over closed."""
        return self._change(self._settled)

    def rights(self) -> tuple[str, ...]:
        """What its specs may ask for."""
        tenant = json_documents.read(self._documents, _key(self.name), Tenant.parse, None)
        return () if tenant is None else tenant.allow

    def room(self, experiment: str = "", *, cap: float | None, jobs: int) -> dict[str, Any]:
        """What there is, and under ``refusals`` why one, new unless it is named, would be refused."""
        tenant, now = self.tenant(), self._clock.now()
        said = tenant.refusals(experiment, cap=cap_micros(cap or 0.0), jobs=jobs, at=now)
        if cap is None:
            said.insert(0, UNCAPPED)
        return {**tenant.standing(month_of(now)), "refusals": said}

    def month(self) -> str:
        return month_of(self._clock.now())

    def start(self, experiment: str, *, cap: float, jobs: int) -> None:
        """Make room for one that is about to be created; otherwise as ``open``.

        Raises UsageError, having held nothing, when there is one of that name; StoreError when that cannot be
        told.
        """

        def make(tenant: Tenant) -> Tenant:
            now, free = self._clock.now(), self._settled(tenant)
            found = self._look([experiment])
            if experiment not in found:
                raise StoreError(
                    f"the journal of an experiment named {experiment} cannot be read; choose another name, "
                    "or have it restored"
                )
            if found[experiment] is not None:
                raise UsageError(
                    f"an experiment named {experiment} exists; resume it, or choose another name"
                )
            free = free.put_aside(experiment, now)
            return free.opened(experiment, cap=cap_micros(cap), jobs=jobs, since=0, at=now)

        self._change(make)

    def open(self, experiment: str, *, cap: float, jobs: int, since: int) -> None:
        """Make room for an experiment before it may cost more. Raises NoRoom, which says what is free."""
        self._change(
            lambda tenant: self._settled(tenant).opened(
                experiment, cap=cap_micros(cap), jobs=jobs, since=since, at=self._clock.now()
            )
        )

    def begin(self, experiment: str, *, cap: float, jobs: int, since: int) -> None:
        """Once more when it is there, at version ``since``, and about to run; as ``open``."""
        self._change(
            lambda tenant: tenant.opened(
                experiment, cap=cap_micros(cap), jobs=jobs, since=since, at=self._clock.now(), ran=True
            )
        )

    def withdraw(self, experiment: str) -> None:
        """It was not begun: there is no such experiment, and no process ran it."""

        def make(tenant: Tenant) -> Tenant:
            entry = tenant.entries.get(experiment)
            if entry is None or entry.ran or self._look([experiment]).get(experiment, 0) is not None:
                return tenant
            rest = {name: each for name, each in tenant.entries.items() if name != experiment}
            return replace(tenant, entries=rest, serial=tenant.serial + 1)

        self._change(make)

    def _settled(self, tenant: Tenant) -> Tenant:
        names = [name for name, entry in tenant.entries.items() if not entry.closed]
        return tenant.settled(self._look(names), self._clock.now()) if names else tenant

    def _change(self, make: Callable[[Tenant], Tenant]) -> Tenant:
        def made(old: Tenant | None) -> Tenant:
            if old is None:
                raise NoSuchTenant(f"no tenant {self.name!r} any more")
            return make(old)

        return change(self._documents, self.name, made, self._clock)


def change(documents: Documents, name: str, make: Callable[[Tenant | None], Tenant], clock: Clock) -> Tenant:
    """Change a tenant's document."""
    new: Tenant | None = json_documents.change(
        documents,
        _key(name),
        parse=Tenant.parse,
        nothing=None,
        make=make,
        written=lambda tenant: {} if tenant is None else tenant.written(),
        clock=clock,
    )
    assert new is not None  # noqa: S101 - narrows the type
    return new


def _key(name: str) -> str:
    return f"{_FOLDER}/{name}.json"


def tenant_of(experiment: str) -> str:
    """Whose experiment that is, by its name; "" for no tenant's."""
    tenant, hyphen, _ = experiment.partition("-")
    return tenant if hyphen and _NAME.fullmatch(tenant) else ""


def address_for(store: BaseStore, tenant: str) -> str:
    """Where the experiments of a tenant are kept; no other store has a part of it."""
    return f"{store.where()}/{json_documents.FOLDER}/stores/{tenant}"


def parse_budget(text: str) -> Micros:
    """Raises UsageError."""
    match = _BUDGET.fullmatch(text)
    if match is None:
        raise UsageError(f"--budget {text!r} is no budget; write dollars a month, such as 500/month")
    return cap_micros(float(match[1]))
