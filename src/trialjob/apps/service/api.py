"""The routes: HTTP to ``desk`` and back, errors included. /v1/openapi.json describes what it answers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from http import HTTPStatus
from importlib import resources
from typing import Annotated, Any, Final

from fastapi import FastAPI, Header, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from trialjob._version import __version__
from trialjob.apps.service.access import REPORT_POLICY, TICKETS, Access, Tickets, problem
from trialjob.apps.service.desk import Desk, Uncapped
from trialjob.errors import (
    BackendUnavailable,
    ExperimentBusy,
    JournalConflict,
    NoSuchExperiment,
    SpecError,
    StoreError,
    StoreUnavailable,
    TrialjobError,
    UsageError,
)
from trialjob.experiment import Session
from trialjob.model.durations import parse_duration
from trialjob.model.json import Json
from trialjob.orchestrator.core.events import Record
from trialjob.orchestrator.journals.codec import encode
from trialjob.reporting.html.document import page
from trialjob.reporting.results import strict_json

#: Seconds between two looks at a journal that somebody listens to, and between two signs of life.
_LOOK, _ALIVE = 1.0, 15.0
#: So many listen at once.
_LISTENERS: Final = 200
_STATUS: Final = (
    (NoSuchExperiment, 404),
    (SpecError, 422),
    (Uncapped, 409),
    (UsageError, 409),
    (ExperimentBusy, 409),
    (JournalConflict, 409),
    (StoreUnavailable, 503),
    (BackendUnavailable, 503),
    (StoreError, 500),
)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NewExperiment(_Body):
    """What is to be started."""

    spec: dict[str, Any] | str = Field(description="A spec, or the text of a spec file.")
    folder: str | None = Field(None, description="Where its relative paths are meant from.")
    name: str | None = Field(None, description="Its name as it is; else the spec's with a suffix.")
    accept_uncapped: bool = Field(default=False, description="Start it even if nothing bounds its cost.")


class Started(BaseModel):
    """Which experiment a request has started, now or earlier."""

    name: str
    created: bool


class PlanRequest(_Body):
    """What is to be planned, as in ``trialjob plan``."""

    spec: dict[str, Any] | str
    folder: str | None = None
    epochs: float | None = Field(None, gt=0)
    epoch_seconds: str | float | None = Field(None, description="A duration, such as 90s.")


class Page(BaseModel):
    """Some experiments, by name, and the ``after`` of the next page; "" behind the last."""

    items: list[dict[str, Any]]
    next: str


def app(desk: Desk, token: str) -> Access:
    """The ASGI application for those who know ``token``."""
    return Access(api(desk), token)


def api(desk: Desk) -> FastAPI:
    """All routes, for whoever has been let in."""
    made = FastAPI(
        title="trialjob",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
    )
    _errors(made)
    _files(made)
    _reading(made, desk)
    _streams(made, desk)
    _writing(made, desk)
    return made


def _errors(made: FastAPI) -> None:
    async def of_ours(_request: Request, error: Exception) -> Response:
        status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
        more = {"problems": [asdict(each) for each in error.problems]} if isinstance(error, SpecError) else {}
        return _problem(status, str(error), **more)

    async def of_http(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - narrows the type
        return _problem(error.status_code, str(error.detail))

    async def of_a_body(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - narrows the type
        problems = [
            {
                "field": ".".join(map(str, each["loc"])),
                "message": each["msg"],
                "remedy": "see /v1/openapi.json",
            }
            for each in error.errors()
        ]
        return _problem(422, "the request is not as described", problems=problems)

    made.add_exception_handler(TrialjobError, of_ours)
    made.add_exception_handler(HTTPException, of_http)
    made.add_exception_handler(RequestValidationError, of_a_body)


def _problem(status: int, detail: str, **more: object) -> Response:
    retry = {"retry-after": "5"} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return JSONResponse(
        problem(status, detail, **more), status, headers=retry, media_type="application/problem+json"
    )


def _files(made: FastAPI) -> None:
    web = resources.files("trialjob.apps.service").joinpath("web")
    kinds = {
        "/": ("index.html", "text/html"),
        "/app.js": ("app.js", "text/javascript"),
        "/app.css": ("app.css", "text/css"),
    }
    for path, (name, kind) in kinds.items():
        content = web.joinpath(name).read_bytes()

        def file(content: bytes = content, kind: str = kind) -> Response:
            return Response(content, media_type=kind)

        made.add_api_route(
            path, file, methods=["GET", "HEAD"], include_in_schema=False, response_class=Response
        )

    @made.get("/healthz", include_in_schema=False)
    def healthz() -> dict[str, str]:
        return {"status": "ok"}


def _reading(made: FastAPI, desk: Desk) -> None:
    @made.get("/readyz", include_in_schema=False)
    def readyz() -> dict[str, str]:
        desk.page("", 1)
        return {"status": "ready"}

    @made.get("/v1/experiments", response_model=Page)
    def list_experiments(after: str = "", limit: Annotated[int, Query(ge=1, le=500)] = 100) -> Response:
        items, following = desk.page(after, limit)
        return _json({"items": items, "next": following})

    @made.get("/v1/experiments/{name}")
    def get_experiment(name: str, if_none_match: Annotated[str | None, Header()] = None) -> Response:
        told, version = desk.status(name)
        tag = f'W/"{version}"'
        if if_none_match == tag:
            return Response(status_code=304, headers={"etag": tag})
        return _json(told, etag=tag)

    @made.get("/v1/experiments/{name}/results")
    def get_results(name: str) -> Response:
        text = desk.look(name, lambda session: session.result().to_json())
        return Response(text, media_type="application/json")

    @made.get("/v1/experiments/{name}/results.csv")
    def get_table(name: str) -> Response:
        return Response(desk.look(name, lambda session: session.result().to_csv()), media_type="text/csv")

    @made.get("/v1/experiments/{name}/spec")
    def get_spec(name: str) -> Response:
        told = desk.look(name, lambda session: dict(session.state.document))
        return _json(told)

    tickets = Tickets()

    def report(name: str) -> HTMLResponse:
        text = desk.look(name, lambda session: page(session.state, session.space()))
        return HTMLResponse(text, headers={"content-security-policy": REPORT_POLICY})

    @made.get("/v1/experiments/{name}/report.html", response_class=HTMLResponse)
    def get_report(name: str) -> HTMLResponse:
        return report(name)

    @made.post("/v1/experiments/{name}/report-tickets", status_code=201)
    def new_report_ticket(name: str) -> dict[str, str]:
        """A path at which the report can be read for a minute without a token."""
        desk.look(name, lambda _session: None)
        return {"path": TICKETS + tickets.new(name)}

    @made.get(TICKETS + "{ticket}", include_in_schema=False, response_class=HTMLResponse)
    def get_ticket(ticket: str) -> HTMLResponse:
        if (name := tickets.opens(ticket)) is None:
            raise HTTPException(404, "the ticket is not valid any more; open the report again")
        return report(name)

    @made.get("/v1/experiments/{name}/trials/{trial}/log")
    def get_log(name: str, trial: int, attempt: int | None = None, cursor: str = "") -> dict[str, Any]:
        return desk.log(name, trial, attempt, cursor)


def _streams(made: FastAPI, desk: Desk) -> None:
    free = threading.BoundedSemaphore(_LISTENERS)

    @made.get("/v1/experiments/{name}/events")
    async def get_events(
        name: str,
        after: Annotated[int, Query(ge=0)] = 0,
        last_event_id: Annotated[str | None, Header()] = None,
    ) -> StreamingResponse:
        """What is journaled, as server-sent events; the id of each is the version of the journal."""
        version = int(last_event_id) if last_event_id and last_event_id.isdecimal() else after
        await run_in_threadpool(desk.look, name, lambda _session: None)
        if not free.acquire(blocking=False):
            raise HTTPException(503, f"{_LISTENERS} listen already")
        return StreamingResponse(_events(desk, name, version, free), media_type="text/event-stream")


async def _events(
    desk: Desk, name: str, version: int, free: threading.BoundedSemaphore
) -> AsyncIterator[bytes]:
    try:
        yield b"retry: 2000\n\n"
        silent = 0.0
        while True:
            try:
                records = await run_in_threadpool(desk.look, name, lambda session: _news(session, version))  # noqa: B023
            except StoreUnavailable:
                records = ()
            for record in records:
                version = record.version
                yield b"id: %d\nevent: record\ndata: %s\n\n" % (version, encode(record).rstrip(b"\n"))
            silent = 0.0 if records else silent + _LOOK
            if silent >= _ALIVE:
                silent = 0.0
                yield b": alive\n\n"
            await asyncio.sleep(_LOOK)
    finally:
        free.release()


def _news(session: Session, version: int) -> Sequence[Record]:
    """What a listener has not heard; most looks find nothing, and read no journal a second time."""
    return session.records(version) if session.state.version > version else ()


def _json(value: Json, **headers: str) -> Response:
    """``value``, with null for every number that JSON cannot hold."""
    return Response(strict_json(value), media_type="application/json", headers=headers)


def _writing(made: FastAPI, desk: Desk) -> None:
    @made.post("/v1/plan")
    def plan(body: PlanRequest) -> Response:
        seconds = body.epoch_seconds
        try:
            asked = {
                "epochs": body.epochs,
                "epoch_seconds": None if seconds is None else parse_duration(seconds),
            }
        except ValueError as error:
            raise UsageError(f"epoch_seconds: {error}") from None
        return _json(desk.plan(body.spec, body.folder, asked))

    @made.post("/v1/experiments", status_code=201)
    def start_experiment(
        body: NewExperiment,
        response: Response,
        idempotency_key: Annotated[str, Header(max_length=200)] = "",
    ) -> Started:
        name, created = desk.start(
            body.spec, body.folder, name=body.name, key=idempotency_key, uncapped=body.accept_uncapped
        )
        response.status_code = 201 if created else 200
        response.headers["location"] = f"/v1/experiments/{name}"
        return Started(name=name, created=created)

    @made.post("/v1/experiments/{name}/stop", status_code=202)
    def stop_experiment(name: str) -> dict[str, Any]:
        desk.stop(name)
        return {"name": name, "asked": "stop"}

    @made.post("/v1/experiments/{name}/resume", status_code=202)
    def resume_experiment(name: str) -> dict[str, Any]:
        desk.resume(name)
        return {"name": name, "asked": "resume"}

    @made.patch("/v1/experiments/{name}/limits")
    def change_limits(name: str, body: dict[str, Any]) -> Response:
        """Other limits, by their names in the spec; null takes one away."""
        desk.change_limits(name, body)
        limits = desk.look(name, lambda session: session.spec.document()["limits"])
        return _json(limits)
