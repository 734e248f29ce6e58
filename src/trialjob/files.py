"""What outlives a power failure: the content of files, and the names of files and folders.

Rule 1: content is safe when its file has been synced, and a name when the folder that it is in has been; the
one says nothing of the other. So whatever must last goes through a ``Disk``.
Rule 2: a file that is replaced is synced before it gets its name, so that no name leads to half a file.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import IO, Any, NamedTuple


class Disk(NamedTuple):
    """The disk below a folder. A method that has returned has made durable what it made."""

    #: Returns when what was written to an open file or folder is safe.
    sync: Callable[[int], None] = os.fsync

    def make_folder(self, folder: Path, *, mode: int = 0o777) -> None:
        """Make it, and what it lies in, unless it is there."""
        if folder.is_dir():
            return
        above = list(takewhile(lambda parent: not parent.is_dir(), folder.parents))
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
        for made in (*reversed(above), folder):
            self.sync_names(made.parent)

    def replace(self, written: IO[Any], path: Path, *, named: bool = True) -> None:
        """Close a written file and give it the name ``path``: a reader sees the old content or the new.

        Without ``named`` the content is durable, and its name only when the folder's names are.
        """
        written.flush()
        self.sync(written.fileno())
        written.close()  # Windows replaces no open file
        Path(written.name).replace(path)
        if named:
            self.sync_names(path.parent)

    def write(self, path: Path, data: bytes) -> None:
        """Give a file its content, at once or not at all, for its owner alone."""
        import tempfile  # noqa: PLC0415 - the supervisor of each trial does without

        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".writing-", delete=False) as file:
            try:
                file.write(data)
                self.replace(file, path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise

    def sync_names(self, folder: Path) -> None:
        """Make the names in a folder durable; Windows opens no folder, and needs none."""
        if hasattr(os, "O_DIRECTORY"):
            # Another user's folder may be one that we may write to and not read; nothing can be done there.
            with suppress(PermissionError):
                self._sync(folder)

    def sync_below(self, folder: Path) -> None:
        """Make all files in a folder and its folders durable, with their names."""
        for parent, _, names in os.walk(folder):
            for name in names:
                path = Path(parent, name)
                if path.is_file() and not path.is_symlink():
                    self._sync(path)
            self.sync_names(Path(parent))

    def _sync(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            self.sync(descriptor)
        finally:
            os.close(descriptor)


#: The disk of this machine.
DISK = Disk()
