"""What a server answers when it does not do what it was asked (RFC 9457), as errors of ours."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from trialjob.errors import (
    NoSuchExperiment,
    Problem,
    SpecError,
    StoreError,
    StoreUnavailable,
    TrialjobError,
    UsageError,
)
from trialjob.reporting.typed_commands import command

_KIND: Final = "application/problem+json"
_LIST: Final = re.compile(r"\n  → [^\n]*trialjob list\b.*")


def error_of(address: str, status: int, kind: str, body: bytes, location: str = "") -> TrialjobError:
    """The error that an answer with ``status`` is."""
    problem = _problem_document(kind, body)
    detail = str(problem.get("detail") or "")
    login = f"\n  → {command('login', address, store=None)}"
    match status:
        case HTTPStatus.UNAUTHORIZED:
            return UsageError(f"{address} does not take the token: it is wrong, expired or revoked{login}")
        case HTTPStatus.FORBIDDEN if detail:
            return UsageError(f"{address}: {detail}")
        case HTTPStatus.UNPROCESSABLE_ENTITY if problem.get("problems"):
            return SpecError([_problem(each) for each in problem["problems"]], address)
        case HTTPStatus.NOT_FOUND if detail and detail != HTTPStatus.NOT_FOUND.phrase:
            # The server's own list is that of its machine, or of no place that is told.
            return NoSuchExperiment(_LIST.sub(lambda _: f"\n  → {command('list', store=address)}", detail))
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return UsageError(f"{address} takes no more than {detail.removeprefix('more than ')} at once")
        case HTTPStatus.TOO_MANY_REQUESTS | HTTPStatus.SERVICE_UNAVAILABLE:
            return StoreUnavailable(f"{address} does not answer now: {detail or status}; ask again later")
        case HTTPStatus.BAD_GATEWAY | HTTPStatus.GATEWAY_TIMEOUT:
            return StoreUnavailable(
                f"{address}: the server behind it does not answer ({status}); ask again later"
            )
        case _ if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            there = f"; it points to {location}, so log in there if that is the server" if location else ""
            return UsageError(f"{address} is no server of trialjob's: it answers {status}{there}")
        case _ if problem and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return StoreError(f"{address}: {detail or HTTPStatus(status).phrase}")
        case _ if detail and status != HTTPStatus.NOT_FOUND:
            return UsageError(detail)
        case _:
            return UsageError(
                f"{address} is no server of trialjob's, or an older one: it answers {status}\n"
                "  → check the address; that of a server is what `trialjob serve` prints, up to the #"
            )


def _problem_document(kind: str, body: bytes) -> Mapping[str, Any]:
    if not kind.startswith(_KIND):
        return {}
    try:
        problem = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return problem if isinstance(problem, dict) else {}


def _problem(row: object) -> Problem:
    given = row if isinstance(row, Mapping) else {}
    return Problem(
        **{name: str(given.get(name) or "") for name in ("field", "message", "remedy")},
    )
