"""Where the user's own folder and file are, and what that says. Standard library only: any look reads it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from trialjob.errors import UsageError

#: The key of where experiments are kept; all others are of backends.
STORE: Final = "store"
_VARIABLE: Final = "TRIALJOB_CONFIG"


def home() -> Path:
    """The user's own folder. Raises UsageError: a container may run as a number that no account has."""
    try:
        return Path.home()
    except RuntimeError:
        raise UsageError(
            "this user has no home folder, as HOME is not set and there is no account of that number\n"
            "  → set HOME to a folder that can be written to"
        ) from None


def expanded(path: str | Path) -> Path:
    """``path`` with what ``~`` and ``~name`` at its beginning stand for. Raises UsageError."""
    text = os.fspath(path)
    first, *others = Path(path).parts or ("",)
    if not text.startswith("~"):  # as ./~name, which a Path forgets
        return Path(path)
    if first == "~":
        return home().joinpath(*others)
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UsageError(
            f"{text!r}: there is no user {first[1:]!r} on this machine\n"
            f"  → write the whole path, or ./{path} for a folder of that name"
        ) from None


def where() -> Path:
    """The file, which need not exist: $TRIALJOB_CONFIG, else config.toml in the user's folder."""
    if said := os.environ.get(_VARIABLE):
        return expanded(said).absolute()
    return folder() / "config.toml"


def folder() -> Path:
    """Where a user's settings and tokens are, by the XDG Base Directory Specification.

    By that, a path that is not absolute is ignored.
    """
    said = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    return (said if said.is_absolute() else home() / ".config") / "trialjob"


def read() -> dict[str, Any]:
    """What it says; nothing where there is no file. Raises UsageError where it cannot be read."""
    import tomllib  # noqa: PLC0415 - the help does without

    try:
        path = where()
    except UsageError:
        if os.environ.get(_VARIABLE):
            raise
        return {}  # without a folder there is no file
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or error}\n"
            f"  → mend or remove it; {_VARIABLE} names another"
        ) from error


def store() -> str:
    """Where it says that experiments are kept, or ""."""
    found = read().get(STORE, "")
    if not isinstance(found, str):
        raise UsageError(f"{where()}: {STORE} is {found!r}, which is no text; write a folder or an address")
    return found
