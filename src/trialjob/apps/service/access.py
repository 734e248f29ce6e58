"""Who may ask, and how much: everything that is decided of a request before its route is looked up.

Rule 1: all but the page's own files and the health of the server needs the token, in the header
``Authorization``. There are no cookies, so no other page can ask in a user's name.
Rule 2: only names of the loopback interface are answered to, so that no name that somebody else points here
(DNS rebinding) is.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, Final

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Of what is sent to us: bytes of one body. A spec is far smaller; code is named by its folder.
MOST_BYTES: Final = 4 << 20
#: Seconds that a ticket is valid.
_TICKET: Final = 60.0
_LOCAL: Final = ("127.0.0.1", "localhost", "[::1]")
_OPEN: Final = ("/", "/healthz", "/readyz", "/app.js", "/app.css")
#: Below it are pages that a ticket opens for a short time, as a frame can send no token.
TICKETS: Final = "/reports/"
_HEADERS: Final = (
    ("cache-control", "no-store"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
)
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
#: A report has its own policy within it, which names its scripts; nothing but our page may frame it.
REPORT_POLICY: Final = "frame-ancestors 'self'; sandbox allow-scripts allow-downloads allow-popups"


def new_token() -> str:
    """256 bits, with a prefix by which scanners of secrets find it."""
    return f"trialjob_{secrets.token_urlsafe(32)}"


class Tickets:
    """What opens one page for a minute."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._until: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def new(self, what: str) -> str:
        """A ticket for ``what``."""
        ticket = secrets.token_urlsafe(32)
        with self._lock:
            now = self._now()
            self._until = {key: each for key, each in self._until.items() if each[1] > now}
            self._until[ticket] = what, now + _TICKET
        return ticket

    def opens(self, ticket: str) -> str | None:
        """What it is for; None when it is not valid, or not any more."""
        with self._lock:
            what, until = self._until.get(ticket, ("", 0.0))
        return what if what and until > self._now() else None


class Access:
    """ASGI middleware."""

    def __init__(self, app: App, token: str) -> None:
        """``token`` is what a caller must know; its digest is kept."""
        self._app = app
        self._digest = _digest(token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that is not to be let in; else let it in, within bounds."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        answer = _with_headers(send)
        refused = self._refused(scope, headers)
        if refused is not None:
            await _refuse(answer, *refused)
            return
        bounded = _Bounded(receive, headers.get("content-length", ""))
        if bounded.too_large:
            await _refuse(answer, *_TOO_LARGE)
            return
        await self._app(scope, bounded, answer)

    def _refused(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
        if name not in _LOCAL:
            return 421, f"{host!r} is no name of this machine for itself; use 127.0.0.1"
        origin = headers.get("origin")
        if origin is not None and origin != f"http://{host}":
            return 403, "asked from another page"
        path = scope["path"]
        if scope["method"] in ("GET", "HEAD") and (path in _OPEN or path.startswith(TICKETS)):
            return None
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(_digest(token.strip()), self._digest):
            return 401, "the token is missing or wrong; `trialjob serve` prints it when it starts"
        return None


_TOO_LARGE: Final = (413, f"more than {MOST_BYTES >> 20} MB; code is named by its folder and not sent")


class _Bounded:
    """What is received, which ends when it becomes too much."""

    def __init__(self, receive: Receive, length: str) -> None:
        self._receive = receive
        self._left = MOST_BYTES
        self.too_large = bool(length) and (not length.isdecimal() or int(length) > MOST_BYTES)

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:  # a body without a length; whoever sends it is not listened to any more
                return {"type": "http.disconnect"}
        return message


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _with_headers(send: Send) -> Send:
    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message["headers"]}
            more = [*_HEADERS, ("content-security-policy", _POLICY)]
            added = [(name.encode(), value.encode()) for name, value in more if name.encode() not in given]
            message = {**message, "headers": [*message["headers"], *added]}
        await send(message)

    return answer


async def _refuse(send: Send, status: int, detail: str) -> None:
    body = json.dumps(problem(status, detail)).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        *([(b"www-authenticate", b"Bearer")] if status == HTTPStatus.UNAUTHORIZED else []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
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
