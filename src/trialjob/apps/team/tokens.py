"""Tokens: which user a caller is, and what he may do.

Rule: a token is shown once and nowhere kept; what is kept is its digest. It has 256 bits, so nothing is
learned from the digest.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import IntEnum
from typing import Any, Final, Self

from trialjob.apps.team import json_documents
from trialjob.errors import UsageError
from trialjob.orchestrator.journals.store import BaseStore
from trialjob.orchestrator.ports import Clock
from trialjob.reporting.typed_commands import command

KEY: Final = f"{json_documents.FOLDER}/tokens.json"
_ID: Final = 10


class Role(IntEnum):
    """What a caller may do; each role may also what those before may."""

    #: Look at the experiments of one tenant.
    READ = 1
    #: Start, stop and resume them, and change their limits.
    SUBMIT = 2
    #: Read who has done what to them.
    MANAGE = 3
    #: All that of every tenant, but start nothing in a tenant's name.
    ADMIN = 4

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is known of a token."""

    #: The SHA-256 of the token.
    digest: str
    #: "" for an admin, who belongs to none.
    tenant: str
    role: str
    #: Whose it is, in its maker's words.
    note: str = ""
    created_at: float = 0.0
    #: None: never.
    expires_at: float | None = None
    revoked: bool = False

    @property
    def id(self) -> str:
        """How people name it; it opens nothing."""
        return self.digest[:_ID]

    def is_valid(self, now: float) -> bool:
        return not self.revoked and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """All tokens of a store."""

    tokens: tuple[Token, ...] = ()

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Self:
        tokens = tuple(Token(**row) for row in fields["tokens"])
        for token in tokens:
            Role[token.role.upper()]
        return cls(tokens=tokens)

    def written(self) -> dict[str, Any]:
        return {"tokens": [asdict(token) for token in self.tokens]}

    def find(self, text: str, now: float) -> Token | None:
        """The token that ``text`` is, if it is valid. All are compared, each in constant time."""
        digest, found = digest_of(text), None
        for token in self.tokens:
            if hmac.compare_digest(token.digest.encode(), digest.encode()):
                found = token
        return found if found is not None and found.is_valid(now) else None

    def with_token(self, token: Token) -> Self:
        if any(each.digest == token.digest for each in self.tokens):
            return self
        return replace(self, tokens=(*self.tokens, token))

    def without(self, token_id: str) -> Self:
        """Raises LookupError when there is none of that name."""
        if not any(token.id == token_id for token in self.tokens):
            raise LookupError(token_id)
        return replace(
            self,
            tokens=tuple(
                replace(token, revoked=token.revoked or token.id == token_id) for token in self.tokens
            ),
        )


class TokenBook:
    """The tokens of a store."""

    def __init__(self, store: BaseStore, clock: Clock) -> None:
        self._documents, self._clock = store.documents(), clock
        self._where = store.where()

    def read(self) -> Tokens:
        return json_documents.read(self._documents, KEY, Tokens.parse, Tokens())

    def create(self, *, tenant: str, role: Role, note: str = "", seconds: float | None) -> tuple[str, Token]:
        """A new token, in words that are not seen again, and what is kept of it."""
        text, now = new_token(), self._clock.now()
        token = Token(
            digest=digest_of(text),
            tenant=tenant,
            role=role.word,
            note=note,
            created_at=now,
            expires_at=None if seconds is None else now + seconds,
        )
        self._change(lambda tokens: tokens.with_token(token))
        return text, token

    def revoke(self, token_id: str) -> None:
        """Let it open nothing any more. Raises UsageError when there is none of that name."""
        try:
            self._change(lambda tokens: tokens.without(token_id))
        except LookupError:
            known = command("token", "list", store=self._where)
            raise UsageError(f"no token {token_id!r}; `{known}` shows what there is") from None

    def _change(self, make: Any) -> None:  # noqa: ANN401 - Tokens to Tokens
        json_documents.change(
            self._documents,
            KEY,
            parse=Tokens.parse,
            nothing=Tokens(),
            make=make,
            written=Tokens.written,
            clock=self._clock,
        )


def new_token() -> str:
    """256 bits, with a prefix by which scanners of secrets find it."""
    return f"trialjob_{secrets.token_urlsafe(32)}"


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
