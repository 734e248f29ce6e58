"""What the commands for a team do, on the store itself; each is written into the audit log."""

from __future__ import annotations

from datetime import UTC, datetime

from trialjob import experiment
from trialjob.apps.team.audit import Act, AuditLog
from trialjob.apps.team.ledger import Tenant, month_of
from trialjob.apps.team.tenants import Tenants, parse_budget
from trialjob.apps.team.tokens import Role, Token, TokenBook
from trialjob.errors import UsageError
from trialjob.model.durations import FORMS, parse_duration
from trialjob.model.money import dollars
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.locks import this_process
from trialjob.reporting.terminal import clean


class Team:
    """Tenants and tokens of a store."""

    def __init__(self, store: str | None) -> None:
        opened = experiment.open_store(store)
        self._clock = SystemClock(opened.ahead)
        self._tenants = Tenants(opened, self._clock)
        self._tokens = TokenBook(opened, self._clock)
        self._audit = AuditLog(opened, self._clock)

    def add_tenant(self, name: str, *, budget: str, max_concurrent: int, allow: tuple[str, ...]) -> None:
        allowed = tuple(experiment.allowed(each) for each in allow)
        self._tenants.add(name, budget=parse_budget(budget), max_concurrent=max_concurrent, allow=allowed)
        self._done(name, f"tenant add {name} --budget {budget} --max-concurrent {max_concurrent}")

    def set_tenant(
        self, name: str, *, budget: str | None, max_concurrent: int | None, allow: tuple[str, ...]
    ) -> None:
        if budget is None and max_concurrent is None and not allow:
            raise UsageError("nothing to change; write --budget, --max-concurrent or --allow")
        self._tenants.set(
            name,
            budget=None if budget is None else parse_budget(budget),
            max_concurrent=max_concurrent,
            allow=tuple(experiment.allowed(each) for each in allow) or None,
        )
        self._done(name, f"tenant set {name} --budget {budget} --max-concurrent {max_concurrent}")

    def tenants(self) -> str:
        month = month_of(self._clock.now())
        rows = [_tenant_row(self._tenants.read(name), month) for name in self._tenants.names()]
        return _table(("tenant", "budget", f"taken in {month}", "jobs", "allowed"), rows) or "no tenant yet"

    def create_token(self, tenant: str, *, role: str, expires: str, note: str) -> tuple[str, Token]:
        """Raises UsageError for a tenant that there is not, and for an admin of one."""
        wanted = Role[role.upper()]
        if wanted is Role.ADMIN and tenant:
            raise UsageError("an admin belongs to no tenant; leave the tenant out, or choose --role manage")
        if wanted is not Role.ADMIN:
            if not tenant:
                raise UsageError(f"a token to {role} is of a tenant; name it, or choose --role admin")
            self._tenants.read(tenant)
        text, token = self._tokens.create(tenant=tenant, role=wanted, note=note, seconds=_seconds(expires))
        self._done(tenant, f"token create {tenant} --role {role}: {token.id}")
        return text, token

    def revoke_token(self, token_id: str) -> None:
        self._tokens.revoke(token_id)
        self._done("", f"token revoke {token_id}")

    def tokens(self) -> str:
        now = self._clock.now()
        rows = [_token_row(token, now) for token in self._tokens.read().tokens]
        return _table(("id", "tenant", "role", "note", "valid until"), rows) or "no token yet"

    def _done(self, tenant: str, what: str) -> None:
        here = this_process()
        act = Act(who=str(here["user"]), tenant=tenant, what=what, origin=str(here["host"]), outcome="done")
        self._audit.add(act)


def _seconds(text: str) -> float | None:
    if text == "never":
        return None
    try:
        return parse_duration(text)
    except ValueError:
        raise UsageError(f"--expires {text!r} is no duration; {FORMS}, or never") from None


def _tenant_row(tenant: Tenant, month: str) -> tuple[str, ...]:
    money = f"${dollars(tenant.budget):,.2f}/month", f"${dollars(tenant.taken(month)):,.2f}"
    jobs = f"{tenant.jobs()} of {tenant.max_concurrent}"
    return tenant.name, *money, jobs, " ".join(tenant.allow) or "nothing"


def _token_row(token: Token, now: float) -> tuple[str, ...]:
    until = "ever" if token.expires_at is None else _day(token.expires_at)
    state = "revoked" if token.revoked else until if token.is_valid(now) else f"expired {until}"
    return token.id, token.tenant or "-", token.role, token.note, state


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Rows in columns; "" without any."""
    if not rows:
        return ""
    shown = [head, *(tuple(clean(cell) for cell in row) for row in rows)]
    widths = [max(len(row[column]) for row in shown) for column in range(len(head))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in shown)
    return "\n".join(line.rstrip() for line in lines)
