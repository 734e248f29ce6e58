"""Files that are written where a user says.

Rule 1: whole or not at all: what cannot be written leaves what was there before, and no part of itself.
Rule 2: the folder has to be there. A slip in its name makes an error, and no folder.
"""

from __future__ import annotations

import errno
import os
import shlex
from contextlib import suppress
from pathlib import Path

from trialjob.errors import UsageError


def write_file(path: Path, text: str) -> None:
    """Put ``text`` in the place of what is there; what is no file, such as /dev/stdout, stays what it is.

    Raises UsageError.
    """
    whole = path.is_file() or not path.exists()
    beside = path.with_name(f".{path.name}.{os.getpid()}") if whole else path
    try:
        beside.write_text(text, encoding="utf-8")
        if whole:
            beside.replace(path)
    except OSError as error:
        if whole:
            _remove(beside)
        raise unwritable(path, error) from error


def write_new_file(path: Path, text: str) -> None:
    """Write a file where nothing is. Raises UsageError, also where something is."""
    made = False
    try:
        with path.open("x", encoding="utf-8") as file:
            made = True
            file.write(text)
    except OSError as error:
        if made:
            _remove(path)
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> UsageError:
    """The error for a file that cannot be written, with what to do about it."""
    folder = path.parent
    if path.is_dir():
        return UsageError(f"{path} is a folder\n  → write the name of a file, such as -o {path / 'NAME'}")
    if error.errno == errno.ENOENT and not folder.exists():
        remedy = f"make its folder (mkdir -p {shlex.quote(str(folder))}), or name another place with -o"
    elif error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = "make room there, or name another place with -o"
    else:
        remedy = "name another place with -o"
    return UsageError(f"{path} cannot be written: {error.strerror or error}\n  → {remedy}")


def _remove(path: Path) -> None:
    with suppress(OSError):  # nor can it be removed where there is no folder
        path.unlink(missing_ok=True)
