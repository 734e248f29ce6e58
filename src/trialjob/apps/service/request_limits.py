"""What is received of a request: whole, in time, and within bounds of one and of all.

Rule 1: a body is whole before its route is called. So one that is too large, or comes too slowly, is refused
in words, and no route has half of one.
Rule 2: what is held of all bodies together has a bound, and what is held of one sender has half of it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, ClassVar, Final

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

#: Bytes of all bodies that are held at once, and of those of one sender.
IN_ALL, OF_ONE = 256 << 20, 128 << 20
#: A number with more digits is none.
_DIGITS: Final = 20


def number(text: str) -> int | None:
    """What a header of digits says; None for every other, also for one too long to be read."""
    return int(text) if text.isdecimal() and len(text) < _DIGITS else None


class Refusal(Exception):
    """What a request is answered that is not let in; ``problems`` as of a spec."""

    def __init__(self, *, status: int, detail: str, problems: tuple[dict[str, str], ...] = ()) -> None:
        self.status, self.detail, self.problems = status, detail, problems
        super().__init__(detail)


class Room:
    """What is held of bodies; of one event loop."""

    def __init__(self, in_all: int = IN_ALL, of_one: int = OF_ONE) -> None:
        self._in_all, self._of_one = in_all, of_one
        self._held: Counter[str] = Counter()

    def take(self, who: str, size: int) -> None:
        """Raises Refusal."""
        if self._held[who] + size > self._of_one or self._held.total() + size > self._in_all:
            raise Refusal(
                status=503, detail="too much is sent at once, by you or by all together; send it again later"
            )
        self._held[who] += size

    def give_back(self, who: str, size: int) -> None:
        self._held[who] -= size
        self._held += Counter()  # forgets those of whom nothing is held


class Body:
    """The body of one request; what an application receives from."""

    #: Seconds for a body of a few bytes, and bytes a second that a longer one is to have.
    begins_within: ClassVar[float] = 30.0
    slowest: ClassVar[float] = 4096.0

    def __init__(self, receive: Receive, room: Room) -> None:
        self._receive, self._room = receive, room
        self._who, self._held = "", 0
        self._whole: Message | None = None

    async def read(self, who: str, length: str, most: int) -> None:
        """Receive all of it, of which ``length`` is told in advance, if anything. Raises Refusal."""
        self._who = who
        length_given = number(length)
        if length and (length_given is None or length_given > most):
            raise _too_large(f"of {length[:_DIGITS]} bytes", most)
        self._take(length_given or 0)
        pieces: list[bytes] = []
        size, more = 0, True
        until = self._now() + self.begins_within
        while more:
            message = await self._next(until)
            if message["type"] != "http.request":
                raise Refusal(status=400, detail="the body did not come to its end")
            piece, more = message.get("body", b""), message.get("more_body", False)
            size, until = size + len(piece), until + len(piece) / self.slowest
            if size > most:
                raise _too_large(f"of more than {most:,} bytes", most)
            self._take(size - self._held)
            pieces.append(piece)
        self._whole = {"type": "http.request", "body": b"".join(pieces), "more_body": False}

    async def __call__(self) -> Message:
        whole, self._whole = self._whole, None
        # What is waited for behind it is that the other side goes away.
        return await self._receive() if whole is None else whole

    def close(self) -> None:
        """Its room is free again."""
        self._room.give_back(self._who, self._held)
        self._held = 0

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    def _take(self, size: int) -> None:
        if size > 0:
            self._room.take(self._who, size)
            self._held += size

    async def _next(self, until: float) -> Message:
        try:
            async with asyncio.timeout_at(until):
                return await self._receive()
        except TimeoutError:
            raise Refusal(status=408, detail="the body came too slowly; send it again") from None


def _too_large(what: str, most: int) -> Refusal:
    problem = {
        "field": "body",
        "message": f"is {what}, more than {most >> 20} MB",
        "remedy": "leave out what is no code, by .trialjobignore, and read data from an input channel",
    }
    return Refusal(status=413, detail=f"more than {most >> 20} MB", problems=(problem,))
