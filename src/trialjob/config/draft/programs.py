"""Which file of a folder trains."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from trialjob.config.files import code_files
from trialjob.config.script_options import parsed

_NAMED: Final = re.compile(
    r"(^|[_-])(train|fit|finetune|fine_tune|main|run|sweep)([_-]|$)|train", re.IGNORECASE
)
_NO_PROGRAM: Final = re.compile(r"^(test_|conftest|setup$|__init__$|utils?$|helpers?$|config$)|_test$")
_RUNS: Final = re.compile(
    r"__name__\s*==\s*[\"']__main__[\"']|add_argument|@click\.|hydra\.main|LightningCLI|\.fit\(|train\("
)
_MOST_BYTES: Final = 1_000_000
_DEPTH: Final = 2


def programs(folder: Path) -> list[str]:
    """The files that look like a program that trains, the likeliest first, as paths in the folder.

    Where no text looks like one, names decide, or that there is one file only.
    """
    found: list[tuple[tuple[bool, bool, int, str], str]] = []
    plain: list[tuple[tuple[bool, bool, int, str], str]] = []
    for path in code_files(folder):
        if path is None:
            break
        inner = path.relative_to(folder)
        if len(inner.parts) > _DEPTH or path.suffix not in (".py", ".sh") or _NO_PROGRAM.search(path.stem):
            continue
        text = path.read_text("utf-8", "replace")[:_MOST_BYTES]
        runs = path.suffix != ".py" or bool(_RUNS.search(text))
        named = bool(re.match("train", path.stem, re.IGNORECASE)), bool(_NAMED.search(path.stem))
        rank = (not named[0], not named[1], path.suffix != ".py", len(inner.parts))
        place = (rank[0], rank[1], rank[2] + 2 * rank[3], inner.as_posix()), inner.as_posix()
        (found if runs else plain).append(place)
    if not found:
        found = [each for each in plain if not each[0][1]] or (plain if len(plain) == 1 else [])
    return [name for _, name in sorted(found)]


def hindrances(folder: Path, program: str) -> Iterator[str]:
    """What keeps Python from running ``program`` as a file, and what to do."""
    if not program.endswith(".py"):
        return
    if (tree := parsed(folder / program)) is None:
        yield f"{program} cannot be read as Python: python -m py_compile {program} says which line to correct"
    elif any(isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(tree)):
        module = program.removesuffix(".py").replace("/", ".")
        yield (
            f"{program} imports from its own package by a dot, which Python takes of a module only; write a "
            f"file run_module.py with import runpy; runpy.run_module({module!r}, run_name='__main__', "
            "alter_sys=True) in the folder, and entry_point: run_module.py"
        )
