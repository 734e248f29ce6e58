"""What the commands for a team do, on the store itself; each is written into the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import click

from trialjob import experiment
from trialjob.apps.cli.errors import ExitStatus, say
from trialjob.apps.team.audit import Act, AuditLog
from trialjob.apps.team.ledger import Tenant, month_of
from trialjob.apps.team.tenants import Tenants, parse_budget
from trialjob.apps.team.tokens import Role, Token, TokenBook
from trialjob.errors import UsageError
from trialjob.model.durations import FORMS, duration_said
from trialjob.model.money import dollars
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.locks import this_process
from trialjob.reporting.terminal import clean
from trialjob.reporting.typed_commands import command


class _Team:
    """Tenants and tokens of a store."""

    def __init__(self, store: str | None) -> None:
        opened = experiment.open_store(store)
        self.clock = SystemClock(opened.ahead)
        self.tenants, self.tokens = Tenants(opened, self.clock), TokenBook(opened, self.clock)
        self._audit = AuditLog(opened, self.clock)

    def done(self, tenant: str, what: str) -> None:
        here = this_process()
        act = Act(who=str(here["user"]), tenant=tenant, what=what, origin=str(here["host"]), outcome="done")
        self._audit.add(act)


def add_tenant(
    *, name: str, budget: str, max_concurrent: int | None, allow: tuple[str, ...], store: str | None
) -> int:
    """Add a tenant."""
    team, jobs = _Team(store), max_concurrent or 8
    allowed = tuple(experiment.allowed(each) for each in allow)
    team.tenants.add(name, budget=parse_budget(budget), max_concurrent=jobs, allow=allowed)
    team.done(name, _said("add", name, budget, jobs, allowed))
    lets_in = command("token", "create", name, "--role", "submit", store=store)
    say(f"added tenant {name}; `{lets_in}` lets a user in")
    return ExitStatus.DONE


def set_tenant(
    *, name: str, budget: str | None, max_concurrent: int | None, allow: tuple[str, ...], store: str | None
) -> int:
    """Give a tenant another budget, or other rights."""
    team = _Team(store)
    if budget is None and max_concurrent is None and not allow:
        raise UsageError("nothing to change; write --budget, --max-concurrent or --allow")
    allowed = tuple(experiment.allowed(each) for each in allow)
    team.tenants.set(
        name,
        budget=None if budget is None else parse_budget(budget),
        max_concurrent=max_concurrent,
        allow=allowed or None,
    )
    team.done(name, _said("set", name, budget, max_concurrent, allowed))
    say(f"changed tenant {name}")
    return ExitStatus.DONE


def _said(verb: str, name: str, budget: str | None, jobs: int | None, allowed: Sequence[str]) -> str:
    """For the audit log: what was given."""
    money = [] if budget is None else ["--budget", budget]
    slots = [] if jobs is None else ["--max-concurrent", str(jobs)]
    rights = [word for right in allowed for word in ("--allow", right)]
    return " ".join(["tenant", verb, name, *money, *slots, *rights])


def list_tenants(*, store: str | None) -> int:
    """Print the tenants."""
    team = _Team(store)
    month = month_of(team.clock.now())
    rows = [_tenant_row(team.tenants.read(name), month) for name in team.tenants.names()]
    heads = ("tenant", "budget", f"taken in {month}", "jobs", "allowed")
    click.echo(_table(heads, rows) or "no tenant yet")
    return ExitStatus.DONE


def create_token(*, tenant: str, role: str, expires: str, note: str, store: str | None) -> int:
    """Print a new token. Raises UsageError for a tenant that there is not, and for an admin of one."""
    team, wanted = _Team(store), Role[role.upper()]
    if wanted is Role.ADMIN and tenant:
        raise UsageError("an admin belongs to no tenant; leave the tenant out, or choose --role manage")
    if wanted is not Role.ADMIN:
        if not tenant:
            raise UsageError(f"a token to {role} is of a tenant; name it, or choose --role admin")
        team.tenants.read(tenant)
    seconds = None if expires == "never" else duration_said(expires, "--expires", f"{FORMS}, or never")
    text, token = team.tokens.create(tenant=tenant, role=wanted, note=note, seconds=seconds)
    team.done(tenant, f"token create {tenant} --role {role}: {token.id}")
    click.echo(text)
    takes_back = command("token", "revoke", token.id, store=store)
    say(f"token {token.id}: it is not shown again; `{takes_back}` takes it back")
    return ExitStatus.DONE


def list_tokens(*, store: str | None) -> int:
    """Print the tokens, without what they are."""
    team = _Team(store)
    rows = [_token_row(token, team.clock.now()) for token in team.tokens.read().tokens]
    click.echo(_table(("id", "tenant", "role", "note", "valid until"), rows) or "no token yet")
    return ExitStatus.DONE


def revoke_token(*, token_id: str, store: str | None) -> int:
    """Let a token open nothing any more."""
    team = _Team(store)
    team.tokens.revoke(token_id)
    team.done("", f"token revoke {token_id}")
    say(f"token {token_id} opens nothing any more")
    return ExitStatus.DONE


def _tenant_row(tenant: Tenant, month: str) -> tuple[str, ...]:
    money = f"${dollars(tenant.budget):,.2f}/month", f"${dollars(tenant.taken(month)):,.2f}"
    jobs = f"{tenant.jobs()} of {tenant.max_concurrent}"
    return tenant.name, *money, jobs, " ".join(tenant.allow) or "nothing"


def _token_row(token: Token, now: float) -> tuple[str, ...]:
    ends = token.expires_at
    until = "ever" if ends is None else datetime.fromtimestamp(ends, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
    state = "revoked" if token.revoked else until if token.is_valid(now) else f"expired {until}"
    return token.id, token.tenant or "-", token.role, token.note, state


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Rows in columns; "" without any."""
    if not rows:
        return ""
    shown = [head, *(tuple(clean(cell) for cell in row) for row in rows)]
    widths = [max(len(row[column]) for row in shown) for column in range(len(head))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in shown)
    return "\n".join(line.rstrip() for line in lines)
