"""Folders and files that only their owner may read.

Rule: what is not ours is left as it is, and so is a folder that holds other things than experiments: it is
somebody's home or project, and not a store.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from trialjob.files import DISK, Disk

#: The modes of what is made.
FOLDER, FILE = 0o700, 0o600
_OTHERS = 0o077


def make_private(folder: Path, *, root: Path | None = None, disk: Disk = DISK) -> None:
    """Make a folder, and ``root`` that it lies in, for the owner alone; tighten all in it that was not so.

    What is made is durable. What is in a folder that is private already was tightened when the folder was.
    """
    for path in (root, folder):
        if path is None:
            continue
        new = not path.is_dir()
        disk.make_folder(path, mode=FOLDER)
        if not _is_loose(path):
            continue
        if path is folder:
            tighten_below(path)
        if new or path is folder or _holds_only_experiments(path):
            tighten(path)


def tighten(path: Path) -> None:
    """Take from others what they may do with a file or folder of ours."""
    with suppress(OSError):
        facts = path.lstat()
        if _is_ours(facts) and facts.st_mode & _OTHERS and not stat.S_ISLNK(facts.st_mode):
            path.chmod(stat.S_IMODE(facts.st_mode) & ~_OTHERS)


def tighten_below(folder: Path) -> None:
    """The same for all that is in a folder; no link is followed."""
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            tighten(Path(parent, name))


def private_opener(path: str, flags: int) -> int:
    """For ``open``: what it makes is its owner's alone."""
    return os.open(path, flags, FILE)


def _is_loose(path: Path) -> bool:
    facts = path.lstat()
    return _is_ours(facts) and bool(facts.st_mode & _OTHERS)


def _holds_only_experiments(root: Path) -> bool:
    with suppress(OSError), os.scandir(root) as entries:
        return all(
            entry.is_dir(follow_symlinks=False)
            and any(Path(entry.path, name).exists() for name in ("journal.jsonl", "bundles", "jobs"))
            for entry in entries
        )
    return False


def _is_ours(facts: os.stat_result) -> bool:
    """Whether we own it; on Windows, where modes mean nothing, there is nothing to tighten."""
    return hasattr(os, "geteuid") and facts.st_uid == os.geteuid()
