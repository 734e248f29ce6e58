"""A server that answers as it is told, one answer after the other; and a clock that does not wait."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar, TypeAlias

#: Status, headers and body.
Answer: TypeAlias = tuple[int, dict[str, str], bytes]
HUNG_UP: Answer = (0, {}, b"")


class Hurried:
    """A clock for which no time passes while it waits."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class Script(BaseHTTPRequestHandler):
    """Answers as it is told, one after the other."""

    answers: ClassVar[list[Answer]] = []
    asked: ClassVar[list[tuple[str, str, str]]] = []
    bodies: ClassVar[list[bytes]] = []

    def do_GET(self) -> None:
        self.asked.append((self.command, self.path, self.headers.get("Idempotency-Key") or ""))
        self.bodies.append(self.rfile.read(int(self.headers.get("content-length") or 0)))
        status, headers, body = self.answers.pop(0)
        if not status:
            self.close_connection = True
            return  # hangs up
        self.send_response(status)
        for name, value in {"content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - its name

    def log_message(self, *_given: object) -> None:
        """Nothing."""


@contextmanager
def scripted_server() -> Iterator[tuple[str, type[Script]]]:
    """Its address, and what it answers and was asked."""

    class Mine(Script):
        answers: ClassVar[list[Answer]] = []
        asked: ClassVar[list[tuple[str, str, str]]] = []
        bodies: ClassVar[list[bytes]] = []

    served = HTTPServer(("127.0.0.1", 0), Mine)
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{served.server_port}", Mine
    served.shutdown()
    thread.join()
    served.server_close()


def problem(status: int, detail: str, **headers: str) -> Answer:
    body = json.dumps({"status": status, "detail": detail}).encode()
    return status, {"content-type": "application/problem+json", **headers}, body


def fine(told: object) -> Answer:
    return 200, {"content-type": "application/json"}, json.dumps(told).encode()


def cut(answer: Answer) -> Answer:
    """The same, whose second half does not come."""
    status, headers, body = answer
    return status, {**headers, "content-length": str(len(body))}, body[: len(body) // 2]
