"""The caller, and the experiments that he may see: one user on his own machine, or the people of a team."""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from trialjob.apps.service.admin_experiments import AdminExperiments
from trialjob.apps.service.experiments import Experiments
from trialjob.apps.service.log import log
from trialjob.apps.service.runner import Runner
from trialjob.apps.service.tenant_experiments import TenantExperiments
from trialjob.apps.team.administration import Administration
from trialjob.apps.team.audit import Act, AuditLog
from trialjob.apps.team.tenants import Tenants
from trialjob.apps.team.tokens import Role, TokenBook, Tokens, digest_of
from trialjob.errors import TrialjobError, UsageError
from trialjob.orchestrator.journals.store import BaseStore
from trialjob.orchestrator.ports import Clock
from trialjob.reporting.typed_commands import command

AnyExperiments: TypeAlias = Experiments | AdminExperiments
#: Seconds between two looks for experiments that no process runs.
_SWEEP: Final = 30.0
#: Seconds for which a look at the tokens is good; so long one that is revoked may still open.
_FRESH: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The caller of a request."""

    #: The id of his token; it opens nothing.
    id: str
    role: Role
    #: "" for who belongs to none.
    tenant: str = ""


class Alone:
    """One user, who may do here what he may on this machine."""

    def __init__(self, experiments: Experiments, token: str) -> None:
        self._experiments = experiments
        self._digest = digest_of(token)

    def caller(self, token: str) -> Caller | None:
        """Whose token that is; None if unknown."""
        known = hmac.compare_digest(digest_of(token), self._digest)
        return Caller(id="alone", role=Role.ADMIN) if known else None

    def at_once(self, token: str) -> tuple[Caller, AnyExperiments] | None:
        """Whose that is and the experiments that there are for him, where the store need not be asked."""
        caller = self.caller(token)
        return None if caller is None else (caller, self._experiments)

    def experiments(self, caller: Caller) -> AnyExperiments:  # noqa: ARG002 - there is but one
        """The experiments that there are for him."""
        return self._experiments

    def ready(self) -> None:
        """Raises StoreError when nothing could be answered now."""
        self._experiments.names()

    def tenants(self, caller: Caller) -> Sequence[Mapping[str, Any]]:  # noqa: ARG002 - there are none
        """The budgets that he may see."""
        return ()

    def administration(self) -> Administration:
        """Tenants and tokens, for admins. Raises UsageError: there is no team."""
        raise UsageError(
            "this server is for one user alone, without tenants and tokens; make a token first and start it "
            f"again: {command('token', 'create', '--role', 'admin', store=self._experiments.where)}"
        )

    def note(self, act: Act) -> None:
        """There is only one user, so nothing is kept."""

    def acts(self, caller: Caller, day: str, last: int) -> Sequence[Mapping[str, str]]:  # noqa: ARG002 - none
        """What was written down of a day, as far as he may see it."""
        return ()

    def take_over(self) -> None:
        """Go on with experiments that have not ended and no process runs, while requests are answered.

        Raises StoreError when the store cannot be read.
        """
        self.ready()
        _beside(lambda: _sweep(self._experiments.resume_all))

    def close(self) -> None:
        """Let all that runs here come back; jobs run on."""
        self._experiments.runner.close()


class TeamCallers:
    """Tenants, each with experiments of its own, and admins."""

    def __init__(self, store: BaseStore, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._tokens, self._tenants = TokenBook(store, clock), Tenants(store, clock)
        self._audit, self._office = AuditLog(store, clock), Administration(store, clock)
        self._known: tuple[float, Tokens] | None = None
        self._experiments: dict[str, TenantExperiments] = {}
        self._lock = threading.Lock()
        self._admin = AdminExperiments(self.names, self.tenant_experiments)
        self._closed = threading.Event()

    def caller(self, token: str) -> Caller | None:
        """Raises StoreError, as the rest does; otherwise as of ``Alone``."""
        if not token:
            return None
        found = self._of(token, self._fresh() or self._read())
        return found or self._of(token, self._read())  # it may have been made just now

    def at_once(self, token: str) -> tuple[Caller, AnyExperiments] | None:
        tokens = self._fresh()
        caller = None if tokens is None else self._of(token, tokens)
        if caller is None:
            return None
        with self._lock:
            experiments = self._admin if caller.role is Role.ADMIN else self._experiments.get(caller.tenant)
        return None if experiments is None else (caller, experiments)

    def _of(self, token: str, tokens: Tokens) -> Caller | None:
        found = tokens.find(token, self._clock.now())
        if found is None:
            return None
        return Caller(id=found.id, role=Role[found.role.upper()], tenant=found.tenant)

    def _fresh(self) -> Tokens | None:
        """The tokens that were read last, as long as they are good."""
        with self._lock:
            known = self._known
        return known[1] if known is not None and 0 <= self._clock.now() - known[0] < _FRESH else None

    def _read(self) -> Tokens:
        now = self._clock.now()
        tokens = self._tokens.read()
        with self._lock:
            self._known = now, tokens
        return tokens

    def names(self) -> list[str]:
        return self._tenants.names()

    def experiments(self, caller: Caller) -> AnyExperiments:
        return self._admin if caller.role is Role.ADMIN else self.tenant_experiments(caller.tenant)

    def tenant_experiments(self, name: str) -> TenantExperiments:
        """Raises NoSuchTenant."""
        with self._lock:
            known = self._experiments.get(name)
        if known is not None:  # tenants are never removed
            return known
        self._tenants.read(name)
        with self._lock:
            return self._experiments.setdefault(
                name, TenantExperiments(self._store, name, self._clock, Runner())
            )

    def ready(self) -> None:
        self._tokens.read()

    def tenants(self, caller: Caller) -> Sequence[Mapping[str, Any]]:
        names = self.names() if caller.role is Role.ADMIN else [caller.tenant]
        experiments_of = [self.tenant_experiments(name) for name in names]
        return [
            experiments.ledger.tenant().standing(experiments.ledger.month()) for experiments in experiments_of
        ]

    def administration(self) -> Administration:
        return self._office

    def note(self, act: Act) -> None:
        self._audit.add(act)

    def acts(self, caller: Caller, day: str, last: int) -> Sequence[Mapping[str, str]]:
        tenant = None if caller.role is Role.ADMIN else caller.tenant
        return self._audit.read(day or self._audit.today(), last=last, tenant=tenant)

    def resume_all(self) -> None:
        """Go on with experiments that have not ended and no process runs."""
        with suppress(TrialjobError):  # the store is away; there is a next time
            for name in self.names():
                with suppress(TrialjobError):  # the page shows what cannot be read, and why
                    self.tenant_experiments(name).resume_all()

    def take_over(self, every: float = _SWEEP) -> None:
        """Go on so from now on, so that what a server that died ran goes on here once its lease is over."""

        def sweeps() -> None:
            while not self._closed.is_set():
                _sweep(self.resume_all)
                self._closed.wait(every)

        _beside(sweeps)

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            experiments_of = list(self._experiments.values())
        for experiments in experiments_of:
            experiments.runner.close()


#: Who is let in, and to what.
Callers: TypeAlias = Alone | TeamCallers


def _sweep(resume_all: Callable[[], None]) -> None:
    try:
        resume_all()
    except Exception as error:  # noqa: BLE001 - whatever one experiment has, the others are answered for
        log("sweep", trouble=f"{type(error).__name__}: {error}")


def _beside(work: Callable[[], None]) -> None:
    """With hundreds of experiments it takes a while, and requests are answered meanwhile."""
    threading.Thread(target=work, name="take over", daemon=True).start()
