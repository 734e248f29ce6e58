"""Tenants and tokens as an admin manages them through a server, with no rights on the store of his own.

Rule: an admin gives only what a tenant has already. Admins are made, and rights given for the first time, by
users who may write to the store. So a stolen admin's token allows no more than tenants may do, and not for
ever: every token that is made here ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from trialjob import experiment
from trialjob.apps.summary import iso
from trialjob.apps.team.ledger import month_of
from trialjob.apps.team.tenants import Tenants
from trialjob.apps.team.tokens import Role, Token, TokenBook
from trialjob.errors import Problem, SpecError, UsageError
from trialjob.model.durations import FORMS, parse_duration
from trialjob.model.money import cap_micros
from trialjob.orchestrator.journals.store import BaseStore
from trialjob.orchestrator.ports import Clock

#: Seconds that a token made here is good for at most.
LONGEST: Final = 366 * 86400.0


class Administration:
    """What an admin may see and do to a store's tenants and tokens."""

    def __init__(self, store: BaseStore, clock: Clock) -> None:
        self._clock = clock
        self._tokens, self._tenants = TokenBook(store, clock), Tenants(store, clock)

    # Tokens

    def tokens(self) -> list[dict[str, Any]]:
        """All of them, the newest first; not what they are."""
        now = self._clock.now()
        return [_token_row(token, now) for token in reversed(self._tokens.read().tokens)]

    def create_token(self, tenant: str, role: Role, *, expires: str, note: str) -> tuple[str, dict[str, Any]]:
        """A token, in words that are not seen again, and what is kept of it. Raises SpecError, UsageError."""
        try:
            seconds = parse_duration(expires)
        except ValueError:
            raise _wrong("expires", f"{expires!r} is no duration", FORMS) from None
        if not 0 < seconds <= LONGEST:
            raise _wrong("expires", f"{expires} is not above 0 and at most 366d", "write such as 90d")
        self._tenants.read(tenant)
        text, token = self._tokens.create(tenant=tenant, role=role, note=note, seconds=seconds)
        return text, _token_row(token, self._clock.now())

    def revoke(self, token_id: str) -> None:
        """Raises UsageError when there is none of that id."""
        self._tokens.revoke(token_id)

    # Tenants

    def add_tenant(self, name: str, *, budget: float, max_concurrent: int, allow: Sequence[str]) -> None:
        """``budget`` in dollars a month. Raises SpecError, UsageError."""
        rights = self._rights(allow)
        self._tenants.add(name, budget=cap_micros(budget), max_concurrent=max_concurrent, allow=rights)

    def set_tenant(
        self,
        name: str,
        *,
        budget: float | None,
        max_concurrent: int | None,
        allow: Sequence[str] | None,
    ) -> None:
        """None leaves as it is; ``allow`` replaces all that was allowed. Raises SpecError, UsageError."""
        if budget is None and max_concurrent is None and allow is None:
            raise UsageError("nothing to change; send budget, max_concurrent or allow")
        self._tenants.set(
            name,
            budget=None if budget is None else cap_micros(budget),
            max_concurrent=max_concurrent,
            allow=None if allow is None else self._rights(allow),
        )

    def tenant(self, name: str) -> dict[str, Any]:
        """Its budget and rights. Raises NoSuchTenant."""
        return self._tenants.read(name).standing(month_of(self._clock.now()))

    def _rights(self, allow: Sequence[str]) -> tuple[str, ...]:
        asked = tuple(experiment.allowed(each) for each in allow)
        known = {right for name in self._tenants.names() for right in self._tenants.read(name).allow}
        for right in asked:
            if right not in known:
                raise _wrong(
                    "allow",
                    f"{right!r} is allowed to no tenant yet",
                    "choose of what GET /v1/tenants has, or allow it where the store is: "
                    f"trialjob tenant set NAME --allow '{right}', with those that NAME has",
                )
        return asked


def _wrong(field: str, message: str, remedy: str) -> SpecError:
    return SpecError(Problem(field=field, message=message, remedy=remedy), "request")


def _token_row(token: Token, now: float) -> dict[str, Any]:
    return {
        "id": token.id,
        "tenant": token.tenant,
        "role": token.role,
        "note": token.note,
        "created_at": iso(token.created_at),
        "expires_at": None if token.expires_at is None else iso(token.expires_at),
        "state": "revoked" if token.revoked else "valid" if token.is_valid(now) else "expired",
    }
