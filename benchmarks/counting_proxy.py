"""A reverse proxy before an AWS endpoint that notes each request: when, which operation, how many bytes.

Rule: it judges nothing and changes nothing, so that whoever is compared is counted by the same counter.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request."""

    #: By ``time.perf_counter``, when it had been read.
    at: float
    #: ``sagemaker CreateTrainingJob``; of S3 the verb, and whether it is about a key: ``s3 PUT``.
    operation: str
    #: Of its body.
    size: int


@dataclass(slots=True)
class Counted:
    """What has been asked so far."""

    url: str
    asked: list[Asked] = field(default_factory=list)

    def take(self) -> list[Asked]:
        """Everything since the last time."""
        taken, self.asked = self.asked, []
        return taken


def calls(asked: Sequence[Asked]) -> dict[str, int]:
    """How often each operation was called."""
    return dict(sorted(Counter(each.operation for each in asked).items()))


@contextmanager
def counting(endpoint: str) -> Iterator[Counted]:
    """A proxy on a port of its own."""
    host = urlsplit(endpoint).netloc
    counted = Counted("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            counted.asked.append(
                Asked(at=time.perf_counter(), operation=_operation(self, body), size=len(body))
            )
            onward = http.client.HTTPConnection(host, timeout=60)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
            onward.request(self.command, self.path, body, headers)
            answer = onward.getresponse()
            data = answer.read()
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else None
            self.send_header("Content-Length", length or str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            onward.close()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    counted.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield counted
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _operation(request: BaseHTTPRequestHandler, body: bytes) -> str:
    scope = request.headers.get("Authorization", "").partition("Credential=")[2].split("/")
    service = scope[3] if len(scope) > 3 else "?"
    if target := request.headers.get("X-Amz-Target"):
        return f"{service} {target.rpartition('.')[2]}"
    if service == "s3":
        _, _, key = urlsplit(request.path).path.lstrip("/").partition("/")
        return f"s3 {request.command}" + ("" if key else " bucket")
    return f"{service} {parse_qs(body.decode(errors='replace')).get('Action', ['?'])[0]}"
