"""What a server does, a line of JSON each: requests, steps, and how an experiment's run ended.

Rule: a line has names, numbers and outcomes; no token, no body, no query, and nothing that could end a line.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Final

from trialjob.apps.summary import iso
from trialjob.errors import UsageError

_LOGGER: Final = logging.getLogger("trialjob.service")
#: Characters of a text that a caller has chosen.
_MOST: Final = 500


def log(event: str, **fields: object) -> None:
    """Write a line, if there is a log."""
    if _LOGGER.isEnabledFor(logging.INFO):
        _LOGGER.info(event, extra={"fields": fields})


class _JsonLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = {name: _short(value) for name, value in getattr(record, "fields", {}).items()}
        return json.dumps({"at": iso(record.created), "event": record.getMessage(), **fields})


def _short(value: object) -> object:
    return value[:_MOST] if isinstance(value, str) else value


def write_to(place: str) -> logging.Handler:
    """Write lines to a file, "-" for stderr. Raises UsageError."""
    try:
        handler = logging.StreamHandler(sys.stderr) if place == "-" else logging.FileHandler(place)
    except OSError as error:
        raise UsageError(
            f"--log {place} cannot be written: {error.strerror or error}\n"
            "    → name a file in a folder that is there, or - for stderr"
        ) from error
    handler.setFormatter(_JsonLine())
    _LOGGER.addHandler(handler)
    _LOGGER.setLevel(logging.INFO)
    _LOGGER.propagate = False
    return handler


def close(handler: logging.Handler) -> None:
    """Write no more there."""
    _LOGGER.removeHandler(handler)
    _LOGGER.setLevel(logging.NOTSET)
    _LOGGER.propagate = True
    handler.close()
