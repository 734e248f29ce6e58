"""Commands for a person to type: each can be pasted as it is printed."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from trialjob.reporting.terminal import clean


def command(*words: str, store: str | Path | None) -> str:
    """``trialjob VERB NAME …``, with the store where the person, or the message itself, has named one."""
    where = ["--store", str(store)] if store else []
    return f"{program()} {clean(shlex.join([*words, *where]))}"


def program() -> str:
    """What starts this program from here: its name where the shell finds it, else the path of it."""
    own = Path(sys.argv[0])
    if own.name == "__main__.py" and own.parent.name == "trialjob":
        return f"{shlex.quote(sys.executable)} -m trialjob"
    if own.stem != "trialjob":
        return "trialjob"  # some other program uses the package
    found = shutil.which("trialjob")
    return "trialjob" if found is not None and _same(found, own) else shlex.quote(sys.argv[0])


def _same(found: str, own: Path) -> bool:
    try:
        return own.samefile(found)
    except OSError:
        return False
