"""Bodies and archives that are sent to do harm: refused in words, in bounded memory, and nothing is left."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from trialjob.apps.team.tenants import Tenants, parse_budget
from trialjob.apps.team.tokens import Role, TokenBook
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.folder import FolderStore
from trialjob.reporting.unpacking import HEADER

#: What a server may take at its most, in bytes: some 100 MB of it are its modules.
MEMORY = 500 << 20
MB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Server:
    process: subprocess.Popen[str]
    address: str
    token: str
    folder: Path

    def send(self, path: str, body: Any, **headers: str) -> tuple[int, Any]:  # noqa: ANN401 - any body, and JSON
        given = {"Authorization": f"Bearer {self.token}", **headers}
        with closing(HTTPConnection(self.address, timeout=240)) as connection:
            with suppress(ConnectionError):  # who has heard enough hangs up
                connection.request("POST", path, body=body, headers=given)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def most_memory(self) -> int:
        (line,) = [
            line
            for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
            if line.startswith("VmHWM")
        ]
        return int(line.split()[1]) << 10

    def left(self) -> list[str]:
        """What there is of experiments in the store, and in the folder for what is needed for a moment."""
        return [
            *(path.name for path in (self.folder / "tmp").iterdir()),
            *(path.name for path in (self.folder / "store" / "_team").glob("stores/*/*")),
        ]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served")
    (folder / "tmp").mkdir()
    store, clock = FolderStore(folder / "store"), SystemClock()
    Tenants(store, clock).add(
        "red", budget=parse_budget("100/month"), max_concurrent=4, allow=("backend.kind=local",)
    )
    token, _ = TokenBook(store, clock).create(tenant="red", role=Role.SUBMIT, seconds=None)
    words = ["serve", "--no-browser", "--port", "0", "--store", str(store.root)]
    with subprocess.Popen(
        [sys.executable, "-m", "trialjob", *words],
        env={**os.environ, "TMPDIR": str(folder / "tmp")},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip().removeprefix("http://").removesuffix("/")
        yield Server(process=process, address=address, token=token, folder=folder)
        process.kill()


def zeros(size: int) -> Iterator[bytes]:
    for _ in range(size // MB):
        yield bytes(MB)


@pytest.mark.parametrize("declared", [True, False])
def test_two_gigabytes_are_refused_as_soon_as_they_are_too_much(server: Server, *, declared: bool) -> None:
    size = 2048 * MB
    headers = {"Content-Length": str(size)} if declared else {}
    status, told = server.send("/v1/archives", zeros(size), **headers)
    (problem,) = told["problems"]
    assert (status, problem["field"]) == (413, "body")
    assert "64 MB" in problem["message"]
    assert ".trialjobignore" in problem["remedy"]
    assert server.left() == []
    assert server.most_memory() < MEMORY


# Archives


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 1) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    info.size = size if kind == tarfile.REGTYPE else 0
    return info


def attributed(**headers: str) -> tarfile.TarInfo:
    info = member("a", size=0)
    info.pax_headers = {name.replace("_", "."): text for name, text in headers.items()}
    return info


def tar(*members: tarfile.TarInfo) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz", compresslevel=1, format=tarfile.PAX_FORMAT) as made:
        for info in members:
            made.addfile(info, io.BytesIO(bytes(info.size)))
    return held.getvalue()


def headers_about_headers(kind: bytes) -> bytes:
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, 512
    said = b"20 comment=xxxxxxxx\n" if kind == b"x" else b"name"
    return gzip.compress((info.tobuf(tarfile.GNU_FORMAT) + said.ljust(512, b"\0")) * 1000, 1)


def holes(count: int) -> bytes:
    """A file of zeros with a list of so many holes, which is to be held in memory."""
    told = f"{count}\n1\n".encode() + b"1\n" * (2 * count)
    info = attributed(GNU_sparse_major="1", GNU_sparse_minor="0", GNU_sparse_realsize="1")
    info.size = len(told)
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz", format=tarfile.PAX_FORMAT) as made:
        made.addfile(info, io.BytesIO(told))
    return held.getvalue()


LINKS = [member(f"l{number}", tarfile.LNKTYPE, f"l{number + 1}") for number in range(2_000)]
ARCHIVES: dict[str, tuple[Callable[[], bytes], str]] = {
    "bomb": (lambda: tar(member("zeros", size=300 * MB)), "unpacks to more than 268 MB"),
    "leads out": (lambda: tar(member("../x")), "../x, which leads out"),
    "leads out below": (lambda: tar(member("a/../../x")), "a/../../x, which leads out"),
    "absolute": (lambda: tar(member("/etc/x")), "/etc/x, which leads out"),
    "link out": (lambda: tar(member("l", tarfile.SYMTYPE, "/etc/passwd")), "a link to /etc/passwd"),
    "link up": (lambda: tar(member("a/l", tarfile.SYMTYPE, "../../x")), "a link to ../../x"),
    "hard link out": (lambda: tar(member("l", tarfile.LNKTYPE, "/etc/passwd")), "a link to /etc/passwd"),
    "link to itself": (lambda: tar(member("l", tarfile.LNKTYPE, "l")), "a link to l"),
    "a long chain of links": (lambda: tar(*LINKS), "a link to l1"),
    "device": (lambda: tar(member("d", tarfile.CHRTYPE)), "d, which is neither"),
    "pipe": (lambda: tar(member("d", tarfile.FIFOTYPE)), "d, which is neither"),
    "twice": (lambda: tar(member("a"), member("a")), "'a' twice"),
    "twice, said otherwise": (lambda: tar(member("a"), member("./a")), "'./a' twice"),
    "file and folder": (lambda: tar(member("a"), member("a/b")), "'a' as a file and as a folder"),
    "folder and file": (lambda: tar(member("a/b"), member("a")), "'a' as a file and as a folder"),
    "a long name": (lambda: tar(member("n" * 10_000)), "a name of 10,000 bytes"),
    "a long part": (lambda: tar(member("n" * 300)), "a name of 300 bytes"),
    "a deep name": (lambda: tar(member("a/" * 400 + "b")), "401 parts"),
    "a zero byte": (lambda: tar(attributed(path="a\0b")), "a zero byte"),
    "an escape": (lambda: tar(member("../\x1b[2J\r\nx")), "../\ufffd[2J\ufffd x, which leads out"),
    "attributes": (lambda: tar(attributed(comment="x" * 80 * MB)), f"says more than {HEADER:,} bytes"),
    "holes": (lambda: holes(5_000_000), f"says more than {HEADER:,} bytes"),
    "names of names": (lambda: headers_about_headers(b"L"), "nested too deeply"),
    "attributes of attributes": (lambda: headers_about_headers(b"x"), "nested too deeply"),
    "no archive": (lambda: b"PK\x03\x04 a zip", "is no sound archive"),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_archive_that_is_to_do_harm_is_refused_by_name(server: Server, kind: str) -> None:
    make, why = ARCHIVES[kind]
    status, told = server.send("/v1/archives/plan" if kind == "bomb" else "/v1/archives", make())
    assert status == 422, told
    (problem,) = told["problems"]
    assert problem["field"] == "archive"
    assert why in problem["message"]
    assert "tar czf" in problem["remedy"]
    assert str(server.folder) not in json.dumps(told)
    assert server.left() == []
    assert server.most_memory() < MEMORY
