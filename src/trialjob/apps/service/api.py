"""The routes: HTTP to a experiments and back, errors included. /v1/openapi.json describes what it answers.

Rule: every route stands in ``RULES`` with the role that it needs; a server with one that does not is not
started. The experiments that a route works on is its caller's, so it cannot reach those of others.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from http import HTTPStatus
from importlib import resources
from typing import Annotated, Any, Final

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from trialjob._version import __version__
from trialjob.apps.service.access import REPORT_POLICY, Access, Listening, Scope, problem
from trialjob.apps.service.admin_experiments import NotForAdmins
from trialjob.apps.service.answering import CallerExperiments, OneCaller, json_of
from trialjob.apps.service.artifact_api import add_artifacts
from trialjob.apps.service.callers import AnyExperiments, Callers
from trialjob.apps.service.experiments import Uncapped
from trialjob.apps.service.fast_path import FastPath
from trialjob.apps.service.figure_api import add_figures
from trialjob.apps.service.metrics import MEDIA_TYPE, metrics
from trialjob.apps.service.reading_api import add_reading
from trialjob.apps.service.rules import ONE, RULES, TENANTS, WEB
from trialjob.apps.service.schemas import Wrong
from trialjob.apps.service.starting_api import add_starting
from trialjob.apps.service.streams import add_streams
from trialjob.apps.service.study_api import add_studies
from trialjob.apps.service.team_api import add_team
from trialjob.apps.service.tickets import TICKETS, Tickets
from trialjob.apps.team.tenants import NoSuchTenant
from trialjob.apps.team.tokens import Role
from trialjob.errors import (
    MOST_SHOWN,
    BackendUnavailable,
    ExperimentBusy,
    InvariantError,
    JournalConflict,
    NoSuchExperiment,
    SpecError,
    StoreError,
    StoreUnavailable,
    TrialjobError,
    UsageError,
)
from trialjob.experiment import Session
from trialjob.reporting.html.document import page

_STATUS: Final = (
    (NoSuchExperiment, 404),
    (NoSuchTenant, 404),
    (NotForAdmins, 403),
    (SpecError, 422),
    (Uncapped, 409),
    (UsageError, 409),
    (ExperimentBusy, 409),
    (JournalConflict, 409),
    (StoreUnavailable, 503),
    (BackendUnavailable, 503),
    (StoreError, 500),
)


#: What is answered where a request is not done, as /v1/openapi.json describes it.
_WRONG: Final = {
    "description": "Why it is not done (RFC 9457), by field under `problems` where fields are wrong",
    "content": {"application/problem+json": {"schema": Wrong.model_json_schema(ref_template="{model}")}},
}
_KINDS: Final = {"html": "text/html", "js": "text/javascript", "css": "text/css"}


def app(
    callers: Callers, listening: Listening | None = None, ending: threading.Event | None = None
) -> Access:
    """The ASGI application for those who are let in. Those who listen leave when it is ``ending``."""
    made = api(callers, ending)

    def rule_of(scope: Scope) -> Role | str | None:
        for route in made.routes:
            if route.matches(scope)[0] is Match.FULL:
                return RULES[scope["method"], getattr(route, "path", "")]
        return ""  # no such route, which only those learn who have a token

    return Access(FastPath(made), callers, rule_of, listening)


def api(callers: Callers, ending: threading.Event | None = None) -> FastAPI:
    """All routes, for callers who have been let in. Raises InvariantError for one without a rule."""
    made = FastAPI(
        title="trialjob",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        responses={"default": _WRONG},
    )
    _errors(made)
    _files(made)
    _people(made, callers)
    add_reading(made)
    _reports(made)
    add_artifacts(made)
    add_figures(made)
    add_streams(made, callers, ending or threading.Event())
    add_starting(made)
    _steering(made)
    add_studies(made)
    add_team(made, callers)
    check_rules(made)
    return made


def check_rules(made: FastAPI) -> None:
    """Raises InvariantError for a route without a rule that says who may call it."""
    if without := [each for each in routes(made) if each not in RULES]:
        raise InvariantError(f"no rule says who may call {without}")


def routes(made: FastAPI) -> list[tuple[str, str]]:
    """Each method with its path."""
    return [
        (method, getattr(route, "path", ""))
        for route in made.routes
        for method in getattr(route, "methods", ())
    ]


def _errors(made: FastAPI) -> None:
    async def of_ours(request: Request, error: Exception) -> Response:
        status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
        experiments: AnyExperiments | None = request.scope.get("experiments")
        if experiments is None:  # a caller without a token learns nothing of this machine
            return _problem(status, HTTPStatus(status).phrase)
        wrong = error.problems[:MOST_SHOWN] if isinstance(error, SpecError) else ()
        problems = [{key: experiments.visible(text) for key, text in asdict(each).items()} for each in wrong]
        return _problem(status, experiments.visible(str(error)), problems=problems)

    async def of_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - narrows the type
        if error.status_code == HTTPStatus.BAD_REQUEST:  # FastAPI's word for a body that is no text at all
            return _not_as_described([("body", str(error.detail))])
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:  # the first route with that path knows its own
            headers["allow"] = _methods(made, request)
        return _problem(error.status_code, str(error.detail), headers=headers)

    async def of_a_body(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - narrows the type
        return _not_as_described(
            [(".".join(map(str, each["loc"])), str(each["msg"])) for each in error.errors()]
        )

    async def of_anything(_request: Request, _error: Exception) -> Response:
        return _problem(500, "the server failed, and has written down why; ask again, or ask who runs it")

    made.add_exception_handler(TrialjobError, of_ours)
    made.add_exception_handler(Exception, of_anything)
    made.add_exception_handler(HTTPException, of_http)
    made.add_exception_handler(RequestValidationError, of_a_body)


def _methods(made: FastAPI, request: Request) -> str:
    """All that may be done with a path."""
    found = [route for route in made.routes if route.matches(request.scope)[0] is not Match.NONE]
    return ", ".join(sorted({method for route in found for method in getattr(route, "methods", ())}))


def _not_as_described(wrong: Sequence[tuple[str, str]]) -> Response:
    """What is wrong with a request, by field."""
    problems = [
        {"field": field, "message": message, "remedy": "see /v1/openapi.json"} for field, message in wrong
    ]
    return _problem(422, "the request is not as described", problems=problems)


def _problem(
    status: int,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    problems: Sequence[Mapping[str, str]] = (),
) -> Response:
    retry = {"retry-after": "5"} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    more = {"problems": problems} if problems else {}
    return Response(
        json.dumps(problem(status, detail, **more)),  # ASCII, as what was sent may be no text
        status,
        headers={**retry, **(headers or {})},
        media_type="application/problem+json",
    )


def _files(made: FastAPI) -> None:
    web = resources.files("trialjob.apps.service").joinpath("web")
    for path in WEB:
        name = path.removeprefix("/") or "index.html"
        kind = _KINDS[name.rpartition(".")[2]]
        content = web.joinpath(name).read_bytes()

        def file(content: bytes = content, kind: str = kind) -> Response:
            return Response(content, media_type=kind)

        made.add_api_route(
            path, file, methods=["GET", "HEAD"], include_in_schema=False, response_class=Response
        )

    @made.get("/healthz", include_in_schema=False)
    def healthz() -> dict[str, str]:
        return {"status": "ok"}


def _people(made: FastAPI, callers: Callers) -> None:
    @made.get("/readyz", include_in_schema=False)
    def readyz() -> dict[str, str]:
        callers.ready()
        return {"status": "ready"}

    @made.get("/metrics", include_in_schema=False)
    def get_metrics(caller: OneCaller, experiments: CallerExperiments) -> Response:
        return Response(metrics(experiments, callers.tenants(caller)), media_type=MEDIA_TYPE)

    @made.get("/v1/me")
    def get_me(caller: OneCaller) -> dict[str, Any]:
        """The caller that the token belongs to."""
        return {"id": caller.id, "role": caller.role.word, "tenant": caller.tenant}

    @made.get(TENANTS)
    def list_tenants(caller: OneCaller) -> dict[str, Any]:
        """Budgets: one's own tenant's, or all of them."""
        return {"items": callers.tenants(caller)}

    @made.get("/v1/audit")
    def get_audit(
        caller: OneCaller,
        day: Annotated[str, Query(pattern=r"^(\d{4}-\d\d-\d\d)?$")] = "",
        last: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> dict[str, Any]:
        """Who has done what on a day, the newest first."""
        return {"items": callers.acts(caller, day, last)}


def _reports(made: FastAPI) -> None:
    tickets: Tickets[tuple[AnyExperiments, str]] = Tickets()

    def report(experiments: AnyExperiments, name: str, request: Request) -> HTMLResponse:
        here = str(request.base_url).rstrip("/")

        def text(session: Session) -> str:
            return page(session.state, session.space(), session.links, store=here, server=True)

        policy = {"content-security-policy": REPORT_POLICY}
        return HTMLResponse(experiments.of(name).look(name, text), headers=policy)

    @made.get("/v1/experiments/{name}/report.html", response_class=HTMLResponse)
    def get_report(name: str, experiments: CallerExperiments, request: Request) -> HTMLResponse:
        return report(experiments, name, request)

    @made.post("/v1/experiments/{name}/report-tickets", status_code=201)
    def new_report_ticket(name: str, experiments: CallerExperiments) -> dict[str, str]:
        """A path at which the report can be read for a minute without a token."""
        experiments.of(name).look(name, lambda _session: None)
        return {"path": TICKETS + tickets.new((experiments, name))}

    @made.get(TICKETS + "{ticket}", include_in_schema=False, response_class=HTMLResponse)
    def get_ticket(ticket: str, request: Request) -> HTMLResponse:
        if (what := tickets.opens(ticket)) is None:
            raise HTTPException(404, "the ticket is not valid any more; open the report again")
        return report(*what, request)


def _steering(made: FastAPI) -> None:
    @made.delete(ONE, status_code=204, response_model=None)  # some versions of FastAPI make one of None
    def remove_experiment(name: str, experiments: CallerExperiments) -> None:
        """Remove an experiment that does not run for good: journal, code and logs."""
        experiments.of(name).remove(name)

    @made.post("/v1/experiments/{name}/stop", status_code=202)
    def stop_experiment(name: str, experiments: CallerExperiments) -> dict[str, Any]:
        experiments.of(name).stop(name)
        return {"name": name, "asked": "stop"}

    @made.post("/v1/experiments/{name}/resume", status_code=202)
    def resume_experiment(name: str, experiments: CallerExperiments) -> dict[str, Any]:
        experiments.of(name).resume(name)
        return {"name": name, "asked": "resume"}

    @made.patch("/v1/experiments/{name}/limits")
    def change_limits(name: str, body: dict[str, Any], experiments: CallerExperiments) -> Response:
        """Other limits, by their names in the spec; null takes one away."""
        experiments.of(name).change_limits(name, body)
        limits = experiments.of(name).look(name, lambda session: session.spec.document()["limits"])
        return json_of(limits)
