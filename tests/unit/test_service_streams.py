"""A token that ends while somebody listens: what he hears ends with it, quiet or not, and not before."""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import AsyncIterable, Callable, Iterable

import pytest
from starlette.requests import Request

from trialjob.apps.service.callers import Caller, TeamCallers
from trialjob.apps.service.streams import Seats, event_stream
from trialjob.errors import StoreUnavailable


class _Skips(selectors.DefaultSelector):
    """Waits for no timer: the loop's time is set ahead instead."""

    skipped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout > 0:
            self.skipped += timeout
            timeout = 0
        return super().select(timeout)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.ahead = _Skips()
        super().__init__(self.ahead)

    def time(self) -> float:
        return self.ahead.skipped


def heard(ends_at: float, tell: Callable[[_Loop], Iterable[bytes]]) -> float:
    """When a stream ends whose token is good until then, in seconds of its loop."""
    loop = _Loop()
    return ended(loop, event_stream(lambda: tell(loop), lambda: loop.time() < ends_at, threading.Event()))


def ended(loop: _Loop, pieces: AsyncIterable[object]) -> float:
    async def listen() -> None:
        async for _ in pieces:
            pass

    try:
        loop.run_until_complete(listen())
        return loop.time()
    finally:
        loop.close()


def quiet(_loop: _Loop) -> Iterable[bytes]:
    return ()


def busy(loop: _Loop) -> Iterable[bytes]:
    loop.ahead.skipped += 0.5  # what it takes to send it
    return (b"id: 1\n\n",)


@pytest.mark.parametrize("tell", [quiet, busy])
@pytest.mark.parametrize("ends_at", [0.0, 40.0, 1000.0])
def test_what_is_heard_ends_with_the_token(tell: Callable[[_Loop], Iterable[bytes]], ends_at: float) -> None:
    assert ends_at <= heard(ends_at, tell) <= ends_at + 16.0


class _Away(TeamCallers):
    """Its store cannot be asked."""

    def __init__(self) -> None:
        pass

    def caller(self, token: str) -> Caller | None:
        raise StoreUnavailable(token)


def test_a_stream_ends_where_nobody_knows_whether_its_token_is_good() -> None:
    request = Request({"type": "http", "token": "one"})
    answer = Seats(_Away(), threading.Event()).listens(request, "one", lambda: ())
    assert ended(_Loop(), answer.body_iterator) <= 16.0


def test_a_server_that_ends_waits_for_none_that_listen() -> None:
    loop, ending = _Loop(), threading.Event()
    loop.call_at(40.5, ending.set)
    assert (
        40.5 <= ended(loop, event_stream(lambda: (), lambda: True, ending)) < 42.5
    )  # what the end waits for
