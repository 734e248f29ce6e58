"""Brings what trials have left behind to a folder: models, other output.

Rule 1: what stands under its own name is whole. Until then it grows in a hidden folder beside it, where a
download that was interrupted goes on.
Rule 2: an archive is a stranger's. Of it only folders and regular files are made, all below one new folder;
what would lead elsewhere is left out and named.
"""

from __future__ import annotations

import posixpath
import shutil
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from trialjob.errors import BackendUnavailable, UsageError
from trialjob.model.ids import JobName
from trialjob.orchestrator.ports import ArtifactSource, Kept, Part

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
        growing = into / f".{job}.{part.value}"
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
        tree.replace(whole)
        mark.write_text(job, encoding="utf-8")
        shutil.rmtree(growing, ignore_errors=True)
    except OSError as error:
        raise UsageError(f"cannot write {error.filename or into}: {error.strerror or error}") from error
    return whole


def _read(mark: Path) -> str:
    return mark.read_text(encoding="utf-8") if mark.exists() else ""


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


def unpack(archive: Path, into: Path, left_out: Callable[[str], None]) -> None:
    """Unpack a tar archive, compressed or not, to a folder that does not exist yet.

    A link to a file of the archive becomes a copy of it. Raises UsageError when the archive is damaged.
    """
    into.mkdir(parents=True)
    links: list[tarfile.TarInfo] = []
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
                    left_out(f"{member.name}, which is neither file nor folder")
                elif not _inside(member.name, left_out):
                    continue
                elif member.isreg():
                    _write(tar, member, into.joinpath(*_inside(member.name)))
                elif member.isdir():
                    into.joinpath(*_inside(member.name)).mkdir(parents=True, exist_ok=True)
                else:
                    links.append(member)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise UsageError(f"{archive} is no sound archive: {error}") from error
    _copy_links(links, into, left_out)


def _inside(name: str, left_out: Callable[[str], None] | None = None) -> tuple[str, ...]:
    """The parts of a path that stays below its folder; empty for the folder itself and for other paths."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        if left_out is None:
            raise UsageError(f"{name!r} leads out of its folder")
        left_out(f"{name}, which leads out of the archive")
        return ()
    return path.parts


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = tar.extractfile(member)
    if content is None:  # only links and devices have none
        return
    with content, path.open("wb") as file:
        shutil.copyfileobj(content, file)
    path.chmod(0o755 if member.mode & 0o100 else 0o644)


def _copy_links(links: list[tarfile.TarInfo], into: Path, left_out: Callable[[str], None]) -> None:
    """Each pass copies the links whose targets are there by now, as links may lead to links."""
    while links:
        waiting = [link for link in links if not _copied(link, into)]
        if len(waiting) == len(links):
            for link in waiting:
                left_out(f"{link.name}, a link to {link.linkname}, which is no file of the archive")
            return
        links = waiting


def _copied(link: tarfile.TarInfo, into: Path) -> bool:
    below = "" if link.islnk() else posixpath.dirname(link.name)
    target = posixpath.normpath(posixpath.join(below, link.linkname))
    parts = PurePosixPath(target).parts
    if target.startswith("/") or ".." in parts or not into.joinpath(*parts).is_file():
        return False
    path = into.joinpath(*PurePosixPath(link.name).parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(into.joinpath(*parts), path)
    return True
