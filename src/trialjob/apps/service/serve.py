"""Listens, says where, and lets what runs come back when it is told to end."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from trialjob.apps.service.access import new_token
from trialjob.apps.service.api import app
from trialjob.apps.service.desk import Desk
from trialjob.apps.service.runner import Runner
from trialjob.errors import UsageError

#: Seconds that listeners are waited for at the end.
_FAREWELL = 2


def serve(*, store: str | None, port: int, resume: bool, ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; ``ready`` is told the address. Raises UsageError, StoreError."""
    runner = Runner()
    desk = Desk(store, runner, Path.cwd())
    try:
        listener = socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise UsageError(
            f"port {port} cannot be listened to: {error.strerror}; choose another by --port"
        ) from error
    token = new_token()
    settings = uvicorn.Config(
        app(desk, token),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_FAREWELL,
        lifespan="off",
    )
    if resume:
        desk.resume_all()
    with listener:
        ready(f"http://127.0.0.1:{listener.getsockname()[1]}/#token={token}")
        try:
            with _ends_quietly():
                uvicorn.Server(settings).run(sockets=[listener])
        finally:
            runner.close()


@contextmanager
def _ends_quietly() -> Iterator[None]:
    """Uvicorn ends at these signals and then raises them again, which would break off what is left to do."""
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
