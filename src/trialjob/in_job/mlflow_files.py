"""Reads what a script has logged to MLflow's own local stores: a database file, or folders of text files.

Rule: standard library only, Python 3.8; a store that is busy is read at the next look.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

#: How MLflow writes an infinite value into a database.
_INFINITE = 1.797693134862e308
_IS_RUN = re.compile(r"^run_(id|uuid):", re.MULTILINE)
_MAGIC = b"SQLite format 3\0"
_QUERY = (
    "SELECT rowid, run_uuid, key, value, timestamp, step, is_nan FROM metrics WHERE rowid > ? ORDER BY rowid"
)


def is_database(path: Path) -> bool:
    """Whether a file may be a store of MLflow's."""
    if path.suffix not in (".db", ".sqlite", ".sqlite3"):
        return False
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC
    return False


def rows(path: Path, after: int) -> tuple[list[tuple[str, Any]], int]:
    """The points behind row ``after``, each with its run, and the last row; nothing where there is no such
    table, or a process is writing.
    """
    import sqlite3  # noqa: PLC0415 - a Python may have been built without

    points: list[tuple[str, Any]] = []
    try:
        with contextlib.closing(
            sqlite3.connect(path.absolute().as_uri() + "?mode=ro", uri=True, timeout=1)
        ) as store:
            for row, run, key, value, when, step, is_nan in store.execute(_QUERY, (after,)):
                points.append((str(run), (str(key), int(step), when / 1000, _value(value, is_nan))))
                after = row
    except (sqlite3.Error, TypeError, ValueError):
        return points, after
    return points, after


def _value(value: float, is_nan: object) -> float:
    if is_nan:
        return math.nan
    return math.copysign(math.inf, value) if abs(value) >= _INFINITE else float(value)


def metric_files(run: Path) -> Iterator[tuple[str, Path]]:
    """The files of a run's folder with the metric that each has; nothing where it is no run's."""
    try:
        if not _IS_RUN.search((run / "meta.yaml").read_text(encoding="utf-8", errors="replace")):
            return
    except OSError:
        return
    for path in sorted((run / "metrics").rglob("*")):
        if path.is_file():
            yield path.relative_to(run / "metrics").as_posix(), path


def lines(name: str, file: BinaryIO, offset: int) -> tuple[list[Any], int]:
    """The points behind ``offset`` in one metric's file, and how far its whole lines go."""
    file.seek(offset)
    data = file.read()
    whole = data.rfind(b"\n") + 1
    points = []
    for line in data[:whole].split(b"\n"):
        words = line.split()
        with contextlib.suppress(ValueError, IndexError, OverflowError):
            step = int(words[2]) if len(words) > 2 else 0  # noqa: PLR2004 - files of old had two
            points.append((name, step, int(words[0]) / 1000, float(words[1])))
    return points, offset + whole
