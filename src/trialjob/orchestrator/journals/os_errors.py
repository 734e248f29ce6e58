"""What an error of the system about a file of a store means, and what to do about it."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Final

_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_OURS: Final = {errno.EACCES, errno.EPERM, errno.EROFS}
#: Something is there, and it is not what trialjob put there; or it is, and was damaged.
_ANOTHER: Final = {errno.EISDIR, errno.ELOOP, errno.EEXIST, errno.EINVAL, None}


def trouble(error: OSError, path: Path, *, doing: str) -> str:
    """``error`` about ``path`` or what is below it, in words, with what to do."""
    place = error.filename if isinstance(error.filename, str) else path
    is_new = doing == "written" and error.filename2 is None
    if error.errno == errno.ENOENT and is_new and Path(place).parent.is_dir():
        # Nothing is missing: such a file system, of which /proc is one, makes no file or folder for any user.
        return (
            f"{place} cannot be {doing}: nothing can be made in {Path(place).parent}; choose another --store"
        )
    return f"{place} cannot be {doing}: {error.strerror or error}; {_remedy(error)}"


def _remedy(error: OSError) -> str:
    if error.errno in _FULL:
        return "nothing was lost, make room and resume, or start anew in another --store"
    if error.errno in _NOT_OURS:
        return "nothing was lost, have its owner let you in or choose another --store"
    if error.errno == errno.ENOENT:
        return "restore it from a backup"
    if error.errno == errno.ENOTDIR:
        return "a folder is meant: check --store, or move away the file that is in its place"
    if error.errno in _ANOTHER:
        return "move away what is there and restore the file from a backup; locks are made anew"
    return "nothing was lost, look at the disk and resume, or start anew in another --store"
