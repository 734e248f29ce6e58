"""The routes by which an admin manages tenants and tokens; ``team.administration`` says how far."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request, Response

from trialjob.apps.service.callers import Callers
from trialjob.apps.service.rules import TENANTS, TOKENS
from trialjob.apps.service.schemas import MadeToken, NewTenant, NewToken, TenantChange
from trialjob.apps.team.tokens import Role


def add_team(made: FastAPI, callers: Callers) -> None:
    @made.post(TENANTS, status_code=201)
    def add_tenant(body: NewTenant, request: Request, response: Response) -> dict[str, Any]:
        """A tenant, with a budget in dollars a month; it may be allowed what some tenant is allowed."""
        administration = callers.administration()
        administration.add_tenant(
            body.name, budget=body.budget, max_concurrent=body.max_concurrent, allow=body.allow
        )
        response.headers["location"] = f"{TENANTS}/{body.name}"
        request.scope["noted"] = _rights_of(body)
        return administration.tenant(body.name)

    @made.patch(f"{TENANTS}/{{tenant}}")
    def change_tenant(tenant: str, body: TenantChange, request: Request) -> dict[str, Any]:
        """Another budget or other rights; what is open stays so."""
        administration = callers.administration()
        administration.set_tenant(
            tenant, budget=body.budget, max_concurrent=body.max_concurrent, allow=body.allow
        )
        request.scope["noted"] = _rights_of(body)
        return administration.tenant(tenant)

    @made.get(TOKENS)
    def list_tokens() -> dict[str, Any]:
        """Whose tokens there are, and until when, the newest first; not what they are."""
        return {"items": callers.administration().tokens()}

    @made.post(TOKENS, status_code=201)
    def create_token(body: NewToken, response: Response) -> MadeToken:
        """A token of a tenant, which is told once and kept nowhere."""
        text, known = callers.administration().create_token(
            body.tenant, Role[body.role.upper()], expires=body.expires, note=body.note
        )
        response.headers["location"] = f"{TOKENS}/{known['id']}"
        return MadeToken(token=text, **known)

    @made.delete(f"{TOKENS}/{{token}}", status_code=204, response_model=None)
    def revoke_token(token: str) -> None:
        """Let a token, by its id, open nothing any more, within a second."""
        callers.administration().revoke(token)


def _rights_of(body: NewTenant | TenantChange) -> str:
    """For the audit log: what was given."""
    given = body.model_dump(exclude_none=True, exclude={"name"})
    return " ".join(f"{name}={value}" for name, value in given.items())
