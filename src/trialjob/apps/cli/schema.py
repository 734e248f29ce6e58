"""``trialjob schema``: what an editor completes and explains a spec by."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from trialjob.apps.cli.written_files import unwritable, write_file
from trialjob.config.schema import SCHEMA_FILE, spec_schema


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


def write_schema(path: Path) -> None:
    """Write the schema; the folder that it has beside a spec is made. Raises UsageError."""
    try:
        if path.match(SCHEMA_FILE):
            path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error
    write_file(path, schema_text())
