"""What is journaled, as it happens: server-sent events, each record once, for those who listen."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Annotated, Final

from fastapi import FastAPI, Header, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from trialjob.apps.service.answering import OneDesk
from trialjob.apps.service.callers import AnyDesk, House
from trialjob.errors import StoreUnavailable
from trialjob.experiment import Session
from trialjob.orchestrator.core.events import Record
from trialjob.orchestrator.journals.codec import encode

#: Seconds between two looks at a journal that somebody listens to, and between two signs of life.
_LOOK, _ALIVE = 1.0, 15.0
#: So many listen at once.
_LISTENERS: Final = 200


def add_streams(made: FastAPI, house: House) -> None:
    free = threading.BoundedSemaphore(_LISTENERS)

    @made.get("/v1/experiments/{name}/events")
    async def get_events(
        name: str,
        request: Request,
        desk: OneDesk,
        after: Annotated[int, Query(ge=0)] = 0,
        last_event_id: Annotated[str | None, Header()] = None,
    ) -> StreamingResponse:
        """What is journaled, as server-sent events; the id of each is the version of the journal."""
        version = int(last_event_id) if last_event_id and last_event_id.isdecimal() else after
        await run_in_threadpool(desk.look, name, lambda _session: None)
        if not free.acquire(blocking=False):
            raise HTTPException(503, f"{_LISTENERS} listen already")

        def still_in() -> bool:
            return house.caller(request.scope["token"]) is not None

        told = _events(desk, name, version, still_in, free)
        return StreamingResponse(told, media_type="text/event-stream")


async def _events(
    desk: AnyDesk,
    name: str,
    version: int,
    still_in: Callable[[], bool],
    free: threading.BoundedSemaphore,
) -> AsyncIterator[bytes]:
    try:
        yield b"retry: 2000\n\n"
        silent = 0.0
        while True:
            try:
                records = await run_in_threadpool(desk.look, name, lambda session: news(session, version))  # noqa: B023
            except StoreUnavailable:
                records = ()
            for record in records:
                version = record.version
                yield b"id: %d\nevent: record\ndata: %s\n\n" % (version, encode(record).rstrip(b"\n"))
            silent = 0.0 if records else silent + _LOOK
            if silent >= _ALIVE:
                silent = 0.0
                if not await run_in_threadpool(still_in):
                    return
                yield b": alive\n\n"
            await asyncio.sleep(_LOOK)
    finally:
        free.release()


def news(session: Session, version: int) -> Sequence[Record]:
    """What a listener has not heard; most looks find nothing, and read no journal a second time."""
    return session.records(version) if session.state.version > version else ()
