"""Where the words that a script will be given are not what its own source asks for.

Rule: each doubt names the word of ``estimator.arguments`` that mends it, and it works as it is printed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from trialjob.config.estimators import CodeSpec
from trialjob.config.paths import shown
from trialjob.config.script_options import OptionKind, ScriptOption, script_options
from trialjob.config.space import BranchesSpec
from trialjob.config.space_checks import all_domains, all_names
from trialjob.config.spec import ExperimentSpec
from trialjob.config.strict_parser import refuses_others
from trialjob.errors import Problem
from trialjob.in_job.command_line import OTHERS, SDK_V2, SDK_V3, mentions_values_file, slots
from trialjob.model.paths import path_text

_OF_VALUES = (OptionKind.VALUE, OptionKind.WORDS, OptionKind.REPEATED)


def script_doubts(spec: ExperimentSpec) -> Iterator[Problem]:
    """Options that would be given a value and take none, or take another than is meant."""
    estimator = spec.estimator
    if not isinstance(estimator, CodeSpec) or not Path(estimator.source_dir).is_dir():
        return
    options = script_options(Path(estimator.source_dir), estimator.entry_point)
    for path, name, values in _valued(spec):
        exact = [option for option in options if f"--{name}" in option.names]
        for option in exact or [option for option in options if option.means(name)]:
            yield from _of_option(spec, path_text(path), _Given(name, values), option)
    yield from _one_letter(spec, estimator, options)
    yield from _refused(spec, estimator, options)
    yield from _given_by_nothing(spec, estimator)


def _names(spec: ExperimentSpec) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for name in spec.estimator.hyperparameters:
        yield ("estimator", "hyperparameters", name), name
    yield from all_names(spec.space)


def _valued(spec: ExperimentSpec) -> Iterator[tuple[tuple[str | int, ...], str, Sequence[object]]]:
    """The same, each with the values that it may have, where they can be listed."""
    for name, value in spec.estimator.hyperparameters.items():
        yield ("estimator", "hyperparameters", name), name, [value]
    for path, name, domain in all_domains(spec.space):
        yield path, name, [*domain.values] if isinstance(domain, BranchesSpec) else domain.listed() or ()


class _Given(NamedTuple):
    """A hyperparameter and what it may be."""

    name: str
    values: Sequence[object]

    @property
    def has_lists(self) -> bool:
        return any(isinstance(value, list | tuple) for value in self.values)

    @property
    def is_truth(self) -> bool:
        return all(value is None or isinstance(value, bool) for value in self.values)


def _of_option(spec: ExperimentSpec, field: str, given: _Given, option: ScriptOption) -> Iterator[Problem]:
    name = given.name
    match option.kind:
        case OptionKind.VALUE:
            yield from _spelled_otherwise(spec, field, name, option)
        case OptionKind.WORDS | OptionKind.REPEATED if not given.has_lists:
            yield from _spelled_otherwise(spec, field, name, option)
        case OptionKind.WORDS | OptionKind.REPEATED:
            yield from _of_list(spec, field, name, option)
        case OptionKind.COUNTED if not given.is_truth:
            yield from _of_count(spec, field, name, option)
        case _:
            yield from _of_flag(spec, field, name, option)


def _of_list(spec: ExperimentSpec, field: str, name: str, option: ScriptOption) -> Iterator[Problem]:
    """A list that would be one word, where the script takes a word for each element."""
    if not _gets_value(spec, name, option):
        return
    repeats = option.kind is OptionKind.REPEATED
    if repeats and f"--{name}" not in option.names:
        yield from _spelled_otherwise(spec, field, name, option)
        return
    words = f'"{{{name}:repeat}}"' if repeats else f'"{option.longest}", "{{{name}:words}}"'
    said = f"{option.file}:{option.line} declares {option.longest} with {option.said}"
    message = f"{said}, and would be given the whole list as one word"
    yield Problem(field=field, message=message, remedy=_remedy(spec, name, words))


def _of_count(spec: ExperimentSpec, field: str, name: str, option: ScriptOption) -> Iterator[Problem]:
    """A number, or a text, for an option that is only given or not."""
    if _gets_value(spec, name, option):
        said = f"{option.file}:{option.line} declares {option.longest} with {option.said}"
        remedy = f'remove it, and write "{option.longest}" into estimator.arguments as often as it is meant'
        message = f"{said}, which takes no value, and would be given one"
        yield Problem(field=field, message=message, remedy=f'{remedy}, beside "{{{OTHERS}}}"')


def _of_flag(spec: ExperimentSpec, field: str, name: str, option: ScriptOption) -> Iterator[Problem]:
    if not _gets_value(spec, name, option):
        return
    said = f"{option.file}:{option.line} declares {option.longest} with {option.said}, which"
    switch = next((spelling for spelling in option.names if spelling.startswith("--")), option.names[0])
    message, form = f"{said} takes no value, and would be given one", switch
    match option.kind:
        case OptionKind.TRUTHY:
            message, form = f"{said} takes every text for true: {switch} False would be true", "type=bool"
        case OptionKind.PAIR:
            form = f"{switch}/{option.off}"
        case OptionKind.FLAG_FOR_FALSE if not option.is_spelled(name):
            form = f"/{switch}"
        case _:
            pass
    yield Problem(field=field, message=message, remedy=_remedy(spec, name, f'"{{{name}:{form}}}"'))


def _spelled_otherwise(
    spec: ExperimentSpec, field: str, name: str, option: ScriptOption
) -> Iterator[Problem]:
    """--batch-size where --batch_size would be given."""
    if len(name) == 1 or f"--{name}" in option.names or not option.is_spelled(name):
        return
    if not _gets_value(spec, name, option):
        return
    message = f"{option.file}:{option.line} calls it {option.longest}, and would be given --{name}"
    yield Problem(
        field=field, message=message, remedy=_remedy(spec, name, f'"{option.longest}", "{{{name}}}"')
    )


def _remedy(spec: ExperimentSpec, name: str, words: str) -> str:
    if isinstance(spec.estimator, CodeSpec) and spec.estimator.arguments is not None:
        return f"in estimator.arguments, write {words} for {name}"
    return f'write estimator.arguments: ["{{{OTHERS}}}", {words}]'


def _gets_value(spec: ExperimentSpec, name: str, option: ScriptOption) -> bool:
    """Whether its option will be followed by its value."""
    words = spec.estimator.arguments if isinstance(spec.estimator, CodeSpec) else None
    if words is None or _is_option(words, name):
        return True
    return option.kind is not OptionKind.VALUE and any(
        slot.name == name and slot.form == "" and _before(words, place) in option.names
        for place, word in enumerate(words)
        for slot in slots(word)
    )


def _before(words: Sequence[str], place: int) -> str:
    """What stands before the value that a word is or has."""
    name, equals, _ = words[place].partition("=")
    if equals:
        return name
    return words[place - 1] if place else ""


def _is_option(words: Sequence[str] | None, name: str) -> bool:
    """Whether --name will be among the words, which are ``estimator.arguments``."""
    if words is None:
        return True
    found = [slot for word in words for slot in slots(word)]
    forms = {slot.form for slot in found if slot.name == name}
    others = {slot.form for slot in found if slot.name == OTHERS}
    return "option" in forms or (not forms and not others.isdisjoint({"", "option"}))


def _one_letter(
    spec: ExperimentSpec, estimator: CodeSpec, options: Sequence[ScriptOption]
) -> Iterator[Problem]:
    """Names of one letter, of which the two dialects make -n and --n."""
    if estimator.arguments is not None:
        return
    given, other, dialect = ("-", "--", SDK_V3) if estimator.dialect == SDK_V2 else ("--", "-", SDK_V2)
    takers = (option for option in options if option.kind in _OF_VALUES)  # of the rest, more was said
    spellings = {spelling for option in takers for spelling in option.names}
    for path, name in _names(spec):
        if len(name) == 1 and given + name not in spellings and other + name in spellings:
            yield Problem(
                field=path_text(path),
                message=f"the script declares {other}{name}, and {estimator.dialect} gives {given}{name}",
                remedy=f"write estimator.dialect: {dialect}",
            )


def _refused(spec: ExperimentSpec, estimator: CodeSpec, options: Sequence[ScriptOption]) -> Iterator[Problem]:
    """Options that the script's parser does not know, and ends by."""
    if not refuses_others(Path(estimator.source_dir), estimator.entry_point):
        return
    spellings = [spelling for option in options for spelling in option.names]
    for path, name in _names(spec):
        # argparse takes the beginning of a name, too.
        known = any(spelling.startswith(f"--{name}") for spelling in spellings)
        if len(name) == 1 or known or not _is_option(estimator.arguments, name):
            continue
        if not any(option.means(name) for option in options):
            yield Problem(
                field=path_text(path),
                message=f"{estimator.entry_point} takes no --{name}, and ends when it is given one",
                remedy=f'let its parser declare it (add_argument("--{name}")), or remove {name}',
            )


def _given_by_nothing(spec: ExperimentSpec, estimator: CodeSpec) -> Iterator[Problem]:
    """What is searched and stands in no word."""
    words = estimator.arguments
    if words is None or mentions_values_file([*words, *estimator.environment.values()]):
        return
    named = {slot.name for word in words for slot in slots(word)}
    for path, name in all_names(spec.space):
        if name not in named and OTHERS not in named:
            yield Problem(
                field=path_text(path),
                message=f"{shown(name)} stands in no word of estimator.arguments",
                remedy=f'add "{{{name}:option}}" or "{{{OTHERS}}}", unless the script reads SM_HPS',
            )
