"""A spec that is written for the user: nothing is overwritten, and its schema comes beside it."""

from __future__ import annotations

import os
from pathlib import Path

from trialjob.apps.cli.schema import write_schema
from trialjob.apps.cli.written_files import write_new_file
from trialjob.config.schema import SCHEMA_FILE
from trialjob.errors import UsageError

_ELSEWHERE = "name another place with -o"


def check_free(spec: Path) -> None:
    """Raise UsageError where there is something already."""
    if os.path.lexists(spec):
        raise UsageError(f"{spec} is there already, and is not overwritten\n  → {_ELSEWHERE}")


def write_spec(spec: Path, text: str) -> None:
    """Write a new file, and the schema that its editor reads. Raises UsageError."""
    write_new_file(spec, text)
    try:
        write_schema(spec.parent / SCHEMA_FILE)
    except UsageError:
        spec.unlink(missing_ok=True)  # or it would be in the way of the next try
        raise
