"""Unpacks a tar archive that is a stranger's.

Rule 1: of it only folders and regular files are made, all below one new folder; what would lead elsewhere is
left out and named.
Rule 2: how much it may become is measured on the way: bytes and files, names, and what is held in memory.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import posixpath
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final, NoReturn, Self, TypeAlias, cast

from trialjob.errors import UsageError

#: Bytes that any archive may unpack to, however well it was compressed.
FREELY: Final = 1 << 30
#: Bytes of all that is said of one file: its names, its attributes, its holes.
HEADER: Final = 1 << 20
#: Bytes of a name, of a part of it, and how many parts: any of them can be made, and removed, on any system.
_NAME, _PART, _DEPTH = 1000, 255, 64
#: Bytes that are copied at once.
_PIECE: Final = 1 << 20

#: The parts of a path below the folder of the archive.
Place: TypeAlias = tuple[str, ...]
LeftOut: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much an archive may unpack to; it is measured while it is unpacked."""

    files: int = 1_000_000
    size: int = 1 << 50
    #: Times the archive's own size; what is small may be ``FREELY`` in any case.
    ratio: int = 200
    #: No name comes twice. Otherwise the last one counts, as for tar.
    once: bool = False


class _Meter:
    """Counts what has been read and written of an archive."""

    def __init__(self, archive: Path, bounds: Bounds) -> None:
        self._archive, self._files = archive, bounds.files
        self.most = min(bounds.size, max(FREELY, bounds.ratio * archive.stat().st_size))
        self._left = self.most
        self._header: int | None = HEADER

    def a_file(self) -> None:
        self._files -= 1
        if self._files < 0:
            self.refuse("has too many files")

    def bytes(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            self.too_large()

    def begin(self, *, header: bool) -> None:
        """What is read from now on says something of a file, or is its content."""
        self._header = HEADER if header else None

    def read(self, count: int) -> None:
        if self._header is not None:
            self._header -= count
            if self._header < 0:
                self.refuse(f"says more than {HEADER:,} bytes of one file, as of its name")

    def name(self, place: Place) -> None:
        """Refuse one that cannot be made everywhere."""
        sizes = [len(os.fsencode(part)) for part in place]
        size = sum(sizes) + len(sizes) - 1
        if size > _NAME or max(sizes) > _PART or len(sizes) > _DEPTH:
            beginning = "/".join(place)[:40]
            self.refuse(
                f"has a name of {size:,} bytes and {len(sizes):,} parts, {beginning!a}…, where a name has "
                f"at most {_NAME:,} bytes and {_DEPTH} parts, and each part {_PART} bytes"
            )
        if any("\0" in part for part in place):
            self.refuse(f"has a name with a zero byte, {'/'.join(place)[:40]!a}")

    def too_large(self) -> NoReturn:
        raise UsageError(
            f"{self._archive} unpacks to more than {self.most / 1e6:,.0f} MB, so it was not unpacked to its "
            "end; make it smaller, or unpack it by hand if you trust it"
        )

    def refuse(self, why: str) -> NoReturn:
        raise UsageError(f"{self._archive} {why}, so it was not unpacked to its end")


class _Measured(io.RawIOBase):
    """An unpacked archive that ends with an error where it has become too long."""

    def __init__(self, inner: IO[bytes], meter: _Meter) -> None:
        self._inner, self._meter = inner, meter
        # Headers and the rest of blocks, up to as much again.
        self._most = 2 * meter.most

    def read(self, size: int = -1, /) -> bytes:
        if size < 0 or self._inner.tell() + size > self._most:
            self._meter.too_large()
        self._meter.read(size)
        return self._inner.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        if whence != 0 or offset > self._most:
            self._meter.too_large()
        return self._inner.seek(offset)

    def tell(self) -> int:
        return self._inner.tell()


def unpack(archive: Path, into: Path, left_out: LeftOut, *, bounds: Bounds = Bounds()) -> None:
    """Unpack a tar archive, compressed or not, to a folder that does not exist yet.

    A link to a file of the archive becomes a copy of it. Raises UsageError when the archive is damaged, or
    unpacks to more than ``bounds``.
    """
    into.mkdir(parents=True)
    meter = _Meter(archive, bounds)
    links: dict[Place, _Link] = {}
    try:
        with _opened(archive) as inner, tarfile.open(fileobj=_Measured(inner, meter), mode="r:") as tar:
            for member, place in _members(tar, meter, left_out, once=bounds.once):
                path = into.joinpath(*place)
                if member.isdir():
                    path.mkdir(parents=True, exist_ok=True)
                elif member.isreg():
                    links.pop(place, None)
                    _write(tar, member, path, meter)
                else:
                    links[place] = _Link.of(member, place)
        _copy_links(links, into, left_out, meter)
    except RecursionError:  # headers about headers about headers
        meter.refuse("is nested too deeply")
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        name = Path(str(error.filename)).relative_to(into).as_posix()
        meter.refuse(f"has {name[:_PART]!a} as a file and as a folder")
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, ValueError) as error:
        raise UsageError(f"{archive} is no sound archive: {error}") from error


def _members(
    tar: tarfile.TarFile, meter: _Meter, left_out: LeftOut, *, once: bool
) -> Iterator[tuple[tarfile.TarInfo, Place]]:
    """Files, folders and links that stay inside, each with its place."""
    seen = set[Place]()
    while (member := tar.next()) is not None:
        meter.begin(header=False)
        meter.a_file()
        place = inside(member.name, left_out)
        if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
            left_out(f"{member.name}, which is neither file nor folder")
        elif place:
            meter.name(place)
            if once and not member.isdir():
                if place in seen:
                    meter.refuse(f"has {member.name!a} twice")
                seen.add(place)
            yield member, place
        # It keeps them all otherwise.
        tar.members.clear()  # type: ignore[attr-defined]
        meter.begin(header=True)


def _opened(archive: Path) -> IO[bytes]:
    with archive.open("rb") as file:
        begin = file.read(6)
    if begin.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.open(archive))
    if begin.startswith(b"BZh"):
        return cast("IO[bytes]", bz2.open(archive))
    if begin.startswith(b"\xfd7zXZ\x00"):
        return cast("IO[bytes]", lzma.open(archive))
    return archive.open("rb")


def inside(name: str, left_out: LeftOut | None = None) -> Place:
    """The parts of a path that stays below its folder; empty for the folder itself and for other paths."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        if left_out is None:
            raise UsageError(f"{name!r} leads out of its folder")
        left_out(f"{name}, which leads out of the archive")
        return ()
    return path.parts


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path, meter: _Meter) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = tar.extractfile(member)
    if content is None:  # only links and devices have none
        return
    with content, path.open("wb") as file:
        while piece := content.read(_PIECE):
            meter.bytes(len(piece))
            file.write(piece)
    path.chmod(0o755 if member.mode & 0o100 else 0o644)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Link:
    #: As the archive says it.
    link_name: str
    #: None for out of the archive.
    target: Place | None

    @classmethod
    def of(cls, link: tarfile.TarInfo, place: Place) -> Self:
        link_name = link.linkname[: _NAME + 1]
        below = "" if link.islnk() else posixpath.join("", *place[:-1])
        target = posixpath.normpath(posixpath.join(below, link_name))
        parts = PurePosixPath(target).parts
        is_out = target.startswith("/") or ".." in parts
        return cls(link_name=link_name, target=None if is_out else parts)


def _copy_links(links: Mapping[Place, _Link], into: Path, left_out: LeftOut, meter: _Meter) -> None:
    """Copy the file that each link leads to in the end, as links may lead to links."""
    ends: dict[Place, Place | None] = {}
    for place, link in links.items():
        end = _end(place, links, ends)
        if end is None or not into.joinpath(*end).is_file():
            left_out(f"{'/'.join(place)}, a link to {link.link_name}, which is no file of the archive")
            continue
        source, path = into.joinpath(*end), into.joinpath(*place)
        path.parent.mkdir(parents=True, exist_ok=True)
        meter.bytes(source.stat().st_size)
        path.unlink(missing_ok=True)
        shutil.copy(source, path)


def _end(place: Place, links: Mapping[Place, _Link], ends: dict[Place, Place | None]) -> Place | None:
    """Where a chain of links ends, each of which is followed once; None for nowhere."""
    chain: list[Place] = []
    at: Place | None = place
    while at is not None and at in links and at not in ends:
        chain.append(at)
        ends[at] = None  # until it is known: what comes back here leads nowhere
        at = links[at].target
    found = None if at is None else ends.get(at, at)
    ends.update(dict.fromkeys(chain, found))
    return found
