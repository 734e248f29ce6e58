"""Cuts a growing log into lines.

Rule: a line's text and cursor depend on the log and the cursor before it, not on when it is read; so a
reader that starts again sees the same lines. No log, however long or strange, takes more than a few
megabytes of memory.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from trialjob.model.job import LogLine

#: So much of a log is read at a time,
CHUNK = 1 << 20
#: and so many lines of it.
MAX_LINES = 10_000
#: A longer line is cut into pieces.
MAX_LINE = 64 << 10
TAIL_LINES = 20
TAIL_BYTES = 4096

# Progress bars go back to the line's start with \r alone.
_BREAK = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Some lines of a log."""

    lines: tuple[LogLine, ...]
    #: More whole lines are there.
    more: bool


def read_lines(path: Path, cursor: str, *, ended: bool) -> Lines:
    """The lines behind ``cursor``. An unfinished last line is given out only when the job has ``ended``."""
    offset = int(cursor or 0)
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(offset)
            data = file.read(CHUNK)
    except FileNotFoundError:
        return Lines(lines=(), more=False)
    whole = offset + len(data) >= size
    lines, used = _cut(data, offset, final=ended and whole)
    full = len(lines) >= MAX_LINES
    return Lines(lines=tuple(lines), more=not whole or (full and used < len(data)))


def _cut(data: bytes, offset: int, *, final: bool) -> tuple[list[LogLine], int]:
    """Lines, and how many bytes they took."""
    lines: list[LogLine] = []
    at = 0
    while at < len(data) and len(lines) < MAX_LINES:
        found = _BREAK.search(data, at, at + MAX_LINE + 2)
        if found is not None and found.start() - at <= MAX_LINE:
            if found.end() == len(data) and found[0] == b"\r" and not final:
                break  # a \n may follow
            text, after = data[at : found.start()], found.end()
        elif len(data) - at > MAX_LINE:
            text, after = data[at : at + MAX_LINE], at + MAX_LINE
        elif final:
            text, after = data[at:], len(data)
        else:
            break
        at = after
        lines.append(LogLine(text=text.decode("utf-8", "replace"), cursor=str(offset + at)))
    return lines, at


def tail(path: Path) -> str:
    """The last lines of a log, for a person who asks why a job failed."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            data = file.read(TAIL_BYTES)
    except OSError:
        return ""
    lines = [line for line in _BREAK.split(data) if line]
    if size > TAIL_BYTES and len(lines) > 1:
        del lines[0]  # it begins somewhere in its middle
    text = b"\n".join(lines[-TAIL_LINES:]).decode("utf-8", "replace")
    while len(text.encode()) > TAIL_BYTES:  # a replaced byte takes three
        text = text[len(text) // 8 + 1 :]
    return text
