"""What happens, as it happens, for those who listen: records of a journal and lines of a log, each once.

Rule: a listener holds one look's worth of memory, and a seat; one that reads nothing is sent nothing more.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Annotated, Any, Final
from urllib.parse import quote, unquote

from fastapi import FastAPI, Header, Query, Request
from fastapi.responses import StreamingResponse
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from trialjob.apps.service.answering import CallerExperiments, OneCaller, only
from trialjob.apps.service.callers import AnyExperiments, Callers
from trialjob.apps.service.live_logs import LogPart
from trialjob.apps.service.request_limits import number
from trialjob.apps.service.rules import ONE, TRIAL
from trialjob.apps.service.threads import in_thread
from trialjob.errors import BackendUnavailable, StoreError, StoreUnavailable, TrialjobError
from trialjob.experiment import Session
from trialjob.orchestrator.core.events import Record
from trialjob.orchestrator.journals.codec import encode

#: Seconds between two looks at what a client listens to, and between two signs of life. So much longer is
#: heard at most what is listened to with a token that has ended.
_LOOK, _ALIVE = 1.0, 15.0
#: So many listen at once, and so many with one token, which leaves seats for others.
_LISTENERS, _OF_ONE = 200, 150
#: Has nginx, and what is built like it, pass on what is said as it is said, and not by the buffer.
_UNBUFFERED = {"x-accel-buffering": "no"}
_KIND: Final = "text/event-stream"
_TEXT: Final = {"type": "string"}
#: How such an answer is described: by one of its events.
_EVENTS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "content": {
            _KIND: {"schema": {"type": "object", "properties": dict.fromkeys(("id", "event", "data"), _TEXT)}}
        }
    }
}

#: Tells what is new; None once there is nothing more to come.
Tell = Callable[[], "Iterable[bytes] | None"]


class Seats:
    """A listener."""

    def __init__(self, callers: Callers, ending: threading.Event) -> None:
        self._callers, self._ending = callers, ending
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    def listens(self, request: Request, who: str, tell: Tell) -> StreamingResponse:
        """What ``tell`` says, as long as the token is good. Raises HTTPException when no seat is free."""

        def still_in() -> bool:
            try:
                return self._callers.caller(request.scope["token"]) is not None
            except StoreError:  # unknown; the next request gets the reason
                return False

        self._take(who)
        return _Seated(event_stream(tell, still_in, self._ending), lambda: self._leave(who))

    def _take(self, who: str) -> None:
        with self._lock:
            if self._taken.total() >= _LISTENERS or self._taken[who] >= _OF_ONE:
                raise HTTPException(
                    503, f"{self._taken.total()} listen already, {self._taken[who]} by your token"
                )
            self._taken[who] += 1

    def _leave(self, who: str) -> None:
        with self._lock:
            self._taken[who] -= 1
            self._taken += Counter()  # forgets those who have none


class _Seated(StreamingResponse):
    """Has a seat, which is free again however it ends, also before anything was sent."""

    def __init__(self, pieces: AsyncIterator[bytes], leave: Callable[[], None]) -> None:
        super().__init__(pieces, media_type=_KIND, headers=_UNBUFFERED)
        self._leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._leave()


def add_streams(made: FastAPI, callers: Callers, ending: threading.Event) -> None:
    seats = Seats(callers, ending)

    @made.get(f"{ONE}/events", response_class=only(_KIND), responses=_EVENTS)
    async def get_events(  # noqa: PLR0917 - as a route is written
        name: str,
        request: Request,
        caller: OneCaller,
        experiments: CallerExperiments,
        after: Annotated[int, Query(ge=0)] = 0,
        last_event_id: Annotated[str, Header()] = "",
    ) -> StreamingResponse:
        """What is journaled, as server-sent events; the id of each is the version of the journal."""
        heard = number(last_event_id)
        await in_thread(lambda: experiments.of(name).look(name, lambda _session: None))
        return seats.listens(
            request, caller.id, _Records(experiments, name, after if heard is None else heard)
        )

    @made.get(f"{TRIAL}/logs", response_class=only(_KIND), responses=_EVENTS)
    async def get_logs(  # noqa: PLR0917 - as a route is written
        name: str,
        trial: int,
        request: Request,
        caller: OneCaller,
        experiments: CallerExperiments,
        attempt: int | None = None,
        cursor: str = "",
        last_event_id: Annotated[str, Header()] = "",
    ) -> StreamingResponse:
        """The log of a trial's attempt, the newest unless one is named, until it has ended.

        It comes as server-sent events: each has some lines, and the mark behind them as its id, so that
        `Last-Event-ID` goes on there. The last one is of the type `end`.
        """
        which, mark = _marked(last_event_id, attempt, cursor)
        first = await in_thread(lambda: experiments.of(name).log(name, trial, which, mark))
        return seats.listens(request, caller.id, _Lines(experiments, name, trial, first, mark))


class _Records:
    def __init__(self, experiments: AnyExperiments, name: str, version: int) -> None:
        self._experiments, self._name, self._version = experiments, name, version

    def __call__(self) -> Iterable[bytes]:
        records = self._experiments.of(self._name).look(
            self._name, lambda session: news(session, self._version)
        )
        if records:
            self._version = records[-1].version
        return (
            b"id: %d\nevent: record\ndata: %s\n\n" % (record.version, encode(record).rstrip(b"\n"))
            for record in records
        )


class _Lines:
    def __init__(
        self, experiments: AnyExperiments, name: str, trial: int, first: LogPart, cursor: str
    ) -> None:
        self._experiments, self._name, self._trial, self._attempt = experiments, name, trial, first.attempt
        self._cursor = cursor
        self._over = False

    def __call__(self) -> Iterable[bytes] | None:
        if self._over:
            return None
        part = self._experiments.of(self._name).log(self._name, self._trial, self._attempt, self._cursor)
        self._over = part.over
        if part.over:
            return [self._event("end", {"attempt": part.attempt})]
        if part.cursor == self._cursor:
            return ()
        self._cursor = part.cursor
        return [self._event("lines", part.document())]

    def _event(self, kind: str, data: object) -> bytes:
        mark = f"{self._attempt}:{quote(self._cursor, safe='/+=')}"
        return f"id: {mark}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode()


def _marked(last: str, attempt: int | None, cursor: str) -> tuple[int | None, str]:
    """Attempt and cursor to go on from: those of the last event, if one was heard."""
    version, colon, mark = last.partition(":")
    heard = number(version)
    if not colon or heard is None:
        return attempt, last or cursor
    return (heard, unquote(mark)) if attempt in (None, heard) else (attempt, cursor)


async def event_stream(
    tell: Tell, still_in: Callable[[], bool], ending: threading.Event
) -> AsyncIterator[bytes]:
    """What is new, until there is nothing more to come, the token has ended, or the server ends."""
    now = asyncio.get_running_loop().time
    heard = checked = now()
    yield b"retry: 2000\n\n"
    while not ending.is_set():
        try:
            said = await in_thread(tell)
        except (StoreUnavailable, BackendUnavailable):
            said = ()
        except TrialjobError:
            return  # the next request gets the reason
        if said is None:
            return
        before = heard
        for piece in said:
            yield piece
            heard = now()
        if now() - checked >= _ALIVE:
            checked = now()
            if not await in_thread(still_in):
                return
        if heard == before:
            if now() - heard >= _ALIVE:
                heard = now()
                yield b": alive\n\n"
            await asyncio.sleep(_LOOK)


def news(session: Session, version: int) -> Sequence[Record]:
    """What a listener has not heard; most looks find nothing, and read no journal a second time."""
    return session.records(version) if session.state.version > version else ()
