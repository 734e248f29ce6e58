"""Where the words that a script will be given are not what its own source asks for.

Rule: each doubt names the word of ``estimator.arguments`` that mends it, and it works as it is printed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from trialjob.config.paths import shown
from trialjob.config.script_options import OptionKind, ScriptOption, script_options
from trialjob.config.space_checks import all_names
from trialjob.config.spec import CodeSpec, ExperimentSpec
from trialjob.errors import Problem
from trialjob.model.paths import path_text
from trialjob.reporting.in_job.command_line import OTHERS, SDK_V2, SDK_V3, mentions_values_file, slots


def script_doubts(spec: ExperimentSpec) -> Iterator[Problem]:
    """Options that would be given a value and take none, or take another than is meant."""
    estimator = spec.estimator
    if not isinstance(estimator, CodeSpec) or not Path(estimator.source_dir).is_dir():
        return
    options = script_options(Path(estimator.source_dir), estimator.entry_point)
    for path, name in _names(spec):
        exact = [option for option in options if f"--{name}" in option.names]
        for option in exact or [option for option in options if option.means(name)]:
            yield from _of_option(spec, path_text(path), name, option)
    yield from _one_letter(spec, estimator, options)
    yield from _given_by_nothing(spec, estimator)


def _names(spec: ExperimentSpec) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for name in spec.estimator.hyperparameters:
        yield ("estimator", "hyperparameters", name), name
    yield from all_names(spec.space)


def _of_option(spec: ExperimentSpec, field: str, name: str, option: ScriptOption) -> Iterator[Problem]:
    if option.kind is OptionKind.VALUE:
        yield from _spelled_otherwise(spec, field, name, option)
        return
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
    if words is None:
        return True
    named = False
    for place, word in enumerate(words):
        for slot in (slot for slot in slots(word) if slot.name == name):
            named = True
            before = word.partition("=")[0] if "=" in word else words[place - 1] if place else ""
            if slot.form == "option" or (
                slot.form == "" and before in option.names and option.kind is not OptionKind.VALUE
            ):
                return True
    return not named and any(
        slot.name == OTHERS and slot.form in ("", "option") for word in words for slot in slots(word)
    )


def _one_letter(
    spec: ExperimentSpec, estimator: CodeSpec, options: Sequence[ScriptOption]
) -> Iterator[Problem]:
    """Names of one letter, of which the two dialects make -n and --n."""
    if estimator.arguments is not None:
        return
    given, other, dialect = ("-", "--", SDK_V3) if estimator.dialect == SDK_V2 else ("--", "-", SDK_V2)
    takers = (option for option in options if option.kind is OptionKind.VALUE)  # of the rest, more was said
    spellings = {spelling for option in takers for spelling in option.names}
    for path, name in _names(spec):
        if len(name) == 1 and given + name not in spellings and other + name in spellings:
            yield Problem(
                field=path_text(path),
                message=f"the script declares {other}{name}, and {estimator.dialect} gives {given}{name}",
                remedy=f"write estimator.dialect: {dialect}",
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
