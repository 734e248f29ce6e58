"""What names and values must be so that a program can be given them, as arguments and as variables.

Rule: only new experiments are checked. One that was begun before goes on as it began.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from trialjob.config.argument_checks import templates
from trialjob.config.estimators import ContainerSpec
from trialjob.config.paths import problem_at, shown
from trialjob.config.space import BranchesSpec, DomainSpec
from trialjob.config.spec import ExperimentSpec
from trialjob.errors import Problem
from trialjob.in_job.command_line import slots
from trialjob.in_job.variables import LONGEST, names_of, text_of
from trialjob.model.json import Json
from trialjob.model.paths import Part
from trialjob.model.space import Choice, Grid, Ordinal

_Path = tuple[Part, ...]
#: Linux takes 2 MiB of arguments and variables (ARG_MAX, at its usual stack), and some are there already.
_LARGEST_TOTAL = 1_500_000
#: Bytes that a plain number has at most.
_NUMBER = 30
_IN_A_FILE = "put it into a file in source_dir, or an input channel, and pass its name"


def passing_problems(spec: ExperimentSpec) -> Iterator[Problem]:
    """Everything that could not be passed to a program of ``spec``, or not under a name of its own."""
    given = spec.estimator
    values = [*_constants(given.hyperparameters), *_searched(spec.space, ("space",))]
    if not isinstance(given, ContainerSpec):  # which is not looked for by these names
        names = [(path, name, names_of(name)) for path, name, _ in values]
        yield from _shared(names)
    channels = [
        (("estimator", "inputs", name), name, (f"SM_CHANNEL_{name.upper()}",)) for name in given.inputs
    ]
    yield from _shared(channels)
    for path, name, each in values:
        for value in each:
            yield from _text(path, max(names_of(name), key=len), text_of(value))
    for name, text in given.environment.items():
        if isinstance(text, str):  # a secret is unknown before a job is started
            yield from _text(("estimator", "environment", name), name, text)
    yield from _words(spec, values)
    yield from _total(values)


#: Where a hyperparameter is written, its name, and the values that it may have which are no plain numbers.
_Values = tuple[_Path, str, tuple[Json, ...]]


def _constants(given: Mapping[str, Json]) -> Iterator[_Values]:
    for name, value in given.items():
        yield ("estimator", "hyperparameters", name), name, (value,)


def _searched(space: Mapping[str, DomainSpec], above: _Path) -> Iterator[_Values]:
    for name, domain in space.items():
        path = (*above, name)
        if isinstance(domain, BranchesSpec):
            yield path, name, tuple(domain.values)
            for value, inner in domain.values.items():
                yield from _searched(inner, (*path, "values", value))
        else:
            yield path, name, tuple(domain.values) if isinstance(domain, Choice | Ordinal | Grid) else ()


def _shared(names: Sequence[tuple[_Path, str, tuple[str, ...]]]) -> Iterator[Problem]:
    """Names that lead to the same variable."""
    known: dict[str, str] = {}
    for path, name, variables in names:
        for variable in variables:
            other = known.setdefault(variable, name)
            if other != name:
                message = f"{shown(name)} and {shown(other)} share the variable {variable}"
                message += ", so a script would find one of them only"
                yield problem_at(path, message, "give one of the two another name")
                break


def _text(path: _Path, variable: str, text: str) -> Iterator[Problem]:
    """What is wrong with a text as an argument and as the value of a variable."""
    if len(f"{variable}={text}".encode()) + 1 > LONGEST:
        what = f"{shown(text)} has {len(text.encode())} bytes"
        message = f"{what}; with its name, an argument or a variable has at most {LONGEST - 1} on Linux"
        yield problem_at(path, message, _IN_A_FILE)


def _words(spec: ExperimentSpec, values: list[_Values]) -> Iterator[Problem]:
    """Words of a command line that join several values, each of which may be short enough."""
    longest: dict[str, int] = {}
    for _, name, each in values:
        size = max((len(text_of(value).encode()) for value in each), default=_NUMBER)
        longest[name] = max(size, longest.get(name, 0))
    for path, word in templates(spec.estimator):
        with suppress(ValueError):  # braces that are wrong are another problem
            size = len(word.encode()) + sum(longest.get(slot.name, 0) for slot in slots(word))
            if size + 1 > LONGEST:
                message = f"{shown(word)} may become {size} bytes long"
                yield problem_at(
                    path, f"{message}; an argument has at most {LONGEST - 1} on Linux", _IN_A_FILE
                )


def _total(values: list[_Values]) -> Iterator[Problem]:
    """What all together come to: each is an argument and a variable, and is in variables that hold all."""
    total = sum(
        max((len(text_of(value).encode()) for value in each), default=_NUMBER) * (1 + len(names_of(name)))
        for _, name, each in values
    )
    if total > _LARGEST_TOTAL:
        message = f"all values together take {total} bytes as arguments and variables"
        yield Problem(
            field="estimator.hyperparameters",
            message=f"{message}; a program takes about {_LARGEST_TOTAL}",
            remedy="put the longest into a file in source_dir, or an input channel, and pass its name",
        )
