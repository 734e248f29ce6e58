"""``trialjob init``: a first spec for a folder of code, of which nothing is run."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from trialjob.apps.cli.first_spec import check_free, write_spec
from trialjob.config.draft.declared import Interface, of_arguments
from trialjob.config.draft.metrics import Metric, Metrics, metrics_of
from trialjob.config.draft.other_styles import of_other_styles
from trialjob.config.draft.programs import hindrances, programs
from trialjob.config.draft.text import Draft, name_for, text
from trialjob.config.draft.values_file import with_values_file
from trialjob.errors import UsageError
from trialjob.reporting.typed_commands import command

_TRIALS: Final = 20
_SHOWN: Final = 6


def write_first_spec(*, place: str, log: str | None, output: str | None, yes: bool) -> int:
    """Write a first spec for the code in FOLDER, and say what comes next."""
    named = Path(place)
    folder = named if named.is_dir() else named.parent
    spec = Path(output) if output else folder / "sweep.yaml"
    _check(named)
    check_free(spec)
    said = None if log is None else _read(Path(log))
    draft = _drafted(folder, spec, "" if named.is_dir() else named.name, said, yes=yes)
    write_spec(spec, text(draft))
    _say(draft, spec)
    return 0


def _check(place: Path) -> None:
    if not place.exists():
        raise _refused(
            f"{place} is neither a folder nor a file", "name the folder of your code, or the program in it"
        )


def _refused(what: str, remedy: str) -> Exception:
    return UsageError(f"{what}\n  → {remedy}")


def _read(log: Path) -> bytes:
    try:
        return log.read_bytes()
    except OSError as error:
        raise _refused(
            f"--log {log} cannot be read: {error.strerror or error}",
            "name the file with what the program printed",
        ) from error


def _drafted(folder: Path, spec: Path, program: str, log: bytes | None, *, yes: bool) -> Draft:
    program = program or _program(folder, yes=yes)
    found = (
        of_arguments(folder, program)
        or of_other_styles(folder, program)
        or Interface(how="nothing", others="")
    )
    metrics = metrics_of(folder, program, log)
    return Draft(
        name=name_for(folder),
        folder=folder,
        source=os.path.relpath(folder, spec.parent),
        program=program,
        interface=with_values_file(folder, found),
        metrics=metrics,
        metric=_metric(metrics, yes=yes),
        trials=_trials(yes=yes),
    )


# Three questions


def _ask(question: str, default: str, *, yes: bool) -> str:
    if yes:
        return default
    try:
        return str(click.prompt(question, default=default, err=True)).strip()
    except click.Abort:
        if sys.stdin.isatty():
            raise
        return default  # no answer


def _program(folder: Path, *, yes: bool) -> str:
    found = programs(folder)
    if not found:
        raise _refused(
            f"no program that trains was found in {folder}", "name it: trialjob init FOLDER/PROGRAM"
        )
    while True:
        chosen = _ask(f"Which program trains? ({_listed(found)})", found[0], yes=yes)
        if (folder / chosen).is_file():
            return chosen
        click.echo(f"{chosen} is no file in {folder}", err=True)


def _metric(metrics: Metrics, *, yes: bool) -> Metric:
    known = {each.name: each for each in metrics.found}
    best = metrics.found[0] if metrics.found else Metric(name="val_loss")
    said = _ask(
        f"Which metric is to be optimised, max or min? ({_listed([*known]) or 'none was found'})",
        f"{best.mode.value} {best.name}",
        yes=yes,
    )
    way, _, name = said.partition(" ") if said.startswith(("min ", "max ")) else ("", "", said)
    chosen = known.get(name.strip(), Metric(name=name.strip()))
    return Metric(name=chosen.name, regex=chosen.regex, way=way)


def _trials(*, yes: bool) -> int:
    while True:
        said = _ask("How many trials?", str(_TRIALS), yes=yes)
        if said.isdecimal() and int(said) > 0:
            return int(said)
        click.echo("write a number of at least 1", err=True)


def _listed(names: Sequence[str]) -> str:
    more = ", …" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


# What comes next


def _say(draft: Draft, spec: Path) -> None:
    click.echo(f"{spec} written: {draft.program}, {draft.metric.mode.value} {draft.metric.name}")
    for line in _left(draft):
        click.echo(f"  still to do: {line}")
    click.echo(f"next: {command('plan', str(spec), store=None)}")
    click.echo(f"then: {command('run', str(spec), store=None)}")


def _left(draft: Draft) -> list[str]:
    found = [*hindrances(draft.folder, draft.program)]
    found += [draft.interface.advice] if draft.interface.advice else []
    if not draft.space:
        found.append("no option was found that is worth searching; write what is to be searched under space")
    if draft.metric.name not in {each.name for each in draft.metrics.found}:
        again = command("init", "--log", "FILE", "-o", "another.yaml", store=None)
        found.append(
            f"nothing that prints {draft.metric.name} was found; run the program once with its output in a "
            f"file, and {again}; or have it call "
            f"trialjob.reporting.report({draft.metric.name}=…)"
        )
    found += [f"write a value for {name} under estimator.hyperparameters" for name in draft.open_values]
    return found
