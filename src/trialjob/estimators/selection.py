"""What of a source folder is code, and what has no place in a bundle.

Rule: what is left out for its size is said, because the script may need it; what the user's own
``.trialjobignore`` names is not.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from trialjob.errors import Problem, SpecError

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

#: Folders and files that are never code.
EXCLUDED = frozenset({
    ".git", "__pycache__", ".venv", "venv", ".trialjob", ".ipynb_checkpoints",
    ".mypy_cache", ".pytest_cache", "node_modules",
})  # fmt: skip
#: In the source folder: patterns as in a ``.gitignore``; ``!name`` ships what is too large otherwise.
IGNORE_FILE = ".trialjobignore"
#: What settings are written in, and a size that none of them has.
_SETTINGS, _LARGEST_SETTINGS = (".yaml", ".yml", ".json", ".toml", ".ini", ".cfg", ".env"), 1024**2
#: What a value of several lines, or with quotes in it, has in YAML and JSON and not by itself.
_SPELLING = re.compile(rb"\\[nrt]|[\s\\'\"]")
#: A larger file is data.
LARGEST_FILE = 50 * 1024**2
#: A bundle is unpacked by every trial, and held in memory while it is brought to its place.
LARGEST_FOLDER = 500 * 1024**2


def files_with(secrets: Sequence[str], source: Path) -> Iterator[Path]:
    """The files of settings below ``source`` in which one of ``secrets`` stands, however it is spelt."""
    spelt = (said for secret in secrets for said in (secret, json.dumps(secret)))
    sought = {bare for said in spelt if (bare := _bare(said.encode(errors="surrogateescape")))}
    for root, folders, names in os.walk(source) if sought else ():
        folders[:] = [name for name in folders if name not in EXCLUDED]
        for path in (Path(root, name) for name in sorted(names)):
            if path.suffix not in _SETTINGS and not path.name.startswith(".env"):
                continue
            with suppress(OSError):
                data = (
                    path.read_bytes() if path.is_file() and path.stat().st_size < _LARGEST_SETTINGS else b""
                )
                bare = _bare(data)
                if any(secret in bare for secret in sought):
                    yield path


def _bare(text: bytes) -> bytes:
    """Without quotes, escapes, indents and breaks of lines: each way of writing has others."""
    return _SPELLING.sub(b"", text)


class Selection:
    """Says of each entry below ``source`` whether it is shipped."""

    def __init__(self, source: Path, left_out: Callable[[str], None]) -> None:
        """``left_out`` is told of each file that is too large, in words. Raises SpecError."""
        self._source = source
        self._left_out = left_out
        self._patterns = _patterns(source / IGNORE_FILE)
        self._size = 0
        self._largest: tuple[int, str] = (0, "")

    def ignores(self, path: Path, *, folder: bool) -> bool:
        """Whether an entry is left out for its name, or for that of a folder above it."""
        inner = path.relative_to(self._source)
        if EXCLUDED.intersection(inner.parts) or path.suffix == ".pyc":
            return True
        return self._said(inner, folder=folder) is True

    def takes(self, path: Path, size: int) -> bool:
        """Whether a file is small enough, or asked for by name. Raises SpecError for too much in all."""
        inner = path.relative_to(self._source)
        if size > LARGEST_FILE and self._said(inner, folder=False) is not False:
            self._left_out(
                f"{inner.as_posix()} ({_megabytes(size)}) is left out of the code, as is any file above "
                f"{_megabytes(LARGEST_FILE)}: make it an input channel, or write {_asked_for(inner)} "
                f"into {IGNORE_FILE} to ship it with every trial"
            )
            return False
        self._size += size
        self._largest = max(self._largest, (size, inner.as_posix()))
        if self._size > LARGEST_FOLDER:
            most, name = self._largest
            raise SpecError(
                Problem(
                    field="estimator.source_dir",
                    message=f"{self._source} has more than {_megabytes(LARGEST_FOLDER)} to ship with every "
                    f"trial; the largest file is {name} ({_megabytes(most)})",
                    remedy=f"make data an input channel, and name what is no code in {IGNORE_FILE}",
                )
            )
        return True

    def _said(self, inner: Path, *, folder: bool) -> bool | None:
        """What the user's patterns say: ignored, asked for, or nothing."""
        if self._patterns is None:
            return None
        return self._patterns.check_file(inner.as_posix() + ("/" if folder else "")).include


def _patterns(file: Path) -> GitIgnoreSpec | None:
    if not file.is_file():
        return None
    from pathspec import GitIgnoreSpec  # noqa: PLC0415 - only where there are patterns

    try:
        return GitIgnoreSpec.from_lines(file.read_text(encoding="utf-8-sig").splitlines())
    except (OSError, ValueError) as error:
        raise SpecError(
            Problem(
                field="estimator.source_dir",
                message=f"{file} cannot be used: {error}",
                remedy="write one pattern a line, as in a .gitignore",
            )
        ) from error


def _asked_for(inner: Path) -> str:
    """The line of ``.trialjobignore`` by which this file, whatever it is called, is shipped."""
    name = inner.as_posix()
    kept = name.rstrip(" ")
    # What has a meaning in a pattern is escaped. What a terminal or a line would not show as it is, such as
    # a line break or a byte that is no UTF-8, is written as any one character.
    letters = (
        f"\\{letter}" if letter in "\\*?[" else letter if letter.isprintable() else "?" for letter in kept
    )
    return "!/" + "".join(letters) + "\\ " * (len(name) - len(kept))


def _megabytes(size: int) -> str:
    return f"{size / 1024**2:,.0f} MB"
