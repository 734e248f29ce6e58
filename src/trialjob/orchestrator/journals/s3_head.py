"""The object that a journal in S3 is known by: which parts are sealed, the newest records, who steps it.

Pure; it knows no S3. The object is gzipped lines: a header in JSON, then the newest records as ``codec``
writes them. What has grown too long for it is in sealed segments, objects that are never written again.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from trialjob.errors import JournalCorrupt, JournalTooNew

#: Counted up when an older trialjob could misread what this one writes around the records.
FORMAT: Final = 1
#: Bytes that an object may unpack to. Lines are sealed at 1 MB, and no record comes near to this.
MOST: Final = 64 << 20
_SEGMENT: Final = re.compile(r"\d{8,}-\d{8,}-[0-9a-f]{16}\.jsonl\.gz", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """An object with the records from ``first`` to ``last``."""

    name: str
    first: int
    last: int

    def is_sound(self) -> bool:
        """Whether the name, which becomes part of a key, is one that ``Head.sealing`` gives."""
        return _SEGMENT.fullmatch(self.name) is not None and 0 < self.first <= self.last

    def holds(self, data: bytes) -> bool:
        """Whether this is the content that the name says."""
        return self.name.split("-")[-1].partition(".")[0] == _digest(data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who steps the experiment. It runs out when the object has not been written for ``seconds``."""

    #: Another one for every time that it is taken.
    token: str
    seconds: float
    #: Who it is, in words.
    who: str
    #: Where a process of number ``pid`` can be looked for.
    machine: str
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The object's content, with what its server says of it."""

    sealed: tuple[Segment, ...] = ()
    #: The records behind the sealed ones.
    lines: tuple[bytes, ...] = ()
    lease: Lease | None = None
    #: Counted up by every write, so that no two contents, and no two ETags, are the same.
    serial: int = 0
    #: None when there is no object.
    etag: str | None = None
    #: When it was written, and what time it was when that was asked for, both by the server's clock.
    written: float = 0.0
    now: float = 0.0

    @property
    def sealed_to(self) -> int:
        """The version of the last sealed record."""
        return self.sealed[-1].last if self.sealed else 0

    @property
    def version(self) -> int:
        """That of the last record."""
        return self.sealed_to + len(self.lines)

    @property
    def idle(self) -> float:
        """Seconds since it was last written."""
        return self.now - self.written

    def line(self, version: int) -> bytes:
        """A line that is not sealed."""
        return self.lines[version - self.sealed_to - 1]

    def encode(self) -> bytes:
        header: dict[str, Any] = {
            "journal": FORMAT,
            "version": self.version,
            "serial": self.serial,
            "sealed": [asdict(segment) for segment in self.sealed],
        }
        if self.lease is not None:
            header["lease"] = asdict(self.lease)
        return zipped([json.dumps(header).encode() + b"\n", *self.lines])

    def sealing(self) -> tuple[Head, Segment, bytes]:
        """The head with its lines sealed, and the segment to be written before it."""
        data = zipped(self.lines)
        first, last = self.sealed_to + 1, self.version
        segment = Segment(name=f"{first:08d}-{last:08d}-{_digest(data)}.jsonl.gz", first=first, last=last)
        return replace(self, sealed=(*self.sealed, segment), lines=()), segment, data


def decode_head(data: bytes, where: str) -> Head:
    """The head of these bytes. Raises JournalCorrupt, JournalTooNew."""
    header, *lines = unzipped(data, where)
    try:
        fields = json.loads(header)
        if fields["journal"] > FORMAT:
            raise JournalTooNew(
                f"{where}: written in format {fields['journal']}, this trialjob reads up to {FORMAT}; "
                "upgrade trialjob"
            )
        head = Head(
            sealed=tuple(Segment(**segment) for segment in fields["sealed"]),
            lines=tuple(lines),
            lease=Lease(**fields["lease"]) if "lease" in fields else None,
            serial=fields["serial"],
        )
        complete = head.version == fields["version"] and all(segment.is_sound() for segment in head.sealed)
    except (ValueError, KeyError, TypeError) as error:
        raise JournalCorrupt(
            f"{where}: not the head of a journal ({type(error).__name__}); restore an earlier version of it"
        ) from error
    if not complete:
        raise JournalCorrupt(
            f"{where}: holds records up to {head.version}, not {fields['version']} as it says; "
            "restore an earlier version of it"
        )
    return head


def zipped(lines: Iterable[bytes]) -> bytes:
    """The lines, gzipped; equal lines give equal bytes."""
    return gzip.compress(b"".join(lines), compresslevel=6, mtime=0)


def unzipped(data: bytes, where: str) -> Sequence[bytes]:
    """The lines, newlines included. Raises JournalCorrupt."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            text = file.read(MOST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise JournalCorrupt(
            f"{where}: damaged or cut short ({error}); restore an earlier version of it"
        ) from error
    if len(text) > MOST:
        raise JournalCorrupt(
            f"{where}: unpacks to more than {MOST >> 20} MB, which no journal does; "
            "restore an earlier version of it"
        )
    if not text.endswith(b"\n"):
        raise JournalCorrupt(f"{where}: cut short; restore an earlier version of it")
    return [line + b"\n" for line in text.split(b"\n")[:-1]]


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
