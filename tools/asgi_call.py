"""A request to the application of `trialjob serve`, without a socket."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from trialjob.apps.service.access import Access


class Answer:
    def __init__(self) -> None:
        self.status, self.body, self.headers = 0, b"", dict[str, str]()

    def json(self) -> Any:  # noqa: ANN401 - what JSON holds
        return json.loads(self.body)


def scope_of(
    method: str, path: str, *headers: tuple[bytes, bytes], origin: str = "127.0.0.1"
) -> dict[str, Any]:
    """A request as a server says it to an application."""
    path, _, query = path.partition("?")
    given = dict(headers)
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "scheme": "http",
        "http_version": "1.1",
        "client": (origin, 1),
        "server": ("127.0.0.1", 1),
        "headers": [*([] if b"host" in given else [(b"host", b"127.0.0.1")]), *headers],
    }


async def asked(
    made: Access,
    method: str,
    path: str,
    token: str | None = None,
    body: object = None,
    *,
    origin: str = "127.0.0.1",
    page: str | None = None,
    **headers: str,
) -> Answer:
    """What is answered, without a socket."""
    answer, sent = Answer(), False
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    told = {"content-type": "application/json", **headers}
    if page is not None:
        told["origin"] = page
    if token is not None:
        told["authorization"] = f"Bearer {token}"
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in told.items()]
    scope = scope_of(method, path, *named, origin=origin)
    over = asyncio.Event()

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if sent:
            await over.wait()  # who listens goes away when he has heard something
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": data, "more_body": False}

    async def send(message: Any) -> None:  # noqa: ANN401 - ASGI
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            answer.body += message.get("body", b"")
        if "event-stream" in answer.headers.get("content-type", "") and answer.body:
            over.set()

    await made(scope, receive, send)
    return answer


def ask(made: Access, *given: Any, **named: Any) -> Answer:  # noqa: ANN401 - as ``asked``
    return asyncio.run(asked(made, *given, **named))
