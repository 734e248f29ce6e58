"""What must be true of the words that a program is given, and of the places that other texts name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence

from trialjob.config.estimators import (
    CodeSpec,
    ContainerSpec,
    EstimatorSpec,
)
from trialjob.config.paths import problem_at, shown
from trialjob.config.space import BranchesSpec, DomainSpec
from trialjob.config.space_checks import all_domains
from trialjob.errors import Problem
from trialjob.in_job.command_line import (
    FIRST,
    OTHERS,
    PLACES,
    Slot,
    is_flag,
    is_form,
    is_place,
    place_names,
    slots,
)
from trialjob.model.paths import Part, nearest

_Path = tuple[Part, ...]
_IN_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
#: So much like the name of a place is hardly meant as a text.
_ALIKE = 0.85


def templates(estimator: EstimatorSpec) -> Iterator[tuple[_Path, str]]:
    """Every word of a command line that may have names in braces, and where it is written."""
    lists: dict[str, tuple[str, ...] | None] = {}
    if isinstance(estimator, ContainerSpec):
        lists = {"entrypoint": estimator.entrypoint, "arguments": estimator.arguments}
    elif isinstance(estimator, CodeSpec):
        lists = {"arguments": estimator.arguments}
    for part, words in lists.items():
        for place, word in enumerate(words or ()):
            yield ("estimator", part, place), word


def word_problems(estimator: EstimatorSpec, space: Mapping[str, DomainSpec]) -> Iterator[Problem]:
    """What a script or a container is given, as far as it is said."""
    searched = {name: domain for _, name, domain in all_domains(space)}
    for path, word in templates(estimator):
        try:
            found = slots(word)
        except ValueError as error:
            yield problem_at(path, f"{shown(word)}: {error}", "correct it, or double the braces")
            continue
        for slot in found:
            if slot.name in {*estimator.hyperparameters, *searched} and is_form(slot.form):
                yield from _flag_problems(path, slot, estimator, searched)
            else:
                yield from _place_problems(path, slot, estimator, [*estimator.hyperparameters, *searched])


def _place_problems(
    path: _Path, slot: Slot, estimator: EstimatorSpec, hyperparameters: list[str]
) -> Iterator[Problem]:
    if slot.name == OTHERS and is_form(slot.form):
        return
    if not is_place(*slot):
        message = f"{shown(slot.name)} is no hyperparameter"
        known = sorted({*hyperparameters, *PLACES, OTHERS, *(f"channel:{name}" for name in estimator.inputs)})
        yield problem_at(path, message, nearest(slot.name, known))
    else:
        yield from _channel_problems(path, slot, estimator)


def _channel_problems(path: _Path, slot: Slot, estimator: EstimatorSpec) -> Iterator[Problem]:
    if slot.name == "channel" and slot.form not in estimator.inputs:
        message = f"{shown(slot.form)} is no input channel"
        remedy = (
            nearest(slot.form, estimator.inputs) if estimator.inputs else "name it under estimator.inputs"
        )
        yield problem_at(path, message, remedy)


def _flag_problems(
    path: _Path, slot: Slot, estimator: EstimatorSpec, searched: Mapping[str, DomainSpec]
) -> Iterator[Problem]:
    if not is_flag(slot.form):
        return
    values: Sequence[object] | None
    if slot.name in estimator.hyperparameters:
        values = [estimator.hyperparameters[slot.name]]
    else:
        domain = searched[slot.name]
        values = [*domain.values] if isinstance(domain, BranchesSpec) else domain.listed()
    others = [value for value in values or () if value is not None and value not in (True, False)]
    if values is None or others:
        seen = shown(others[0]) if others else "a number"
        message = f"{shown(slot.name)} may be {seen}, and {{{slot.name}:{slot.form}}} is for true and false"
        yield problem_at(path, message, f"write {{{slot.name}:option}}, or let it be true or false only")


def text_problems(estimator: EstimatorSpec) -> Iterator[Problem]:
    """Places in constants and variables that are misspelt or not there."""
    if estimator.dialect == FIRST:
        return
    for section in ("hyperparameters", "environment"):
        for name, value in getattr(estimator, section).items():
            for path, text in _texts(value, ("estimator", section, name)):
                yield from _misspelt(path, text)
                for inner in place_names(text):
                    yield from _channel_problems(path, Slot(*_parted(inner)), estimator)


def _misspelt(path: _Path, text: str) -> Iterator[Problem]:
    for inner in _IN_BRACES.findall(text):
        if not inner or is_place(*_parted(inner)):
            continue
        if close := difflib.get_close_matches(_parted(inner)[0].lower(), PLACES, n=1, cutoff=_ALIKE):
            yield problem_at(
                path, f"{shown('{' + inner + '}')} is no place of a job", f"did you mean {{{close[0]}}}?"
            )


def _texts(value: object, path: _Path) -> Iterator[tuple[_Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _texts(item, (*path, name))
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            yield from _texts(item, (*path, place))


def _parted(inner: str) -> tuple[str, str]:
    name, _, form = inner.partition(":")
    return name, form
