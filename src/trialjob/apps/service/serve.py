"""Listens, says where, and lets what runs come back when it is told to end."""

from __future__ import annotations

import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import uvicorn

from trialjob import experiment
from trialjob.apps.service.access import Access, Listening
from trialjob.apps.service.api import app
from trialjob.apps.service.callers import Alone, Callers, TeamCallers
from trialjob.apps.service.connections import Connection, ListeningSocket, Places, files_to_open
from trialjob.apps.service.experiments import Experiments
from trialjob.apps.service.log import close, write_to
from trialjob.apps.service.runner import Runner
from trialjob.apps.team.tokens import TokenBook, new_token
from trialjob.errors import StoreUnavailable, UsageError
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.store import BaseStore
from trialjob.orchestrator.ports import Clock
from trialjob.reporting.typed_commands import command

T = TypeVar("T")

#: Seconds before a store that is away is asked again.
_PAUSE = 5.0
#: Seconds that listeners are waited for at the end.
_FAREWELL = 2
#: Seconds that a connection may be idle; bytes of a request's head.
_IDLE, _HEAD = 20, 32 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Where is listened, and how."""

    host: str = "127.0.0.1"
    port: int = 0
    #: A certificate and its key.
    tls: tuple[Path, Path] | None = None
    #: A proxy in front ends TLS and says for whom it asks.
    behind_proxy: bool = False
    #: A file for a line of JSON about each request and step, "-" for stderr; None for none.
    log: str | None = None

    @property
    def is_local(self) -> bool:
        return self.host in ("127.0.0.1", "localhost", "::1")

    @property
    def listening(self) -> Listening:
        return Listening(is_local=self.is_local, behind_proxy=self.behind_proxy)


class _Server(uvicorn.Server):
    """Says when it ends, before it waits for those who are being answered."""

    def __init__(self, config: uvicorn.Config, ending: threading.Event) -> None:
        super().__init__(config)
        self._ending = ending

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._ending.set()
        await super().shutdown(sockets)


def serve(
    *,
    store: str | None,
    listener: Listener,
    resume: bool,
    ready: Callable[[str], None],
    notice: Callable[[str], None],
) -> None:
    """Serve until SIGINT or SIGTERM; ``ready`` is told the address, ``notice`` what a person should know.

    A store that is away is waited for, or what starts services would soon give this one up. Raises
    UsageError, StoreError.
    """
    opened = experiment.open_store(store)
    if opened.service() is not None:
        raise UsageError(
            f"{opened.where()} is a server already\n  → name the store itself: --store FOLDER or "
            "--store s3://bucket/prefix"
        )
    clock = SystemClock(opened.ahead)
    token = ""
    if answered(lambda: _has_team(opened, clock), clock, notice):
        _check_safe(listener)
        callers: Callers = TeamCallers(opened, clock)
    else:
        _check_alone(listener, opened)
        token = new_token()
        callers = Alone(Experiments(store, Runner(), Path.cwd()), token)
    ending = threading.Event()
    settings = _settings(app(callers, listener.listening, ending), listener)
    socket_ = listen(listener)
    with socket_, _logs(listener.log):
        if resume:
            answered(callers.take_over, clock, notice)
        scheme = "http" if listener.tls is None else "https"
        ready(
            f"{scheme}://{listener.host}:{socket_.getsockname()[1]}/" + (f"#token={token}" if token else "")
        )
        try:
            with _ends_quietly():
                _Server(settings, ending).run(sockets=[socket_])
        finally:
            callers.close()


def answered(ask: Callable[[], T], clock: Clock, notice: Callable[[str], None]) -> T:
    """What ``ask`` brings, once the store answers; that it is away is said once."""
    said = ""
    while True:
        try:
            return ask()
        except StoreUnavailable as error:
            if said != str(error):
                said = str(error)
                notice(f"notice: {error}; the server begins once the store answers")
            clock.sleep(_PAUSE)


def _has_team(store: BaseStore, clock: Clock) -> bool:
    """Whether the store has tokens, which then are the only ones that open it."""
    try:
        book = TokenBook(store, clock)
    except UsageError:  # a store that keeps no tokens
        return False
    return bool(book.read().tokens)


def _check_alone(listener: Listener, store: BaseStore) -> None:
    if not listener.is_local or listener.behind_proxy:
        raise UsageError(
            "without tokens it listens on 127.0.0.1 only, for you alone\n    → make a token first: "
            + command("token", "create", "--role", "admin", store=store.where())
        )


def _check_safe(listener: Listener) -> None:
    if not listener.is_local and listener.tls is None and not listener.behind_proxy:
        raise UsageError(
            f"tokens would come to {listener.host} unencrypted\n    → write --tls-cert FILE --tls-key FILE, "
            "or --behind-proxy where a proxy ends TLS and only the proxy reaches this port"
        )


def listen(listener: Listener) -> socket.socket:
    """Take its port. Raises UsageError."""
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    try:
        found = ListeningSocket(
            fileno=socket.create_server((listener.host, listener.port), family=family).detach()
        )
    except OSError as error:
        raise UsageError(
            f"port {listener.port} of {listener.host} cannot be listened to: {error.strerror}; choose "
            "another by --port"
        ) from error
    # Connections have it from here, as asyncio sets it only where a socket names its protocol. Without it the
    # body of an answer waits until the other side has acknowledged the head, some 40 ms.
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return found


def _check_certificate(certificate: Path, key: Path) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except OSError as error:  # SSLError is one
        raise UsageError(
            f"--tls-cert {certificate} and --tls-key {key} cannot be used: {error}; name a certificate and "
            "its key, both as PEM"
        ) from error


def _settings(made: Access, listener: Listener) -> uvicorn.Config:
    certificate, key = listener.tls or (None, None)
    if certificate and key:
        _check_certificate(certificate, key)
    places = Places.within(files_to_open())
    return uvicorn.Config(
        made,
        loop="asyncio",  # another one that is installed knows no ListeningSocket
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_FAREWELL,
        timeout_keep_alive=_IDLE,
        limit_concurrency=places.connections,
        backlog=places.at_once,
        http=Connection,
        h11_max_incomplete_event_size=_HEAD,
        proxy_headers=False,
        lifespan="off",
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )


@contextmanager
def _logs(place: str | None) -> Iterator[None]:
    handler = None if place is None else write_to(place)
    try:
        yield
    finally:
        if handler is not None:
            close(handler)


@contextmanager
def _ends_quietly() -> Iterator[None]:
    """Uvicorn ends at these signals and then raises them again, which would break off what is left to do."""
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
