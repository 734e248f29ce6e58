"""Brings what trials have left behind to a folder: models, other output.

Rule 1: what stands under its own name is whole, also after a power failure. Until then it grows in a hidden
folder beside it, where a download that was interrupted goes on, unless what is to be brought is another by
now.
Rule 2: an archive is a stranger's. Of it only folders and regular files are made, all below one new folder;
what would lead elsewhere is left out and named. How much it may become is measured on the way.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import posixpath
import shutil
import tarfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final, NoReturn, cast

from trialjob.errors import BackendUnavailable, UsageError
from trialjob.files import DISK, Disk
from trialjob.model.ids import JobName
from trialjob.orchestrator.ports import ArtifactSource, Kept, Part

#: Linux writes another text there each time that the machine starts.
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
#: Told the file, and how many of its bytes are here of how many.
Progress = Callable[[str, int, int], None]


def _silent(_file: str, _here: int, _whole: int) -> None:
    pass


def fetch(
    source: ArtifactSource,
    job: JobName,
    part: Part,
    into: Path,
    *,
    progress: Progress = _silent,
    left_out: Callable[[str], None] = lambda _what: None,
    disk: Disk = DISK,
) -> Path | None:
    """The folder below ``into`` with a part of what a job left behind; None when it left none.

    ``left_out`` is told what of an archive was not unpacked, and why. Raises UsageError when it cannot be
    written or unpacked, BackendError when it cannot be read; calling again goes on where it broke off.
    """
    whole, mark = into / part.value, into / f".{part.value}.job"
    try:
        if whole.is_dir() and _read(mark) == job:
            return whole
        kept = source.kept(job, part)
        if not kept:
            return None
        growing = _growing(into, job, part, kept)
        tree = growing / "tree"
        if kept[0].archive:
            archive = growing / "archive"
            _bring(source, job, part, kept[0], archive, progress)
            shutil.rmtree(tree, ignore_errors=True)
            unpack(archive, tree, left_out)
        else:
            for each in kept:
                _bring(source, job, part, each, tree.joinpath(*_inside(each.path)), progress)
        mark.unlink(missing_ok=True)
        shutil.rmtree(whole, ignore_errors=True)
        disk.sync_below(tree)
        tree.replace(whole)
        disk.sync_names(into)
        mark.write_text(job, encoding="utf-8")
        shutil.rmtree(growing, ignore_errors=True)
    except OSError as error:
        raise UsageError(f"cannot write {error.filename or into}: {error.strerror or error}") from error
    return whole


def _read(mark: Path) -> str:
    return mark.read_text(encoding="utf-8") if mark.exists() else ""


def _growing(into: Path, job: JobName, part: Part, kept: Sequence[Kept]) -> Path:
    """Where it grows; what has grown of another version, or before a power failure, is removed."""
    # Of what was not synced by then the size may be there without the content.
    boot = _BOOT.read_text(encoding="utf-8") if _BOOT.exists() else ""
    version = hashlib.sha256(f"{boot}{kept!r}".encode()).hexdigest()[:16]
    growing = into / f".{job}.{part.value}.{version}"
    for other in into.glob(f".{job}.{part.value}*"):
        if other != growing:
            shutil.rmtree(other, ignore_errors=True)
    return growing


def _bring(  # noqa: PLR0917 - what, from where, to where
    source: ArtifactSource, job: JobName, part: Part, kept: Kept, path: Path, progress: Progress
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    here = path.stat().st_size if path.exists() else 0
    if here > kept.size:
        path.unlink()
        here = 0
    with path.open("ab") as file:
        progress(kept.path, here, kept.size)
        if here < kept.size:
            for piece in source.read(job, part, kept.path, here):
                file.write(piece)
                here += len(piece)
                progress(kept.path, here, kept.size)
    if here != kept.size:
        raise BackendUnavailable(
            f"of {kept.path}, {kept.size} bytes long, only {here} came; run the same again to go on"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much an archive may unpack to; it is measured while it is unpacked."""

    files: int = 1_000_000
    size: int = 1 << 50
    #: Times the archive's own size; what is small may be ``FREELY`` in any case.
    ratio: int = 200


#: Bytes that any archive may unpack to, however well it was compressed.
FREELY: Final = 1 << 30


class _Meter:
    """Counts what has been written of an archive."""

    def __init__(self, archive: Path, bounds: Bounds) -> None:
        self._archive, self._files = archive, bounds.files
        self.most = min(bounds.size, max(FREELY, bounds.ratio * archive.stat().st_size))
        self._left = self.most

    def a_file(self) -> None:
        self._files -= 1
        if self._files < 0:
            raise UsageError(f"{self._archive} has too many files, so it was not unpacked to its end")

    def bytes(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            self.too_large()

    def too_large(self) -> NoReturn:
        raise UsageError(
            f"{self._archive} unpacks to more than {self.most / 1e6:,.0f} MB, so it was not unpacked to its "
            "end; make it smaller, or unpack it by hand if you trust it"
        )


class _Measured(io.RawIOBase):
    """An unpacked archive that ends with an error where it has become too long."""

    def __init__(self, inner: IO[bytes], meter: _Meter) -> None:
        self._inner, self._meter = inner, meter
        # Headers and the rest of blocks, up to as much again.
        self._most = 2 * meter.most

    def read(self, size: int = -1, /) -> bytes:
        if size < 0 or self._inner.tell() + size > self._most:
            self._meter.too_large()
        return self._inner.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        if whence != 0 or offset > self._most:
            self._meter.too_large()
        return self._inner.seek(offset)

    def tell(self) -> int:
        return self._inner.tell()


#: Bytes that are copied at once.
_PIECE: Final = 1 << 20


def unpack(archive: Path, into: Path, left_out: Callable[[str], None], *, bounds: Bounds = Bounds()) -> None:
    """Unpack a tar archive, compressed or not, to a folder that does not exist yet.

    A link to a file of the archive becomes a copy of it. Raises UsageError when the archive is damaged, or
    unpacks to more than ``bounds``.
    """
    into.mkdir(parents=True)
    links: list[tarfile.TarInfo] = []
    meter = _Meter(archive, bounds)
    try:
        with _opened(archive) as inner, tarfile.open(fileobj=_Measured(inner, meter), mode="r:") as tar:
            for member in tar:
                meter.a_file()
                if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
                    left_out(f"{member.name}, which is neither file nor folder")
                elif not _inside(member.name, left_out):
                    continue
                elif member.isreg():
                    _write(tar, member, into.joinpath(*_inside(member.name)), meter)
                elif member.isdir():
                    into.joinpath(*_inside(member.name)).mkdir(parents=True, exist_ok=True)
                else:
                    links.append(member)
                # It keeps them all otherwise.
                tar.members.clear()  # type: ignore[attr-defined]
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise UsageError(f"{archive} is no sound archive: {error}") from error
    _copy_links(links, into, left_out, meter)


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


def _inside(name: str, left_out: Callable[[str], None] | None = None) -> tuple[str, ...]:
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


def _copy_links(
    links: list[tarfile.TarInfo], into: Path, left_out: Callable[[str], None], meter: _Meter
) -> None:
    """Each pass copies the links whose targets are there by now, as links may lead to links."""
    while links:
        waiting = [link for link in links if not _copied(link, into, meter)]
        if len(waiting) == len(links):
            for link in waiting:
                left_out(f"{link.name}, a link to {link.linkname}, which is no file of the archive")
            return
        links = waiting


def _copied(link: tarfile.TarInfo, into: Path, meter: _Meter) -> bool:
    below = "" if link.islnk() else posixpath.dirname(link.name)
    target = posixpath.normpath(posixpath.join(below, link.linkname))
    parts = PurePosixPath(target).parts
    if target.startswith("/") or ".." in parts or not into.joinpath(*parts).is_file():
        return False
    path = into.joinpath(*PurePosixPath(link.name).parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    meter.bytes(into.joinpath(*parts).stat().st_size)
    shutil.copy(into.joinpath(*parts), path)
    return True
