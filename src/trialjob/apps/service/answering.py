"""What the routes have in common: whose experiments they work on, and how they answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import Depends, Header, Request, Response

from trialjob.apps.service.callers import AnyExperiments, Caller
from trialjob.apps.service.schemas import Started
from trialjob.model.json import Json, strict_json

Key = Annotated[str, Header(max_length=200)]


def _experiments_of(request: Request) -> AnyExperiments:
    experiments: AnyExperiments = request.scope["experiments"]
    return experiments


def _caller_of(request: Request) -> Caller:
    caller: Caller = request.scope["caller"]
    return caller


#: What is answered to a request that has started something already.
AGAIN: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": Started, "description": "The same request has started it before"}
}
#: The caller's experiments.
CallerExperiments = Annotated[AnyExperiments, Depends(_experiments_of)]
OneCaller = Annotated[Caller, Depends(_caller_of)]


def only(kind: str) -> type[Response]:
    """What an answer of another kind than JSON is described by."""
    return type("Answer", (Response,), {"media_type": kind})


def json_of(value: Json, *, visible: Callable[[str], str] = str, **headers: str) -> Response:
    """``value`` on one line, which is encoded in C, as far as it is ``visible`` to the caller."""
    text = visible(strict_json(value, indent=None))
    return Response(text, media_type="application/json", headers=headers)


def started(response: Response, name: str, created: bool) -> Started:  # noqa: FBT001 - as a experiments says it
    response.status_code = 201 if created else 200
    response.headers["location"] = f"/v1/experiments/{name}"
    return Started(name=name, created=created)
