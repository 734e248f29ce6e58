"""Records to lines of JSON and back.

Rule 1: one record is one line, so that a record is in the file as a whole or not at all.
Rule 2: every line says its version; what a newer trialjob wrote is refused, never guessed at.
Rule 3: strict JSON; numbers that are not finite are the strings "NaN", "Infinity" and "-Infinity".
"""

from __future__ import annotations

import json
from typing import Any, Final, get_args

from pydantic import TypeAdapter, ValidationError

from trialjob.errors import JournalCorrupt, JournalTooNew
from trialjob.orchestrator.core.events import Event, Record

#: Counted up when an older trialjob could misread what this one writes.
FORMAT: Final = 1

_KINDS: Final[dict[str, type[Any]]] = {kind.__name__: kind for kind in get_args(Event)}


_ADAPTERS: Final = {name: TypeAdapter(kind) for name, kind in _KINDS.items()}


def encode(record: Record, *, by: str = "") -> bytes:
    """The line of a record, newline included; ``by`` tells the lines of different writers apart."""
    events = b",".join(_encode_event(event) for event in record.events)
    mark = {"by": by} if by else {}
    head = json.dumps({"v": FORMAT, "n": record.version, "at": record.at, **mark}, allow_nan=False)
    return head[:-1].encode() + b', "events": [' + events + b"]}\n"


def _encode_event(event: Event) -> bytes:
    name = type(event).__name__
    body = _ADAPTERS[name].dump_json(event, exclude_defaults=True)
    tag = b'{"type":"' + name.encode() + b'"'
    return tag + (b"}" if body == b"{}" else b"," + body[1:])


def decode(line: bytes, where: str) -> Record:
    """The record of a line; ``where`` names the place in errors.

    Raises JournalCorrupt when it is no record, JournalTooNew when a newer trialjob wrote it.
    """
    try:
        row = json.loads(line)
        if row["v"] > FORMAT:
            raise JournalTooNew(
                f"{where}: written in format {row['v']}, this trialjob reads up to {FORMAT}; upgrade trialjob"
            )
        events = tuple(_decode_event(event, where) for event in row["events"])
        return Record(version=row["n"], at=float(row["at"]), events=events)
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise JournalCorrupt(
            f"{where}: not a record of a journal ({type(error).__name__}); restore the file from a backup"
        ) from error


def _decode_event(row: dict[str, Any], where: str) -> Event:
    name = row.pop("type")
    if name not in _ADAPTERS:
        raise JournalTooNew(f"{where}: unknown event {name!r}, written by a newer trialjob; upgrade trialjob")
    event: Event = _ADAPTERS[name].validate_python(row)
    return event
