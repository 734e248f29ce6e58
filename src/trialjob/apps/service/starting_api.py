"""The routes by which experiments are planned and started, from a spec or from an archive with its code.

Rule: only some archives are unpacked at one time, as each may become large; the others wait for their turn.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from trialjob.apps.service.access import ARCHIVES
from trialjob.apps.service.answering import AGAIN, CallerExperiments, Key, json_of, started
from trialjob.apps.service.schemas import NewExperiment, PlanRequest, Started
from trialjob.errors import UsageError
from trialjob.model.durations import parse_duration

_AT_ONCE: Final = 4
_ARCHIVE: Final = {"requestBody": {"required": True, "content": {"application/gzip": {}}}}


def add_starting(made: FastAPI) -> None:
    turns = asyncio.Semaphore(_AT_ONCE)
    _add_plans(made, turns)
    _add_starts(made, turns)


def _add_plans(made: FastAPI, turns: asyncio.Semaphore) -> None:
    @made.post("/v1/plan")
    def plan(body: PlanRequest, experiments: CallerExperiments) -> Response:
        asked = {**_asked(body.epochs, body.epoch_seconds), "account": body.account}
        return json_of(experiments.plan(body.spec, body.folder, asked))

    @made.post(f"{ARCHIVES}/plan", openapi_extra=_ARCHIVE)
    async def plan_archive(
        request: Request,
        experiments: CallerExperiments,
        epochs: float | None = None,
        epoch_seconds: str | None = None,
    ) -> Response:
        """What the spec in an archive would take and cost."""
        data, asked = await request.body(), _asked(epochs, epoch_seconds)
        async with turns:
            return json_of(await run_in_threadpool(experiments.plan_archive, data, asked))


def _add_starts(made: FastAPI, turns: asyncio.Semaphore) -> None:
    @made.post("/v1/experiments", status_code=201, responses=AGAIN)
    def start_experiment(
        body: NewExperiment, experiments: CallerExperiments, response: Response, idempotency_key: Key = ""
    ) -> Started:
        made = experiments.start(
            body.spec, body.folder, name=body.name, key=idempotency_key, uncapped=body.accept_uncapped
        )
        return started(response, *made)

    @made.post(ARCHIVES, status_code=201, responses=AGAIN, openapi_extra=_ARCHIVE)
    async def start_archive(  # noqa: PLR0917 - as a route is written
        request: Request,
        experiments: CallerExperiments,
        response: Response,
        name: str | None = None,
        accept_uncapped: bool = False,  # noqa: FBT001, FBT002 - a parameter of the query
        idempotency_key: Key = "",
    ) -> Started:
        """Start what an archive asks for: a tar.gz with a spec at its top, and the code that it names."""
        data = await request.body()
        async with turns:
            made = await run_in_threadpool(
                experiments.start_archive, data, name=name, key=idempotency_key, uncapped=accept_uncapped
            )
        return started(response, *made)


def _asked(epochs: float | None, epoch_seconds: str | float | None) -> dict[str, Any]:
    try:
        seconds = None if epoch_seconds is None else parse_duration(epoch_seconds)
    except ValueError as error:
        raise UsageError(f"epoch_seconds: {error}") from None
    return {"epochs": epochs, "epoch_seconds": seconds}
