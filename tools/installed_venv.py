"""A virtual environment as an install line makes it, of what is installed here: no network, no copies.

Rule: it has what the line asks for, trialjob with these extras and all that they need, and nothing else; what
is not here already cannot be had.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import trialjob

_LINE = re.compile(r"pip install ([^`\n]+)")
_WORD = re.compile(r"([\w.-]+)(?:\[([\w,-]+)\])?")
#: What is to be there: a distribution and its extras; of "." in a folder that of the folder.
Wanted = tuple[str, frozenset[str]]


def asked_for(text: str) -> list[frozenset[Wanted]]:
    """What each install line in a text asks for; ``.`` is trialjob."""
    found = []
    for line in _LINE.findall(text):
        words = [word for word in shlex.split(line.rstrip(" :;,.)")) if not word.startswith("-")]
        parts = [match for word in words or ["."] if (match := _WORD.fullmatch(word))]
        found.append(
            frozenset(
                ("trialjob" if part[1] == "." else part[1], frozenset((part[2] or "").split(",")) - {""})
                for part in parts
            )
        )
    return found


def make(folder: Path, wanted: Iterable[Wanted]) -> Path:
    """The folder of the programs of a new environment."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    site = next((folder / "lib").glob("python*/site-packages"))
    (site / "trialjob").symlink_to(Path(trialjob.__file__).parent)
    for each in _closure(wanted):
        for top in {
            path.parts[0]
            for path in each.files or ()
            if path.parts and path.parts[0] not in ("..", "__pycache__")
        }:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(each.locate_file(top))))
    program = folder / "bin" / "trialjob"
    program.write_text(
        f"#!{folder}/bin/python\nimport sys\nfrom trialjob.apps.cli.main import main\nsys.exit(main())\n"
    )
    program.chmod(0o755)
    return folder / "bin"


def _closure(wanted: Iterable[Wanted]) -> Iterator[Distribution]:
    """Every distribution that is needed, each once; trialjob itself is where its source is."""
    waiting, seen = [*wanted], set[Wanted]()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue  # of another machine: its metadata has a marker that ours does not know
        if name != "trialjob":
            yield found
        for text in found.requires or ():
            need = Requirement(text)
            if need.marker is None or any(need.marker.evaluate({"extra": each}) for each in extras or {""}):
                waiting.append((canonicalize_name(need.name), frozenset(need.extras)))
