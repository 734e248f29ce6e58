"""A program that reads its values from a file, which an option names or the program itself."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from trialjob.config.draft.declared import Declared, Interface
from trialjob.config.draft.literals import name_of
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
