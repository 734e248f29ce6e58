"""``trialjob schema``: what an editor completes and explains a spec by."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="The file to be written.")
def schema(*, output: str | None) -> int:
    """Print the JSON schema of a spec, with the kinds of every package that is installed.

    With -o FILE it is written, and the line is printed that goes to the top of a spec.
    """
    from pathlib import Path  # noqa: PLC0415 - the help does without

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
    import json  # noqa: PLC0415 - the help does without

    from trialjob.config.schema import spec_schema  # noqa: PLC0415 - as above

    return json.dumps(spec_schema(), ensure_ascii=False, indent=1) + "\n"


def write_schema(output: Path) -> None:
    """Write the schema, and the folder that it is in. Raises UsageError."""
    from trialjob.errors import UsageError  # noqa: PLC0415 - the help does without

    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(schema_text(), encoding="utf-8")
    except OSError as error:
        why = error.strerror or error
        raise UsageError(f"{output} cannot be written: {why}; name another place with -o") from error
