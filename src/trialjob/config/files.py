"""What a check says of this machine's files."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Literal

from trialjob.config.paths import nearest

#: So many names of a folder are shown.
_NAMES_SHOWN = 8


def kind_of(path: Path) -> Literal["folder", "file", "nothing"]:
    try:
        mode = path.stat().st_mode
    except OSError:
        return "nothing"
    return "folder" if stat.S_ISDIR(mode) else "file"


def listed(folder: Path, wanted: str = "") -> str:
    try:
        names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return "nothing that can be read"
    guess = nearest(wanted, names) if wanted else ""
    more = ", …" if len(names) > _NAMES_SHOWN else ""
    names_shown = (", ".join(names[:_NAMES_SHOWN]) or "nothing") + more
    return f"{names_shown}; {guess}" if guess.startswith("did") else names_shown
