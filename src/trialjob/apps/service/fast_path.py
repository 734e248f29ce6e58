"""The request that is made most, for one experiment as it stands, past what is done for any route.

Rule: it decides nothing. The caller has been let in already. What is not asked as plainly as pages ask, or
cannot be answered, goes on to the routes, which answer the same by the same function.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from trialjob.apps.service.access import App, Scope, Send
from trialjob.apps.service.reading_api import one_experiment
from trialjob.apps.service.request_limits import Receive
from trialjob.apps.service.rules import ONE
from trialjob.apps.service.threads import in_thread

_BEFORE: Final = ONE.partition("{")[0]


class FastPath:
    """ASGI middleware."""

    def __init__(self, routes: App) -> None:
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await self._answer(scope) if scope["type"] == "http" else None
        await (self._routes if answer is None else answer)(scope, receive, send)

    async def _answer(self, scope: Scope) -> App | None:
        before, name = scope["path"][: len(_BEFORE)], scope["path"][len(_BEFORE) :]
        if before != _BEFORE or "/" in name or scope["method"] != "GET" or scope["query_string"]:
            return None
        tags = [value.decode("latin-1") for key, value in scope["headers"] if key == b"if-none-match"]
        if len(tags) > 1:
            return None
        with suppress(Exception):  # a look changes nothing, so the routes look again and say what is wrong
            return await in_thread(one_experiment, scope["experiments"], name, *tags)
        return None
