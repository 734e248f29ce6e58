"""HTTP as the load of ``benchmarks.service`` speaks it: small, so that what is measured is the server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

#: Seconds for an answer; what takes longer counts as none.
PATIENCE = 120.0
_LONGEST_LINE = 8 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes

    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


class Line:
    """A connection that is kept open, and opened again after it was lost."""

    def __init__(self, port: int, token: str) -> None:
        self._port, self._token = port, token
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Raises OSError and TimeoutError when there is no answer."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._asked(method, path, body, headers or {})
        except (asyncio.IncompleteReadError, ValueError) as error:
            self.close()
            raise ConnectionResetError(str(error)) from error
        except BaseException:
            self.close()
            raise

    async def _asked(self, method: str, path: str, body: object, headers: Mapping[str, str]) -> Answer:
        reader, writer = await self._lines()
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        told = {
            "host": "127.0.0.1",
            "authorization": f"Bearer {self._token}",
            "content-length": str(len(data)),
            "content-type": "application/gzip" if isinstance(body, bytes) else "application/json",
            **headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + data)
        status, answered = await _head(reader)
        content = await reader.readexactly(int(answered.get("content-length", "0")))
        if answered.get("connection") == "close":
            self.close()
        return Answer(status, content)

    async def events(self, path: str) -> AsyncIterator[bytes]:
        """The data of each server-sent event. Raises OSError when the server does not answer with any."""
        reader, writer = await self._lines()
        writer.write(
            f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {self._token}\r\n\r\n".encode()
        )
        status, _ = await _head(reader)
        if status != 200:
            raise ConnectionRefusedError(f"{path} answered {status}")
        yield b""  # somebody listens now
        while line := await reader.readline():
            if line.startswith(b"data: "):
                yield line[6:]

    async def _lines(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._open is None:
            self._open = await asyncio.open_connection("127.0.0.1", self._port, limit=_LONGEST_LINE)
        return self._open

    def close(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


async def _head(reader: asyncio.StreamReader) -> tuple[int, Mapping[str, str]]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    fields = (line.partition(":") for line in lines[1:] if line)
    return int(lines[0].split()[1]), {name.lower(): value.strip() for name, _, value in fields}
