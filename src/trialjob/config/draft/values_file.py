"""A program that reads its values from a file that an option names."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from trialjob.config.draft.declared import Declared, Interface
from trialjob.config.yaml_text import load_yaml
from trialjob.errors import TrialjobError

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
