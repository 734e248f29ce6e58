"""Who may ask, and how much: everything that is decided of a request before its route is called.

Rule 1: every route has a rule, or is not let in to. All but the page's own files and the health of the server
need a token in the header ``Authorization``. There are no cookies, so no other page can ask in a user's name.
Rule 2: on this machine alone only names of the loopback interface are answered to, so that names
that others point here (DNS rebinding) are not.
Rule 3: what changes something, and what was refused, is written down; no body and no token is.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from trialjob.apps.service.callers import AnyExperiments, Caller, Callers
from trialjob.apps.service.log import log
from trialjob.apps.service.rates import Rates
from trialjob.apps.service.request_limits import Body, Message, Receive, Refusal, Room
from trialjob.apps.service.threads import in_thread
from trialjob.apps.service.tickets import TICKETS
from trialjob.apps.team.audit import Act
from trialjob.apps.team.tokens import Role
from trialjob.errors import StoreError, StoreUnavailable, TrialjobError
from trialjob.reporting.terminal import clean
from trialjob.served.archive import MOST_CODE

Scope = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
#: What a route asks of a caller; None where no token is asked for, "" where there is no such route.
RuleOf = Callable[[Scope], "Role | str | None"]

#: Bytes of what is sent to us at once; of code, ``MOST_CODE``.
MOST_BYTES: Final = 4 << 20
#: Bodies with code are sent below it.
ARCHIVES: Final = "/v1/archives"
_LOCAL: Final = ("127.0.0.1", "localhost", "[::1]")
_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (
        b"content-security-policy",
        (
            b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-src 'self'; "
            b"img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
    ),
)
#: A report has its own policy within it, which names its scripts; nothing but our page may frame it.
REPORT_POLICY: Final = "frame-ancestors 'self'; sandbox allow-scripts allow-downloads allow-popups"
_READS: Final = ("GET", "HEAD")
_CONDITIONS: Final = ("if-match", "if-none-match", "if-unmodified-since")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where requests come from."""

    #: From this machine alone.
    is_local: bool = True
    #: Through a proxy that ends TLS, and says for whom it asks in X-Forwarded-For.
    behind_proxy: bool = False


class Access:
    """ASGI middleware."""

    def __init__(
        self, app: App, callers: Callers, rule_of: RuleOf, listening: Listening | None = None
    ) -> None:
        self._app, self._callers, self._rule_of = app, callers, rule_of
        self._listening = listening or Listening()
        self._rates, self._room = Rates(), Room()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that is not to be let in; else let it in, within bounds."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        origin = self._origin(scope, headers)
        answer, began = _Answer(send), time.monotonic()
        body = Body(receive, self._room)
        try:
            await self._let_in(scope, body, headers, origin)
            await self._app(scope, body, answer)
        except Refusal as refusal:
            await _refuse(answer, refusal)
        except asyncio.CancelledError:  # the server ends, has waited long enough, and says so in a line
            pass
        except Exception:
            if not answer.is_whole:  # the connection is to break, or half of it would look like the whole
                raise
            _tell_of(scope)
        finally:
            body.close()
            _log(scope, origin, answer, began)
            await self._note(scope, origin, answer)

    async def _let_in(self, scope: Scope, body: Body, headers: dict[str, str], origin: str) -> None:
        self._check_origin(headers)
        rule = self._rule_of(scope)
        if rule is not None:
            caller = await self._caller(scope, headers, origin)
            if isinstance(rule, Role) and caller.role < rule:
                raise Refusal(
                    status=403, detail=f"this needs the role {rule.word}, and yours is {caller.role.word}"
                )
            if isinstance(rule, Role):  # another method of the path is refused as such
                _check_condition(scope["method"], headers)
            most = MOST_CODE if scope["path"].startswith(ARCHIVES) else MOST_BYTES
            await body.read(caller.id, headers.get("content-length", ""), most)

    async def _caller(self, scope: Scope, headers: dict[str, str], origin: str) -> Caller:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        token = token.strip() if scheme.lower() == "bearer" else ""
        try:
            known = self._callers.at_once(token) or await in_thread(self._known, token)
        except StoreError as error:
            status = 503 if isinstance(error, StoreUnavailable) else 500
            raise Refusal(status=status, detail=str(error)) from error
        except TrialjobError as error:
            raise Refusal(status=403, detail=str(error)) from error
        if known is None:
            self._check_rate(self._rates.waits(f"wrong {origin}"))
            raise Refusal(status=401, detail="the token is missing, wrong, expired or revoked")
        caller, scope["experiments"] = known
        scope["caller"], scope["token"] = caller, token
        self._check_rate(self._rates.waits(caller.id))
        return caller

    def _known(self, token: str) -> tuple[Caller, AnyExperiments] | None:
        caller = self._callers.caller(token)
        return None if caller is None else (caller, self._callers.experiments(caller))

    @staticmethod
    def _check_rate(seconds: float) -> None:
        if seconds:
            raise Refusal(status=429, detail=f"too many requests; ask again in {seconds:.0f} s")

    def _check_origin(self, headers: dict[str, str]) -> None:
        """A request with another host's name, or from another page, is refused."""
        host = headers.get("host", "")
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
        if self._listening.is_local and not self._listening.behind_proxy and name not in _LOCAL:
            raise Refusal(status=421, detail=f"{host!r} is no name of this machine for itself; use 127.0.0.1")
        origin = headers.get("origin")
        ours = [host, *([headers.get("x-forwarded-host", "")] if self._listening.behind_proxy else [])]
        if origin is not None and _host_of(origin) not in ours:
            raise Refusal(status=403, detail="asked from another page")

    def _origin(self, scope: Scope, headers: dict[str, str]) -> str:
        """Whose address asks: behind a proxy, the one that the proxy has added itself."""
        peer = str((scope.get("client") or ("",))[0])
        forwarded = headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
        return forwarded if self._listening.behind_proxy and forwarded else peer

    async def _note(self, scope: Scope, origin: str, answer: _Answer) -> None:
        caller: Caller | None = scope.get("caller")
        if answer.status is None or (caller is None and answer.status != HTTPStatus.UNAUTHORIZED):
            return
        if scope["method"] in _READS and answer.status not in (401, 403):
            return
        if caller is None and self._rates.waits("noted"):  # a flood of strangers fills no disk
            return
        act = Act(
            who="" if caller is None else caller.id,
            tenant="" if caller is None else caller.tenant,
            what=f"{scope['method']} {scope['path']}{' → ' if answer.location else ''}{answer.location}"
            f"{' ' if scope.get('noted') else ''}{scope.get('noted', '')}",
            origin=origin,
            outcome=str(answer.status),
        )
        try:
            await in_thread(self._callers.note, act)
        except TrialjobError as error:
            print(f"the audit log cannot be written: {error}", file=sys.stderr)  # noqa: T201 - the server's log


def _check_condition(method: str, headers: dict[str, str]) -> None:
    """No change depends on a condition; a request with one is refused, as it would be ignored."""
    for name in () if method in _READS else _CONDITIONS:
        if name in headers:
            raise Refusal(status=412, detail=f"no change is made on a condition; send it without {name}")


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc or None
    except ValueError:  # half of an address of IPv6
        return None


def _log(scope: Scope, origin: str, answer: _Answer, began: float) -> None:
    caller: Caller | None = scope.get("caller")
    path = f"{TICKETS}…" if scope["path"].startswith(TICKETS) else scope["path"]  # a ticket opens something
    log(
        "request",
        method=scope["method"],
        path=path,
        status=answer.status,
        seconds=round(time.monotonic() - began, 3),
        who="" if caller is None else caller.id,
        tenant="" if caller is None else caller.tenant,
        origin=origin,
    )


class _Answer:
    """What is answered, with our headers."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status: int | None = None
        self.location = ""
        #: All of it was sent.
        self.is_whole = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower(): value for name, value in message["headers"]}
            self.status, self.location = message["status"], given.get(b"location", b"").decode("latin-1")
            added = [each for each in _HEADERS if each[0] not in given]
            message = {**message, "headers": [*message["headers"], *added]}
        await self._send(message)
        self.is_whole = message["type"] == "http.response.body" and not message.get("more_body", False)


def _tell_of(scope: Scope) -> None:
    """Write down what went wrong with a request that the server should have answered otherwise.

    No text from a caller can begin a line, or steer a terminal.
    """
    trace = clean(traceback.format_exc()).replace("\n", "\n  ")
    print(f"{scope['method']} {scope['path']!a} failed:\n  {trace}", file=sys.stderr)  # noqa: T201 - the server's log


async def _refuse(send: _Answer, refusal: Refusal) -> None:
    problems = {"problems": refusal.problems} if refusal.problems else {}
    body = json.dumps(problem(refusal.status, refusal.detail, **problems)).encode()
    more = {
        HTTPStatus.UNAUTHORIZED: [(b"www-authenticate", b"Bearer")],
        HTTPStatus.TOO_MANY_REQUESTS: [(b"retry-after", b"2")],
        HTTPStatus.SERVICE_UNAVAILABLE: [(b"retry-after", b"5")],
    }
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        *more.get(HTTPStatus(refusal.status), []),
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def problem(status: int, detail: str, **more: object) -> dict[str, object]:
    """The body of an error (RFC 9457)."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **more,
    }
