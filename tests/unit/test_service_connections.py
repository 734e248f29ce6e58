"""Connections that do nothing, or too little, shut nobody out; and what a server writes of those that ask."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any, ClassVar

import pytest
import uvicorn

from asgi_call import scope_of
from server_thread import spec, wait_for
from trialjob.apps.service import log
from trialjob.apps.service.access import Access, Listening
from trialjob.apps.service.api import app
from trialjob.apps.service.callers import Alone
from trialjob.apps.service.connections import Connection, ListeningSocket, Places
from trialjob.apps.service.experiments import Experiments
from trialjob.apps.service.request_limits import Body, Refusal, Room
from trialjob.apps.service.runner import Runner
from trialjob.apps.service.serve import Listener, listen
from trialjob.errors import UsageError

MOST = 8
#: More than lies between a server and a client that reads nothing.
MUCH = 64 << 20
#: That a process may have open.
FILES = 256


class Patient(Connection):
    head_within: ClassVar[float] = 600.0
    takes_within: ClassVar[float] = 600.0


class WantsHeads(Patient):
    head_within: ClassVar[float] = 0.2


class WantsToBeHeard(Patient):
    takes_within: ClassVar[float] = 0.2


class Answers:
    """Answers /much with many bytes and everything else with few; says when somebody has left it.

    While /held is asked, until it ``goes_on``, the server does nothing else.
    """

    def __init__(self) -> None:
        self.left, self.held, self.goes_on = threading.Event(), threading.Event(), threading.Event()

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/held":
            self.held.set()
            self.goes_on.wait(240)
        if scope["path"] == "/much":
            for _ in range(MUCH >> 16):
                await send({"type": "http.response.body", "body": b"x" * (1 << 16), "more_body": True})
            self.left.set()
        await send({"type": "http.response.body", "body": b"here"})


class Served:
    def __init__(self, connection: type[Connection]) -> None:
        self.app = Answers()
        self.listener = ListeningSocket(fileno=socket.create_server(("127.0.0.1", 0)).detach())
        self.server = uvicorn.Server(
            uvicorn.Config(
                self.app,
                http=connection,
                limit_concurrency=MOST,
                backlog=MOST // 4,
                log_level="critical",
                lifespan="off",
                timeout_graceful_shutdown=1,
            )
        )
        self.thread = threading.Thread(target=self.server.run, args=([self.listener],), daemon=True)
        self.thread.start()

    def connect(self) -> socket.socket:
        return socket.create_connection(self.listener.getsockname(), timeout=240)

    def let_in(self, number: int) -> socket.socket:
        """The next, once there are so many."""
        line = self.connect()
        wait_for(lambda: len(self.server.server_state.connections) == number)
        return line

    def ask(self) -> bytes:
        with self.connect() as line:
            line.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            answer = b""
            while piece := line.recv(65536):
                answer += piece
            return answer

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(60)
        self.listener.close()


@contextmanager
def serving(connection: type[Connection]) -> Iterator[Served]:
    made = Served(connection)
    try:
        yield made
    finally:
        made.close()


def hung_up(line: socket.socket, said: bytes) -> bool:
    try:
        line.sendall(said)
        return line.recv(1) == b""
    except (ConnectionResetError, BrokenPipeError):
        return True


def test_however_many_wait_whoever_asks_is_answered() -> None:
    with serving(Patient) as served, ExitStack() as held:
        for number in range(5 * MOST):
            line = held.enter_context(closing(served.connect()))
            if number % 2:
                line.sendall(b"GET / HTTP/1.1\r\nx-half: ")
        assert b"200 OK" in served.ask()
        assert len(served.server.server_state.connections) <= MOST


def test_who_has_asked_is_read_before_more_that_ask_nothing_are_let_in() -> None:
    with serving(Patient) as served, ExitStack() as held:
        held.enter_context(closing(served.connect())).sendall(b"GET /held HTTP/1.1\r\nhost: x\r\n\r\n")
        assert served.app.held.wait(240)
        asks = held.enter_context(closing(served.connect()))
        asks.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        for _ in range(5 * MOST):
            held.enter_context(closing(served.connect()))
        served.app.goes_on.set()
        assert asks.recv(12) == b"HTTP/1.1 200"


def test_who_was_answered_last_keeps_the_connection() -> None:
    with serving(Patient) as served, ExitStack() as held:
        first, second, *_ = [held.enter_context(closing(served.let_in(each))) for each in range(1, MOST)]
        ask = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
        first.sendall(ask)
        assert first.recv(12) == b"HTTP/1.1 200"
        held.enter_context(closing(served.connect()))
        assert second.recv(1) == b""
        while not first.recv(65536).endswith(b"0\r\n\r\n"):
            pass
        first.sendall(ask)
        assert first.recv(12) == b"HTTP/1.1 200"


@pytest.mark.parametrize("said", [b"", b"G", b"GET / HTTP/1.1\r\nhost: x\r\n", b"POST / HTTP/1.1\r\nx: "])
def test_a_head_that_does_not_come_to_its_end_is_not_waited_for(said: bytes) -> None:
    with serving(WantsHeads) as served, served.connect() as line:
        assert hung_up(line, said)


def test_a_head_that_comes_in_drops_has_no_more_time() -> None:
    with serving(WantsHeads) as served, served.connect() as line:
        line.settimeout(0.02)
        for _ in range(10_000):
            with suppress(TimeoutError):
                if hung_up(line, b"a"):
                    break
        else:
            pytest.fail("it was listened to for ever")


def test_who_takes_nothing_of_an_answer_is_given_no_more() -> None:
    with serving(WantsToBeHeard) as served:
        with served.connect() as line:
            line.sendall(b"GET /much HTTP/1.1\r\nhost: x\r\n\r\n")
            assert served.app.left.wait(240)
        assert b"here" in served.ask()


def test_the_body_of_an_answer_does_not_wait_for_its_head_to_be_acknowledged() -> None:
    with listen(Listener()) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


# The process


@pytest.fixture
def certificate(tmp_path: Path) -> list[str]:
    """The options that serve TLS with a new one."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl here to make a certificate with")
    files = [f"{tmp_path}/cert.pem", f"{tmp_path}/key.pem"]
    new = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    subprocess.run([openssl, *new, "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
    return ["--tls-cert", files[0], "--tls-key", files[1]]


@pytest.mark.parametrize("is_tls", [False, True])
def test_more_that_say_nothing_than_there_may_be_files_shut_nobody_out(
    tmp_path: Path, certificate: list[str], *, is_tls: bool
) -> None:
    limited = f"import resource, runpy; resource.setrlimit(resource.RLIMIT_NOFILE, (128, {FILES}));"
    words = [sys.executable, "-c", f"{limited} runpy.run_module('trialjob', run_name='__main__')", "serve"]
    words += ["--store", str(tmp_path / "store"), "--no-browser", "--port", "0"]
    with subprocess.Popen(
        words + (certificate if is_tls else []), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        address, _, token = process.stdout.readline().strip().partition("/#token=")
        where = ("127.0.0.1", int(address.rpartition(":")[2]))
        with ExitStack() as held:
            for _ in range(2 * FILES):
                held.enter_context(closing(socket.create_connection(where, timeout=240)))
            trusted = ssl.create_default_context(cafile=certificate[1])
            trusted.check_hostname = False
            asks = (
                HTTPSConnection(*where, timeout=240, context=trusted)
                if is_tls
                else HTTPConnection(*where, timeout=240)
            )
            with closing(asks):
                asks.request("GET", "/v1/experiments", headers={"authorization": f"Bearer {token}"})
                assert asks.getresponse().status == 200
        process.terminate()
        assert "Too many open files" not in process.stderr.read()


@pytest.mark.parametrize("files", [64, 256, 1024, 2048, 1 << 20])
def test_places_leave_files_for_everything_else(files: int) -> None:
    places = Places.within(files)
    assert 16 <= places.connections <= 1000
    assert 4 <= places.at_once <= places.connections / 4
    assert places.connections + 5 * places.at_once <= 3 * files / 4


def received(*pieces: bytes, length: str = "", most: int = 100, room: Room | None = None) -> int:
    """The status that a body is refused with, 0 for none; behind its last piece nothing comes any more."""

    class Soon(Body):
        begins_within: ClassVar[float] = 0.01

    async def work() -> int:
        left = iter([{"type": "http.request", "body": piece, "more_body": True} for piece in pieces])

        async def receive() -> Any:  # noqa: ANN401 - ASGI
            if (piece := next(left, None)) is None:
                await asyncio.Event().wait()
            return piece

        body = Soon(receive, room or Room())
        try:
            await body.read("ann", length, most)
        except Refusal as refusal:
            return refusal.status
        finally:
            body.close()
        return 0

    return asyncio.run(work())


def test_a_body_that_comes_too_slowly_ends() -> None:
    assert received(b"x") == 408


def test_a_body_is_refused_as_soon_as_it_is_too_large_told_or_not() -> None:
    assert received(length="101") == 413
    assert received(length="-1") == 413
    assert received(length="9" * 5000) == 413
    assert received(*[b"x" * 60] * 9) == 413


def test_of_all_bodies_at_once_no_more_is_held_than_there_is_room_for() -> None:
    room = Room(in_all=100, of_one=60)
    room.take("bob", 50)
    assert received(length="61", room=room) == 503
    assert received(b"x" * 60, room=room) == 503
    assert received(length="50", room=room) == 408  # it was let in
    room.give_back("bob", 50)
    room.take("ann", 60)  # what was refused, and what has ended, is held no more


# The log


def test_a_line_for_each_request_and_step_and_no_secret_in_any(tmp_path: Path) -> None:
    place = tmp_path / "log"
    handler = log.write_to(str(place))
    try:
        experiments = Experiments(str(tmp_path / "store"), Runner(), tmp_path)
        made = app(Alone(experiments, "trialjob_a_secret"), Listening())
        asyncio.run(asked(made, "/v1/experiments?after=hidden", "trialjob_a_secret"))
        asyncio.run(
            asked(made, '/v1/x\n{"event": "request", "who": "admin"}\r\x1b[31m' + "y" * 5000, "wrong")
        )
        asyncio.run(asked(made, "/reports/a-ticket", None))
        estimator = {"kind": "container", "image_uri": "none", "entrypoint": ["true"]}
        name, _ = experiments.start(
            spec(estimator=estimator, limits={"max_trials": 1}), None, name="one", key="", uncapped=False
        )
        for run in list(experiments.runner._runs.values()):
            run.thread.join(240)
        experiments.runner.close()
    finally:
        log.close(handler)
    text = place.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    requests = [line for line in lines if line["event"] == "request"]
    assert [(line["status"], line["who"]) for line in requests] == [(200, "alone"), (401, ""), (404, "")]
    assert requests[0]["path"] == "/v1/experiments"
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) < 5000
    assert not [secret for secret in ("a_secret", "wrong", "a-ticket", "hidden") if secret in text]
    steps = [each for line in lines if line["event"] == "step" for each in line["events"]]
    assert steps[-1] == "ExperimentEnded"
    assert [line["experiment"] for line in lines if line["event"] in ("run", "left")] == [name, name]


def test_a_log_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--log"):
        log.write_to(str(tmp_path / "none" / "log"))


def test_a_request_that_is_broken_off_at_the_end_leaves_no_traceback(tmp_path: Path) -> None:
    async def work() -> None:
        is_in = asyncio.Event()

        async def waits(*_given: object) -> None:
            is_in.set()
            await asyncio.Event().wait()

        house = Alone(Experiments(str(tmp_path), Runner(), tmp_path), "one")
        request = asyncio.create_task(asked(Access(waits, house, lambda _scope: None), "/", None))
        await is_in.wait()
        request.cancel()
        await request

    asyncio.run(work())


async def asked(made: Access, path: str, token: str | None) -> None:
    told = [] if token is None else [(b"authorization", f"Bearer {token}".encode())]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Any) -> None:  # noqa: ANN401 - ASGI
        """Nothing."""

    await made(scope_of("GET", path, *told), receive, send)
