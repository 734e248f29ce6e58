"""Copies the checkpoints of one trial for another to go on from.

Rule: the folder is there as a whole or not at all, so one that is there need not be copied again. That holds
after a power failure, too: otherwise a trial would go on from half a checkpoint.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from trialjob.files import DISK, Disk


def copy_checkpoints(source: Path, target: Path, *, disk: Disk = DISK) -> None:
    """Copy all of ``source``, which may be written to meanwhile; raises OSError."""
    fresh = target.with_name(f".{target.name}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    _copy(source, fresh)
    disk.sync_below(fresh)
    fresh.rename(target)
    disk.sync_names(target.parent)


def _copy(source: Path, target: Path) -> None:
    # What vanishes while it is copied was a temporary file, or has been replaced.
    with suppress(FileNotFoundError):
        for entry in sorted(source.iterdir()):
            place = target / entry.name
            if entry.is_dir() and not entry.is_symlink():
                place.mkdir()
                _copy(entry, place)
            else:
                with suppress(FileNotFoundError):
                    shutil.copy2(entry, place, follow_symlinks=False)
