"""Connections of which none can be held open by doing nothing, or too little, with it.

Rule 1: the head of a request is whole within some seconds of its first byte, and of the connection's opening.
Rule 2: who takes nothing of an answer for long is hung up on.
Rule 3: when there are as many connections as there may be, the one that has waited longest without a request
makes room for a new one. So however many are opened and left, whoever asks something is answered.
Rule 4: far fewer are let in between two looks at what has come than there may be; else those that come with a
request make room for new ones before it is read.
"""

from __future__ import annotations

import asyncio
import socket
from typing import ClassVar, Final
from weakref import WeakKeyDictionary

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

#: Connections that the system holds until they are let in.
_QUEUE: Final = 2048
#: The connections of each server on which nothing is asked, that which has waited longest first. Looked for
#: among a thousand, for each new one, it costs seconds in which nobody is answered.
_WAITING: WeakKeyDictionary[ServerState, dict[Connection, None]] = WeakKeyDictionary()


class Door(socket.socket):
    """A listener. Asyncio has one number for how many are let in at once and how many wait for it."""

    def listen(self, _at_once: int = 0, /) -> None:
        super().listen(_QUEUE)


class Connection(H11Protocol):
    """One connection; ``limit_concurrency`` of the server's settings is how many there may be."""

    #: Seconds for the head of a request, and without a byte of an answer being taken.
    head_within: ClassVar[float] = 10.0
    takes_within: ClassVar[float] = 60.0

    _head: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    @property
    def is_waiting(self) -> bool:
        """Nothing is asked on it now."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch_head()
        if self.limit_concurrency is not None and len(self.connections) >= self.limit_concurrency:
            self._make_room()
        self._waiting[self] = None

    @property
    def _waiting(self) -> dict[Connection, None]:
        return _WAITING.setdefault(self.server_state, {})

    def _make_room(self) -> None:
        last = next(iter(self._waiting), self)
        self._waiting.pop(last, None)
        self.connections.discard(last)  # at once, and not when it is closed
        last.transport.abort()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.is_waiting:
            self._watch_head()
        else:
            self._waiting.pop(self, None)
            _cancel(self._head)
            self._head = None

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.is_waiting and not self.transport.is_closing():
            self._waiting[self] = None

    def _watch_head(self) -> None:
        if self._head is None:
            self._head = self.loop.call_later(self.head_within, self._too_late)

    def _too_late(self) -> None:
        self._head = None
        if self.is_waiting:
            self.transport.abort()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(self.takes_within, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        _cancel(self._stalled)

    def connection_lost(self, exc: Exception | None) -> None:
        self._waiting.pop(self, None)
        _cancel(self._head)
        _cancel(self._stalled)
        super().connection_lost(exc)


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
