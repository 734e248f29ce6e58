"""Where code says ``/opt/ml/…`` itself.

Rule: only what is written out counts, and not the default of a variable that every job has
(``os.environ.get``). What cannot be read for sure is taken to say it.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

TREE = "/opt/ml"
#: Where a script finds a trial's tree, whatever its place.
VARIABLE = "SAGEMAKER_BASE_DIR"
_NAME = TREE.encode()
#: Other files may have paths in them that a script reads: its shell, its configuration.
_ENDINGS = frozenset(("", ".sh", ".bash", ".yaml", ".yml", ".json", ".toml", ".cfg", ".ini", ".conf", ".env"))
_MOST_BYTES = 1_000_000
_MOST_FILES = 5_000


def is_said(code: Path, texts: Iterable[str]) -> bool:
    """Whether something below ``code``, or one of the texts that a script is given, names the tree."""
    return any(_is_path(text) for text in texts) or any(_says(path) for path in _files(code))


def literals(tree: ast.Module) -> Iterator[tuple[str, str, int]]:
    """The texts that are written out, with the option whose default each is, and its line."""
    defaults: dict[ast.AST, str] = {}
    unused: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            unused.add(node.value)  # a docstring
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in ("get", "getenv", "setdefault"):
            unused |= {inner for word in node.args[1:] for inner in ast.walk(word)}
        for word in node.keywords if called in ("add_argument", "option") else ():
            if word.arg == "default":
                defaults[word.value] = _longest_option(node)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in unused:
            yield defaults.get(node, ""), node.value, node.lineno


def _longest_option(call: ast.Call) -> str:
    words = [word.value for word in call.args if isinstance(word, ast.Constant)]
    return max(
        (word for word in words if isinstance(word, str) and word.startswith("-")), key=len, default=""
    )


def _is_path(text: str) -> bool:
    return text == TREE or f"{TREE}/" in text


def _files(folder: Path) -> Iterator[Path]:
    seen = 0
    for home, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            seen += 1
            if seen > _MOST_FILES:
                return
            if name.endswith(".py") or Path(name).suffix in _ENDINGS:
                yield Path(home) / name


def _says(path: Path) -> bool:
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return False
        data = path.read_bytes()
    except OSError:
        return False
    if _NAME not in data:
        return False
    if path.suffix != ".py":
        return True
    try:
        return any(_is_path(text) for _, text, _ in literals(ast.parse(data)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return True
