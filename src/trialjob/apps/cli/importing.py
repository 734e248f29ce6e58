"""``trialjob import``: a spec from another product's file."""

from __future__ import annotations

from pathlib import Path

import click

from trialjob.apps.cli.first_spec import check_free, write_spec
from trialjob.config.parse import parse, read
from trialjob.errors import SpecError, UsageError
from trialjob.migration import wandb
from trialjob.migration.files import KNOWN, text, translated
from trialjob.migration.translation import Translation
from trialjob.reporting.typed_commands import command


def import_file(file: str, output: str | None) -> int:
    """Write the spec, and say what differs and what is still to be done."""
    source = Path(file)
    spec = Path(output) if output else source.parent / "sweep.yaml"
    check_free(spec)
    found = _translated(source)
    write_spec(spec, text(found, source.name))
    click.echo(f"wrote {spec} from {source.name} of {found.product}")
    for title, notes in (("no counterpart", found.left_out), ("differs", found.changed)):
        if notes:
            click.echo(f"{title}:")
            for note in notes:
                click.echo(f"  {note}")
    _say_what_is_open(spec)
    return 0


def _translated(source: Path) -> Translation:
    """What becomes of the file. Raises UsageError, with its name."""
    try:
        document = read(source, meant=KNOWN)
        if wandb.is_sweep(document):
            document = read(source, words=wandb.WORDS)
        return translated(document)
    except SpecError as error:
        raise UsageError("\n".join(f"{source}: {each}" for each in error.problems)) from error
    except UsageError as error:
        raise UsageError(f"{source}: {error}") from error


def _say_what_is_open(spec: Path) -> None:
    try:
        parse(read(spec), source=str(spec), base=spec.parent)
    except SpecError as error:
        click.echo("still to be said or corrected:")
        for problem in error.problems:
            click.echo(f"  {problem}")
    click.echo(f"next: {command('plan', str(spec), store=None)}")
