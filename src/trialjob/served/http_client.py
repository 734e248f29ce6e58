"""Calls to a server: with the token, to no other address, and again only where that is harmless.

Rule 1: a call is made again when it cannot have been heard, and otherwise only when the caller says that
twice is the same as once.
Rule 2: no redirection is followed and, on this machine, no proxy is used: the token goes where it belongs.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from ssl import SSLCertVerificationError
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from trialjob._version import __version__
from trialjob.errors import StoreUnavailable, TrialjobError, UsageError
from trialjob.model.address import shown_address
from trialjob.model.json import Json
from trialjob.orchestrator.ports import Clock
from trialjob.reporting.typed_commands import command
from trialjob.served import logins
from trialjob.served.address import is_here, normal
from trialjob.served.json_text import json_bytes
from trialjob.served.problems import error_of

#: A call is made so often, with waits of 0.2 s, 0.4 s, 0.8 s, …; a server is started anew within them.
_TRIES, _WAIT, _LONGEST = 6, 0.2, 10.0
#: Seconds without a byte, which is what a long start or a slow store may take.
_PATIENCE: Final = 120.0
#: What is answered in the place of a server that is busy, or is being started anew behind a proxy.
_BUSY: Final = (
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was answered."""

    status: int
    body: bytes
    etag: str = ""

    def json(self) -> Any:  # noqa: ANN401 - what JSON holds
        """Raises UsageError when it is none."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise UsageError("the server's answer is no JSON; is this the address of trialjob's?") from error


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *_given: object) -> None:
        """Follow none, so that it is an error."""


class HttpClient:
    """A server, as a caller with a token sees it. Safe to be used by several threads."""

    def __init__(self, address: str, clock: Clock, token: str | None = None) -> None:
        """``token`` None: the one that `trialjob login` has kept. Raises UsageError for a wrong address."""
        try:
            self.address = normal(address)
        except ValueError as error:
            raise UsageError(f"{shown_address(address)!r}: {error}") from None
        self._clock, self._token = clock, token
        here = [ProxyHandler({})] if is_here(self.address) else []
        self._opener: OpenerDirector = build_opener(_Stay, *here)

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Json | bytes = None,
        again: bool = False,
        **headers: str,
    ) -> Answer:
        """Make a call; ``again``: it may be made twice, with the same effect. Raises TrialjobError."""
        request = self._request(method, path, query, body, headers)

        def call() -> Answer:
            with self._opened(request) as answer:
                return Answer(status=answer.status, body=answer.read(), etag=answer.headers.get("etag") or "")

        return self._persist(call, again=again or method == "GET")

    @contextmanager
    def listen(
        self, path: str, query: Mapping[str, object] | None = None, **headers: str
    ) -> Iterator[HTTPResponse]:
        """What is sent bit by bit: lines as things happen, or a file."""
        with self._opened(self._request("GET", path, query, None, headers)) as answer:
            yield answer

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None,
        body: Json | bytes,
        headers: Mapping[str, str],
    ) -> Request:
        given = {name: value for name, value in (query or {}).items() if value is not None}
        address = self.address + path + (f"?{urlencode(given)}" if given else "")
        data, kind = body, "application/gzip"
        if body is not None and not isinstance(body, bytes):
            data, kind = json_bytes(body), "application/json"
        base = {"User-Agent": f"trialjob/{__version__}", "Authorization": f"Bearer {self._secret()}"}
        if data is not None:
            base["Content-Type"] = kind
        more = {name.replace("_", "-"): value for name, value in headers.items() if value}
        return Request(address, data=data, headers={**base, **more}, method=method)  # type: ignore[arg-type]  # noqa: S310 - normal() has seen it

    def _secret(self) -> str:
        token = self._token or logins.token_of(self.address)
        if token is None:
            more = [] if self.address.startswith("https:") else ["--insecure"]
            login = command("login", self.address, *more, store=None)
            raise UsageError(f"no token for {self.address} is kept here\n  → {login}")
        return token

    @contextmanager
    def _opened(self, request: Request) -> Iterator[HTTPResponse]:
        try:
            with self._opener.open(request, timeout=_PATIENCE) as answer:
                yield answer
        except HTTPError as error:
            with error:
                raise self._refused(error) from None
        except URLError as error:
            raise self._unreached(error.reason) from error
        except (OSError, HTTPException) as error:
            raise Unheard(self._no_answer(error)) from error

    def _refused(self, error: HTTPError) -> TrialjobError:
        headers: Message = error.headers
        try:
            said = error.read()
        except (OSError, HTTPException) as broken:
            return Unheard(self._no_answer(broken))
        made = error_of(
            self.address,
            error.code,
            headers.get("content-type") or "",
            said,
            headers.get("location") or "",
        )
        if error.code not in _BUSY:
            return made
        return _Busy(str(made), seconds=headers.get("retry-after") or "", heard=error.code != _BUSY[0])

    def _unreached(self, reason: object) -> TrialjobError:
        if isinstance(reason, SSLCertVerificationError):
            return UsageError(
                f"the certificate of {self.address} is not to be trusted: {reason.verify_message}\n  → check "
                "the address; a certificate authority of your own is named by SSL_CERT_FILE=FILE"
            )
        if isinstance(reason, socket.gaierror) and reason.errno == socket.EAI_NONAME:
            return StoreUnavailable(self._no_answer(reason))
        if isinstance(reason, ConnectionRefusedError | socket.gaierror):
            return Unreached(self._no_answer(reason))
        return Unheard(self._no_answer(reason))

    def _no_answer(self, why: object) -> str:
        said = (why.strerror if isinstance(why, OSError) else "") or str(why) or type(why).__name__
        return (
            f"{self.address} cannot be reached: {said}; check that the server runs and the address is right"
        )

    def _persist(self, call: Callable[[], Answer], *, again: bool) -> Answer:
        for attempt in range(_TRIES):
            try:
                return call()
            except (Unreached, Unheard, _Busy) as error:
                may = again or isinstance(error, Unreached) or (isinstance(error, _Busy) and not error.heard)
                if not may or attempt == _TRIES - 1:
                    raise
                self._clock.sleep(max(error.seconds, _WAIT * 2**attempt))
        raise AssertionError  # the last try has returned or raised


class Unheard(StoreUnavailable):
    """It is unknown whether the call was heard."""

    seconds = 0.0


class Unreached(StoreUnavailable):
    """The call was not heard."""

    seconds = 0.0


class _Busy(StoreUnavailable):
    """The server says when to ask again; ``heard``: it may have begun to do what was asked."""

    def __init__(self, message: str, *, seconds: str, heard: bool) -> None:
        super().__init__(message)
        self.seconds = min(float(seconds), _LONGEST) if seconds.isdecimal() else 0.0
        self.heard = heard


def named(name: object) -> str:
    """A name as a part of a path."""
    return quote(str(name), safe="")
