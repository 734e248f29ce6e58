"""A program that reads its values from a file, which an option names or the program itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from trialjob.config.draft.declared import Declared, Interface, called
from trialjob.config.draft.literals import literal, name_of
from trialjob.config.yaml_text import load_yaml
from trialjob.errors import TrialjobError

_READERS: Final = ("load", "loads", "safe_load", "full_load")
_CONFIG: Final = re.compile(
    r"(^|[-_])(config|cfg|conf|params|hparams|settings|hyperparameters)([-_](file|path))?$"
)


def with_values_file(folder: Path, interface: Interface) -> Interface:
    """The values of such a file as options of the program, each handed over in a file of that form."""
    for option in interface.options:
        values = _values(folder, option) if _CONFIG.search(option.name) else {}
        if values:
            form = ":yaml" if str(option.default).endswith((".yaml", ".yml")) else ""
            words = (*(option.words[:-1] or (f"--{option.name}",)), f"{{values_file{form}}}")
            found = tuple(
                Declared(name=name, default=value, type=type(value).__name__, words=words)
                for name, value in values.items()
            )
            return replace(interface, how=f"the file behind --{option.name}", options=found, others="")
    return interface


def of_read_file(folder: Path, program: str, tree: ast.Module) -> Interface | None:
    """``yaml.safe_load(open("config.yaml"))``: no trial changes it before the script takes another file."""
    if not any(name_of(node) in _READERS for node in ast.walk(tree) if isinstance(node, ast.Call)):
        return None
    for node in (each for each in ast.walk(tree) if isinstance(each, ast.Constant)):
        if isinstance(node.value, str) and (values := _values(folder, Declared(name="", default=node.value))):
            form = "" if node.value.endswith(".json") else ":yaml"
            found = tuple(
                Declared(
                    name=name, default=value, type=type(value).__name__, words=(f"{{values_file{form}}}",)
                )
                for name, value in values.items()
            )
            return Interface(
                how=f"the file {node.value}",
                options=found,
                others="",
                advice=f"{program} reads {node.value} itself, whatever a trial is given; have it take the "
                f"path as its first word: sys.argv[1] in place of {node.value!r} in line {node.lineno}",
            )
    return None


def of_named_file(folder: Path, program: str, tree: ast.Module) -> Interface | None:
    """``json.load(open(sys.argv[1]))``: the file is the first word, and one like it may lie in the folder.

    Where none does, the values are those that the program takes out of what it has read.
    """
    readers = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and name_of(node) in _READERS]
    if not readers or not any(_is_first_word(node) for node in ast.walk(tree)):
        return None
    is_json = any("json" in ast.dump(call.func) for call in readers)
    words = ("{values_file}" if is_json else "{values_file:yaml}",)
    taken = {each.name: each for each in _taken(tree)}
    how, options = f"the file that {program} reads", [*taken.values()]
    files = [path for path in sorted(folder.iterdir()) if (path.suffix == ".json") == is_json]
    alike = {
        path: (len(taken.keys() & values.keys()), bool(_CONFIG.search(path.stem)))
        for path in files
        if (values := _values(folder, called("", path.name)))
    }
    best = max(alike, key=lambda path: alike[path], default=None)
    if best is not None and any(alike[best]):
        how = f"the file {best.name}, as the program's first word"
        options = [called(name, value) for name, value in _values(folder, called("", best.name)).items()]
    return Interface(how=how, options=tuple(replace(each, words=words) for each in options), others="")


def _is_first_word(node: ast.AST) -> bool:
    match node:
        case ast.Subscript(value=value, slice=ast.Constant(value=1)):
            return name_of(value) == "argv"
        case _:
            return False


def _taken(tree: ast.Module) -> Iterator[Declared]:
    """``values["lr"]`` and ``values.get("lr", 0.1)``, of what a reader has given."""
    names = {
        name_of(node.targets[0])
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and name_of(node.value) in _READERS
    }
    seen = set[str]()
    for node in ast.walk(tree):
        key: ast.expr | None = None
        default: ast.expr | None = None
        match node:
            case ast.Subscript(value=ast.Name(id=name), slice=key, ctx=ast.Load()) if name in names:
                pass
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="get"), args=[key, *rest]) if (
                name in names
            ):
                default = rest[0] if rest else None
        if isinstance(text := literal(key), str) and text not in seen:
            seen.add(text)
            yield replace(called(text, literal(default)), required=default is None)


def _values(folder: Path, option: Declared) -> dict[str, Any]:
    """The file's values; none where there are mappings, whose names a trial's file would not have."""
    if not isinstance(option.default, str) or not option.default.endswith((".json", ".yaml", ".yml")):
        return {}
    try:
        found = load_yaml((folder / option.default).read_text("utf-8"), option.default)
    except (OSError, ValueError, TrialjobError):
        return {}
    is_flat = isinstance(found, dict) and not any(isinstance(value, dict) for value in found.values())
    return {str(name): value for name, value in found.items()} if is_flat else {}
