"""Records to lines of JSON and back.

Rule 1: one record is one line, so that a record is in the file as a whole or not at all.
Rule 2: every line says its version; what a newer trialjob wrote is refused, never guessed at. So is a field
that is not known: read without it, an event would mean something else, and lose it where it is moved.
Rule 3: strict JSON; numbers that are not finite are the strings "NaN", "Infinity" and "-Infinity".
Rule 4: a line may end with the CRC-32 of what stands before it, so that no changed bit is taken for a
record. A line without one may have only the members of such a line, so that no changed bit hides a checksum.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from functools import cache
from typing import TYPE_CHECKING, Any, Final, get_args

from trialjob.errors import JournalCorrupt, JournalTooNew
from trialjob.orchestrator.core.events import Event, Record

if TYPE_CHECKING:
    from pydantic import TypeAdapter

#: Counted up when an older trialjob could misread what this one writes.
FORMAT: Final = 1

_KINDS: Final[dict[str, type[Any]]] = {kind.__name__: kind for kind in get_args(Event)}

_NEWER: Final = "{where}: unknown {what}, written by a newer trialjob; upgrade trialjob"
#: What a line without a checksum may have.
_MEMBERS: Final = frozenset({"v", "n", "at", "by", "events"})
_CHECKSUM: Final = re.compile(rb', "crc": "([0-9a-f]{8})"\}\n?\Z')


def encode(record: Record, *, by: str = "") -> bytes:
    """The line of a record, newline included; ``by`` tells the lines of different writers apart."""
    events = b",".join(_encode_event(event) for event in record.events)
    mark = {"by": by} if by else {}
    head = json.dumps({"v": FORMAT, "n": record.version, "at": record.at, **mark}, allow_nan=False)
    return head[:-1].encode() + b', "events": [' + events + b"]}\n"


def are_alike(one: Record, other: Record) -> bool:
    """Whether both say the same: a NaN is not equal to itself, and a record with one is all the same."""
    return one == other or encode(one) == encode(other)


def checked(line: bytes) -> bytes:
    """The line with its checksum, for files that have none of their own."""
    body = line.removesuffix(b"}\n")
    return body + b', "crc": "%08x"}\n' % zlib.crc32(body)


def _encode_event(event: Event) -> bytes:
    name = type(event).__name__
    body = _adapter(name).dump_json(event, exclude_defaults=True)
    tag = b'{"type":"' + name.encode() + b'"'
    return tag + (b"}" if body == b"{}" else b"," + body[1:])


def decode(line: bytes, where: str, *, remedy: str = "restore it from a backup") -> Record:
    """The record of a line; ``where`` names the place in errors, and ``remedy`` what to do about damage.

    Raises JournalCorrupt when it is no record, JournalTooNew when a newer trialjob wrote it.
    """
    checksum = _CHECKSUM.search(line)
    if checksum is not None and int(checksum[1], 16) != zlib.crc32(line[: checksum.start()]):
        raise JournalCorrupt(f"{where}: damaged, its checksum does not fit; {remedy}")
    try:
        row = json.loads(line)
        if row["v"] > FORMAT:
            raise JournalTooNew(
                f"{where}: written in format {row['v']}, this trialjob reads up to {FORMAT}; upgrade trialjob"
            )
        unknown = sorted(row.keys() - _MEMBERS - ({"crc"} if checksum else set()))
        if unknown and checksum is None:
            raise ValueError("a checksum that cannot be read")  # noqa: TRY301 - one way out of damage
        if unknown:
            raise JournalTooNew(_NEWER.format(where=where, what=f"member {unknown[0]!r} of a record"))
        events = tuple(_decode_event(event, where) for event in row["events"])
        if not math.isfinite(at := float(row["at"])):
            raise ValueError("no time")  # noqa: TRY301 - as above
        return Record(version=row["n"], at=at, events=events)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise JournalCorrupt(
            f"{where}: not a record of a journal ({type(error).__name__}); {remedy}"
        ) from error


def _decode_event(row: dict[str, Any], where: str) -> Event:
    name = row.pop("type")
    if name not in _KINDS:
        raise JournalTooNew(_NEWER.format(where=where, what=f"event {name!r}"))
    try:
        event: Event = _adapter(name).validate_python(row)
    except ValueError as error:
        if field := _unknown_field(error):
            raise JournalTooNew(_NEWER.format(where=where, what=f"field {field!r} of {name}")) from error
        raise
    return event


def _unknown_field(error: ValueError) -> str:
    """The field of an event that is not known here; "" where something else is wrong with it."""
    from pydantic import ValidationError  # noqa: PLC0415 - as below

    found = error.errors() if isinstance(error, ValidationError) else ()
    places = (each["loc"] for each in found if each["type"] == "unexpected_keyword_argument")
    return ".".join(str(part) for part in next(places, ()))


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    """Made when it is first needed: a reader decodes records of few kinds, or none."""
    from pydantic import TypeAdapter  # noqa: PLC0415 - slow to import, and not needed where all is known

    kind = _KINDS[name]
    # Of the values in it as well, but of those which have a configuration of their own.
    kind.__pydantic_config__ = {**getattr(kind, "__pydantic_config__", {}), "extra": "forbid"}
    return TypeAdapter(kind)
