"""``trialjob schema``: what an editor completes and explains a spec by."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from trialjob.config.schema import spec_schema
from trialjob.errors import UsageError


def print_schema(*, output: str | None) -> int:
    """Print the JSON schema of a spec, with the kinds of every package that is installed."""
    if output is None:
        click.echo(schema_text(), nl=False)
        return 0
    write_schema(Path(output))
    click.echo(f"{output} written; put this at the top of a spec in this folder:")
    place = os.path.relpath(output).replace(os.sep, "/")
    click.echo(f"# yaml-language-server: $schema={place}")
    return 0


def schema_text() -> str:
    """The schema, as a file has it."""
    return json.dumps(spec_schema(), ensure_ascii=False, indent=1) + "\n"


def write_schema(output: Path) -> None:
    """Write the schema, and the folder that it is in. Raises UsageError."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(schema_text(), encoding="utf-8")
    except OSError as error:
        why = error.strerror or error
        raise UsageError(f"{output} cannot be written: {why}; name another place with -o") from error
