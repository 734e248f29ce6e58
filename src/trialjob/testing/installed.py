"""A plugin's package as pip would leave it, without pip and without a network."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def install(source: Path, site: Path) -> None:
    """Put the modules of ``source`` and what its ``pyproject.toml`` says into ``site``."""
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    for module in source.glob("*.py"):
        shutil.copy(module, site / module.name)
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(metadata)
    (info / "entry_points.txt").write_text("\n".join(_entries(project["entry-points"])))


def _entries(groups: Mapping[str, Any]) -> Iterator[str]:
    for group, points in groups.items():
        yield f"[{group}]"
        yield from (f"{name} = {where}" for name, where in points.items())
