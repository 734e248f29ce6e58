"""Brings what trials have left behind to a folder: models, other output.

Rule: what stands under its own name is whole, also after a power failure. Until then it grows in a hidden
folder beside it, where a download that was interrupted goes on, unless what is to be brought is another by
now. What is there already is brought again when it is another's: an experiment that was removed may have had
the same name, and so its jobs.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from trialjob.errors import BackendUnavailable, UsageError
from trialjob.files import DISK, Disk
from trialjob.model.ids import JobName
from trialjob.orchestrator.ports import ArtifactSource, Kept, Part
from trialjob.reporting.unpacking import inside, unpack

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
        kept = source.kept(job, part)
        if not kept:
            return None
        brought = f"{job} {_digest(repr(kept))}"
        if whole.is_dir() and _read(mark) == brought:
            return whole
        into.mkdir(parents=True, exist_ok=True)
        growing = _growing(into, job, part, kept)
        tree = growing / "tree"
        if kept[0].archive:
            archive = growing / "archive"
            _bring(source, job, part, kept[0], archive, progress)
            shutil.rmtree(tree, ignore_errors=True)
            unpack(archive, tree, left_out)
        else:
            for each in kept:
                _bring(source, job, part, each, tree.joinpath(*inside(each.path)), progress)
        disk.sync_below(tree)
        mark.unlink(missing_ok=True)
        shutil.rmtree(whole, ignore_errors=True)
        tree.replace(whole)
        disk.sync_names(into)
        mark.write_text(brought, encoding="utf-8")
        shutil.rmtree(growing, ignore_errors=True)
    except OSError as error:
        raise unwritable(error, into) from error
    return whole


def unwritable(error: OSError, into: Path) -> UsageError:
    """The error for what cannot be written below ``into``, with the file that stands in the way, if any."""
    where, why = error.filename2 or error.filename or into, error.strerror or error
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    remedy = "make room and do it again: what has come is kept" if full else "choose another folder"
    return UsageError(f"cannot write {where}: {why}\n  → {remedy}")


def _read(mark: Path) -> str:
    return mark.read_text(encoding="utf-8") if mark.exists() else ""


def _growing(into: Path, job: JobName, part: Part, kept: Sequence[Kept]) -> Path:
    """Where it grows; what has grown of another version, or before a power failure, is removed."""
    # Of what was not synced by then the size may be there without the content.
    boot = _BOOT.read_text(encoding="utf-8") if _BOOT.exists() else ""
    growing = into / f".{job}.{part.value}.{_digest(f'{boot}{kept!r}')}"
    for other in into.glob(f".{job}.{part.value}*"):
        if other != growing:
            shutil.rmtree(other, ignore_errors=True)
    return growing


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


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
