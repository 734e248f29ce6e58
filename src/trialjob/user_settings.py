"""Where the user's own file is, and what it says. Standard library only, as who only looks reads it, too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from trialjob.errors import UsageError

#: The key of where experiments are kept; all others are of backends.
STORE: Final = "store"
_VARIABLE: Final = "TRIALJOB_CONFIG"


def where() -> Path:
    """The file, which need not exist: $TRIALJOB_CONFIG, else config.toml in the user's folder."""
    if said := os.environ.get(_VARIABLE):
        return Path(said).expanduser().absolute()
    return folder() / "config.toml"


def folder() -> Path:
    """Where a user's settings and tokens are, by the XDG Base Directory Specification.

    By that, a path that is not absolute is ignored.
    """
    home = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    return (home if home.is_absolute() else Path.home() / ".config") / "trialjob"


def read() -> dict[str, Any]:
    """What it says; nothing where there is no file. Raises UsageError where it cannot be read."""
    import tomllib  # noqa: PLC0415 - the help does without

    path = where()
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
