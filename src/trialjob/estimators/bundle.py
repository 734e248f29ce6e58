"""Packs a source folder into one archive, named by what is in it.

Rule: equal folders give equal bytes, wherever and whenever they are packed. So the name says whether a
bundle is there already, and a resumed experiment runs the code it began with. To outlive a power failure is
the business of the store that keeps it.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import stat
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from trialjob.errors import Problem, SpecError, StoreError
from trialjob.estimators.selection import LARGEST_FILE, Selection


def pack(
    source_dir: Path,
    destination_dir: Path,
    *,
    exclude: Sequence[Path] = (),
    left_out: Callable[[str], None] = lambda _: None,
) -> str:
    """Pack ``source_dir`` into ``<destination_dir>/<digest>.tar.gz`` and return the digest.

    An archive that is there already is kept. ``exclude`` names folders, such as the store, that are left
    out when they lie inside ``source_dir``; ``left_out`` is told of each file that is too large for code, in
    words. Raises SpecError when the folder cannot be packed, StoreError when the archive cannot be written.
    """
    source = Path(os.path.realpath(source_dir))
    if not source.is_dir():
        raise _problem(f"{source_dir} is no folder", "name the folder that holds the training code")
    skipped = {os.path.realpath(path) for path in (*exclude, destination_dir)}
    entries = list(_entries(source, _Rules(source, skipped, Selection(source, left_out))))
    try:
        destination_dir.mkdir(parents=True, exist_ok=True)
        with _new_file(destination_dir) as file:
            digest = _write(entries, file)
            file.close()  # Windows replaces no open file
            _move(Path(file.name), destination_dir / f"{digest}.tar.gz")
    except OSError as error:
        raise StoreError(f"cannot write a bundle to {destination_dir}: {error.strerror or error}") from error
    return digest


@contextlib.contextmanager
def _new_file(folder: Path) -> Iterator[IO[bytes]]:
    """A file to be moved to its place; it is removed when that fails."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".packing-", delete=False) as file:
        try:
            yield file
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _move(packed: Path, target: Path) -> None:
    """Give the finished archive its name, unless one of that name is there."""
    if target.exists():
        packed.unlink()
        return
    packed.chmod(0o644)
    packed.replace(target)


class _Hashing:
    """A file to write to that knows the digest of what went through it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        return self._file.write(data)

    def digest(self) -> str:
        return self._hash.hexdigest()[:16]


def _write(entries: Sequence[tuple[Path, tarfile.TarInfo]], file: IO[bytes]) -> str:
    """Write the archive. The digest is that of the tar, because another zlib may compress differently."""
    with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0) as zipped:
        hashing = _Hashing(cast("IO[bytes]", zipped))
        with tarfile.open(
            fileobj=cast("IO[bytes]", hashing), mode="w|", format=tarfile.PAX_FORMAT
        ) as archive:
            for path, info in entries:
                _add(archive, path, info)
        return hashing.digest()


def _add(archive: tarfile.TarFile, path: Path, info: tarfile.TarInfo) -> None:
    if not info.isreg():
        archive.addfile(info)
        return
    try:
        content = path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from error
    with content:
        # Asked again, because a size that is no longer true would damage the archive.
        info.size = os.fstat(content.fileno()).st_size
        try:
            archive.addfile(info, content)
        except OSError as error:
            if error.errno is not None:
                raise
            raise _problem(
                f"{path} changed while it was packed", "start again when nothing writes to it"
            ) from error


@dataclass(frozen=True, slots=True)
class _Rules:
    """What decides of an entry."""

    source: Path
    #: Folders that are left out, whatever they are called.
    skipped: set[str]
    selection: Selection


def _entries(folder: Path, rules: _Rules) -> Iterator[tuple[Path, tarfile.TarInfo]]:
    """What goes into the archive, in an order that depends on names alone."""
    try:
        found = sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        raise _unreadable(folder, error) from error
    for entry in found:
        path = Path(entry.path)
        is_folder = entry.is_dir(follow_symlinks=False)
        if str(path) in rules.skipped or rules.selection.ignores(path, folder=is_folder):
            continue
        info = _info(path, rules)
        if info is None:
            continue
        yield path, info
        if info.isdir():
            yield from _entries(path, rules)


def _info(path: Path, rules: _Rules) -> tarfile.TarInfo | None:
    """The header of one entry, the same for every user; None for sockets, pipes, devices and large files."""
    info = tarfile.TarInfo(path.relative_to(rules.source).as_posix())
    try:
        facts = path.lstat()
        if stat.S_ISLNK(facts.st_mode):
            linkname = _inner_link(path, rules)
            if linkname is not None:
                info.type, info.linkname, info.mode = tarfile.SYMTYPE, linkname, 0o777
                return info
            facts = path.stat()
            if not stat.S_ISREG(facts.st_mode):
                raise _problem(
                    f"{path} is a link to {path.readlink()}, which is not shipped",
                    "copy it into the folder, make it an input channel, or name it in .trialjobignore",
                )
    except OSError as error:
        raise _unreadable(path, error) from error
    if stat.S_ISDIR(facts.st_mode):
        info.type, info.mode = tarfile.DIRTYPE, 0o755
    elif stat.S_ISREG(facts.st_mode) and rules.selection.takes(path, facts.st_size):
        info.mode = 0o755 if facts.st_mode & 0o100 else 0o644
    else:
        return None
    return info


def _inner_link(path: Path, rules: _Rules) -> str | None:
    """Where a link leads, relative to its place, when that is inside what is packed; otherwise None."""
    target = Path(os.path.realpath(path))
    if not target.is_relative_to(rules.source):
        return None
    left_out = rules.selection.ignores(target, folder=target.is_dir()) or any(
        target.is_relative_to(place) for place in rules.skipped
    )
    if (left_out or _is_large(target)) and target.exists():
        return None
    return os.path.relpath(target, path.parent)


def _is_large(target: Path) -> bool:
    """Whether a file may have been left out for its size, so that a link to it would lead nowhere."""
    return target.is_file() and target.stat().st_size > LARGEST_FILE


def _unreadable(path: Path, error: OSError) -> SpecError:
    return _problem(
        f"{path} cannot be read: {error.strerror or error}",
        "make it readable, or move it out of the source folder",
    )


def _problem(message: str, remedy: str) -> SpecError:
    return SpecError(Problem(field="estimator.source_dir", message=message, remedy=remedy))
