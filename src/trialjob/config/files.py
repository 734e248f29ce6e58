"""What a check says of this machine's files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from trialjob.model.paths import nearest

#: So many names of a folder are shown.
_NAMES_SHOWN = 8
_SKIPPED_FOLDERS = {"node_modules", "__pycache__", "venv", "site-packages"}
#: So many files of a folder of code are looked at, and of each so many bytes.
_MOST_FILES = 2_000
MOST_BYTES = 1_000_000


def kind_of(path: Path) -> Literal["folder", "file", "nothing"]:
    try:
        mode = path.stat().st_mode
    except OSError:
        return "nothing"
    return "folder" if stat.S_ISDIR(mode) else "file"


def code_files(folder: Path) -> Iterator[Path | None]:
    """The files that may be the user's code; at last None, where there are too many to look at."""
    seen = 0
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _SKIPPED_FOLDERS]
        for name in names:
            seen += 1
            if seen > _MOST_FILES:
                yield None
                return
            yield Path(root, name)


def listed(folder: Path, wanted: str = "") -> str:
    try:
        names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return "nothing that can be read"
    guess = nearest(wanted, names) if wanted else ""
    more = ", …" if len(names) > _NAMES_SHOWN else ""
    names_shown = (", ".join(names[:_NAMES_SHOWN]) or "nothing") + more
    return f"{names_shown}; {guess}" if guess.startswith("did") else names_shown
