"""Tokens of servers, kept in the user's own folder: a file for each server, that no other user may read."""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from trialjob import user_settings
from trialjob.errors import UsageError
from trialjob.private_files import private_opener, tighten
from trialjob.reporting.typed_commands import command

_MODE: Final = 0o700
#: More than any token has.
_LONGEST: Final = 4096


def folder() -> Path:
    """Where they are."""
    return user_settings.folder() / "tokens"


def token_of(address: str) -> str | None:
    """The token that was kept for a server; None when there is none. Raises UsageError."""
    path = _file(address)
    try:
        tighten(path)
        return path.read_text(encoding="ascii", errors="strict")[:_LONGEST].strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no token"
        raise UsageError(
            f"{path} cannot be read: {why}\n  → {command('login', address, store=None)}"
        ) from error


def keep(address: str, token: str) -> Path:
    """Keep the token of a server, in place of an earlier one. Raises UsageError."""
    path = _file(address)
    beside = path.with_name(f".{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=_MODE, parents=True, exist_ok=True)
        tighten(path.parent)
        with open(beside, "w", encoding="ascii", opener=private_opener) as file:
            file.write(f"{token}\n")
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise UsageError(
            f"the token cannot be kept in {path}: {error.strerror}; set XDG_CONFIG_HOME to a folder of yours"
        ) from error
    return path


def forget(address: str) -> bool:
    """Remove the token of a server; False when there is none. Raises UsageError."""
    try:
        _file(address).unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise UsageError(f"{_file(address)} cannot be removed: {error.strerror}") from error
    return True


def known() -> list[str]:
    """The servers of which a token is kept, sorted."""
    with suppress(OSError):
        return sorted(unquote(path.name) for path in folder().iterdir() if not path.name.startswith("."))
    return []


def _file(address: str) -> Path:
    return folder() / quote(address, safe="")
