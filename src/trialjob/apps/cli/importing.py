"""``trialjob import``: a spec from another product's file."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from trialjob.apps.cli.schema import write_schema
from trialjob.config.parse import parse, read
from trialjob.config.schema import SCHEMA_FILE
from trialjob.errors import SpecError, UsageError
from trialjob.migration.files import text, translated


def import_file(file: str, output: str | None) -> int:
    """Write the spec, and say what differs and what is still to be done."""
    source = Path(file)
    spec = Path(output) if output else source.parent / "sweep.yaml"
    if os.path.lexists(spec):
        raise UsageError(f"{spec} is there already, and is not overwritten\n  → name another place with -o")
    found = translated(read(source))
    try:
        with spec.open("x", encoding="utf-8") as written:
            written.write(text(found, source.name))
    except OSError as error:
        raise UsageError(
            f"{spec} cannot be written: {error.strerror or error}\n  → name another place with -o"
        ) from error
    write_schema(spec.parent / SCHEMA_FILE)
    click.echo(f"wrote {spec} from {source.name} of {found.product}")
    for title, notes in (("no counterpart", found.left_out), ("differs", found.changed)):
        if notes:
            click.echo(f"{title}:")
            for note in notes:
                click.echo(f"  {note}")
    _say_what_is_open(spec)
    return 0


def _say_what_is_open(spec: Path) -> None:
    try:
        parse(read(spec), source=str(spec), base=spec.parent)
    except SpecError as error:
        click.echo("still to be said or corrected:")
        for problem in error.problems:
            click.echo(f"  {problem}")
    click.echo(f"next: trialjob plan {shlex.quote(str(spec))}")
