"""Connections of which none can be held open by doing nothing, or too little, with it.

Rule 1: the head of a request is whole within some seconds of its first byte, and of the connection's opening.
Rule 2: a client that takes nothing of an answer for long is hung up on.
Rule 3: when there are as many connections as there may be, the one that has waited longest without a request
makes room for a new one. So however many are opened and left, a request is answered.
Rule 4: far fewer are let in between two looks at what has come than there may be; else those that come with a
request make room for new ones before it is read.
Rule 5: of those whose TLS has not begun yet, which are no connections to us, the first makes room likewise.
Rule 6: all of these together need fewer files than the process may open; else none is let in at all.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar, Final, Self
from weakref import WeakKeyDictionary

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

#: Connections that the system holds until they are let in.
_QUEUE: Final = 2048
#: So many times those let in at once may be no connections yet. One of plain HTTP becomes one two looks
#: later, so it needs room for three; TLS takes as long as the other side's network.
_ARRIVING: Final = 4
#: Files that a server opens beside its connections: journals, logs, jobs, the store's.
_OTHERS: Final = 256
#: More files would not be used.
_FILES: Final = 2048
#: The connections of each server on which nothing is asked, that which has waited longest first. Looked for
#: among a thousand, for each new one, it costs seconds in which no request is answered.
_WAITING: WeakKeyDictionary[ServerState, dict[Connection, None]] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Places:
    """How many connections there may be, and be let in at once."""

    connections: int
    at_once: int

    @classmethod
    def within(cls, files: int) -> Self:
        """As many as the files that may be open allow; a thousand are enough."""
        at_once = min(100, files // 16)
        beside = _OTHERS + (_ARRIVING + 1) * at_once
        return cls(min(1000, max(files // 4, files - beside)), at_once)


def files_to_open() -> int:
    """How many files this process may open, once it has asked for more, if it needs them."""
    try:
        import resource  # noqa: PLC0415 - there is none on Windows
    except ImportError:
        return _FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft, hard = (_FILES if each == resource.RLIM_INFINITY else each for each in (soft, hard))
    more = min(hard, _FILES)
    if more > soft:
        with suppress(OSError, ValueError):  # a system may allow less than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (more, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
            return more
    return soft


class ListeningSocket(socket.socket):
    """A listener. Asyncio has one number for how many are let in at once and how many wait for it."""

    _arriving: ClassVar[dict[int, socket.socket]] = {}
    _most = _QUEUE

    def listen(self, at_once: int = 0, /) -> None:
        self._most = _ARRIVING * at_once
        super().listen(_QUEUE)

    def accept(self) -> tuple[socket.socket, object]:
        """Let one in, which is arriving until it ``has_arrived``."""
        line, address = super().accept()
        self.has_arrived(line.fileno())  # one of that number is gone
        self._arriving[line.fileno()] = line
        if len(self._arriving) > self._most:
            self._hang_up()
        return line, address

    def _hang_up(self) -> None:
        for number in [number for number, line in self._arriving.items() if line.fileno() < 0]:
            self.has_arrived(number)
        if len(self._arriving) > self._most:
            first = self._arriving.pop(next(iter(self._arriving)))
            with suppress(OSError):  # the other side has hung up
                first.shutdown(socket.SHUT_RDWR)

    @classmethod
    def has_arrived(cls, number: int) -> None:
        """The one with that file is a connection now."""
        cls._arriving.pop(number, None)


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
        ListeningSocket.has_arrived(transport.get_extra_info("socket").fileno())
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
