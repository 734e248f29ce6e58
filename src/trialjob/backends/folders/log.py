"""Reads a growing file as lines (``logs.lines``).

Rule: a line's text and cursor depend on the log and the cursor before it, not on when it is read; so a
reader that starts again sees the same lines. No log, however long or strange, takes more than a few
megabytes of memory.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from trialjob.in_job.whole_lines import CUT
from trialjob.logs.lines import BREAK, cut
from trialjob.model.job import LogLine

#: So much of a log is read at a time,
CHUNK = 1 << 20
#: and so many lines of it.
MAX_LINES = 10_000
TAIL_LINES = 20
#: No file is longer.
_MOST = 1 << 62
TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Some lines of a log."""

    lines: tuple[LogLine, ...]
    #: More whole lines are there.
    more: bool


def read_lines(path: Path, cursor: str, *, ended: bool, cut_off: bool = False) -> Lines:
    """The lines behind ``cursor``. An unfinished last line is given out only when the job has ``ended``.

    It is marked where the job was ``cut_off``, by a signal or with its machine: its last number may be torn.
    Raises ValueError for a cursor that is none.
    """
    offset = int(cursor or 0)
    if not 0 <= offset < _MOST:
        raise ValueError(f"no place in a file: {offset}")
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(offset)
            data = file.read(CHUNK)
    except FileNotFoundError:
        return Lines(lines=(), more=False)
    whole = offset + len(data) >= size
    found = cut(data, final=ended and whole, most=MAX_LINES)
    is_torn = cut_off and whole and found[-1:] and found[-1][1] == len(data) and data[-1:] not in b"\r\n"
    marks = [""] * (len(found) - 1) + [CUT if is_torn else ""] * bool(found)
    lines = tuple(
        LogLine(text=text.decode("utf-8", "replace") + mark, cursor=str(offset + end))
        for (text, end), mark in zip(found, marks, strict=True)
    )
    used = found[-1][1] if found else 0
    full = len(found) >= MAX_LINES
    return Lines(lines=lines, more=not whole or (full and used < len(data)))


def tail(path: Path) -> str:
    """The last lines of a log, for a person who asks why a job failed."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            data = file.read(TAIL_BYTES)
    except OSError:
        return ""
    lines = [line for line in BREAK.split(data) if line]
    if size > TAIL_BYTES and len(lines) > 1:
        del lines[0]  # it begins somewhere in its middle
    text = b"\n".join(lines[-TAIL_LINES:]).decode("utf-8", "replace")
    while len(text.encode()) > TAIL_BYTES:  # a replaced byte takes three
        text = text[len(text) // 8 + 1 :]
    return text
