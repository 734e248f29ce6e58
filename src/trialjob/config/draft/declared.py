"""What a program takes: its options with their defaults and types, and how it is given them.

Rule: only what the source says in plain values is taken; nothing is run and no library is imported.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from trialjob.config.draft.literals import literal, name_of
from trialjob.config.script_options import OptionKind, ScriptOption, parsed, script_options, source_files
from trialjob.model.json import Json

#: What stands for every hyperparameter that no other word names.
OTHERS: Final = "{others}"
_TYPES: Final = ("int", "float", "str", "bool")


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """One thing that a program can be given."""

    #: As the hyperparameter is to be called.
    name: str
    default: Json = None
    #: One of int, float, str and bool; "" where it is not said.
    type: str = ""
    choices: tuple[Json, ...] = ()
    lowest: float | None = None
    highest: float | None = None
    #: The program does not start without it.
    required: bool = False
    #: Its words in ``estimator.arguments``, where ``{others}`` does not do.
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """All that a program can be given."""

    #: How it declares that, for a person.
    how: str
    options: tuple[Declared, ...] = ()
    #: Words before all others: a subcommand.
    before: tuple[str, ...] = ()
    #: What is said of all that no word names; "" for a program that takes only what is named.
    others: str = OTHERS
    #: What a person must do before the values have any effect.
    advice: str = ""


def called(name: str, default: Json) -> Declared:
    """An option of which the name and the default are known."""
    return Declared(name=name, default=default, type="" if default is None else type(default).__name__)


def plain_value(text: str) -> Json:
    """A number where ``text`` is one; None where it is empty."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text or None


def of_arguments(folder: Path, program: str) -> Interface | None:
    """By argparse, click, or a dataclass of HuggingFace's parser."""
    options = [_declared(option) for option in script_options(folder, program)]
    trees = [tree for path in source_files(folder, program) if (tree := parsed(path))]
    positional = tuple(each for tree in trees for each in _positional(tree))
    fields = tuple(each for tree in trees for each in _of_hf_parser(tree))
    training = _is_training_arguments(trees)
    known = {each.name: each for each in (*options, *fields, *(TRAINING if training else ()))}
    if not known and not positional:
        return None
    return Interface(
        how="HfArgumentParser" if fields or training else "its options",
        options=(*positional, *known.values()),
        before=_subcommand(trees),
    )


def _declared(option: ScriptOption) -> Declared:
    given = option.keywords
    switch = next((name for name in option.names if name.startswith("--")), option.names[0])
    name = option.longest.lstrip("-")
    kind = _type_of(given)
    lowest, highest = _bounds(given.get("type"))
    return Declared(
        name=name,
        default=_default(option),
        type="bool" if option.kind not in (OptionKind.VALUE, OptionKind.WORDS, OptionKind.REPEATED) else kind,
        choices=_choices(given),
        lowest=lowest,
        highest=highest,
        required=literal(given.get("required")) is True,
        words=_words(option, name, switch),
    )


def _words(option: ScriptOption, name: str, switch: str) -> tuple[str, ...]:
    match option.kind:
        case OptionKind.FLAG | OptionKind.FLAG_FOR_FALSE | OptionKind.COUNTED:
            return (f"{{{name}:{switch}}}",)
        case OptionKind.PAIR:
            return (f"{{{name}:{switch}/{option.off}}}",)
        case OptionKind.TRUTHY:
            return (f"{{{name}:type=bool}}",)
        case OptionKind.WORDS:
            return (switch, f"{{{name}:words}}")
        case OptionKind.REPEATED:
            return (f"{{{name}:repeat}}",)
        case OptionKind.VALUE:
            # A name of one letter is given with one hyphen.
            as_it_is = switch == (f"-{name}" if len(name) == 1 else f"--{name}")
            return () if as_it_is else (switch, f"{{{name}}}")


def _default(option: ScriptOption) -> Json:
    default = literal(option.keywords.get("default"))
    return (default or False) if option.kind in (OptionKind.FLAG, OptionKind.COUNTED) else default


def _type_of(given: Mapping[str, ast.expr]) -> str:
    said = name_of(given.get("type"))
    if said in _TYPES:
        return said
    if said in ("IntRange", "FloatRange"):
        return "int" if said == "IntRange" else "float"
    default = literal(given.get("default"))
    # click takes the type of the default; argparse gives text, which a script then reads as it likes.
    return type(default).__name__ if isinstance(default, int | float | str) and not said else ""


def _choices(given: Mapping[str, ast.expr]) -> tuple[Json, ...]:
    node = given.get("choices")
    if node is None and isinstance(given.get("type"), ast.Call) and name_of(given["type"]) == "Choice":
        call = given["type"]
        node = call.args[0] if isinstance(call, ast.Call) and call.args else None
    found = literal(node)
    return tuple(found) if isinstance(found, list) else ()


def _bounds(node: ast.expr | None) -> tuple[float | None, float | None]:
    """Of click's ``IntRange(1, 9)`` and ``FloatRange(min=0)``."""
    if not (isinstance(node, ast.Call) and name_of(node) in ("IntRange", "FloatRange")):
        return None, None
    given: dict[str, Any] = dict(zip(("min", "max"), map(literal, node.args), strict=False))
    given |= {word.arg: literal(word.value) for word in node.keywords if word.arg}
    return given.get("min"), given.get("max")


def _positional(tree: ast.Module) -> Iterator[Declared]:
    """What stands without a name: ``add_argument("data")``, ``@click.argument("data")``."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if name_of(call) not in ("add_argument", "argument") or not call.args:
            continue
        name, given = literal(call.args[0]), {word.arg: word.value for word in call.keywords if word.arg}
        if isinstance(name, str) and name.isidentifier():
            yield Declared(
                name=name,
                default=literal(given.get("default")),
                type=_type_of(given),
                choices=_choices(given),
                required=literal(given.get("nargs")) not in ("?", "*"),
                words=(f"{{{name}}}",),
            )


def _subcommand(trees: list[ast.Module]) -> tuple[str, ...]:
    """The one of a program's subcommands that trains."""
    named = [
        name
        for tree in trees
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and name_of(call) == "add_parser" and call.args
        if isinstance(name := literal(call.args[0]), str)
    ]
    named += [each for tree in trees for each in _click_commands(tree)]
    best = next((name for name in named if name in ("train", "fit")), named[0] if named else "")
    return (best,) if best else ()


def _click_commands(tree: ast.Module) -> Iterator[str]:
    """The commands of a group; a command alone has no name on the command line."""
    for node in (each for each in tree.body if isinstance(each, ast.FunctionDef)):
        for mark in node.decorator_list:
            owner = mark.func if isinstance(mark, ast.Call) else mark
            if (
                isinstance(owner, ast.Attribute)
                and owner.attr == "command"
                and name_of(owner.value) != "click"
            ):
                given = literal(mark.args[0]) if isinstance(mark, ast.Call) and mark.args else None
                yield given if isinstance(given, str) else node.name.replace("_", "-")


#: What most people search of HuggingFace's ``TrainingArguments``, with its defaults.
TRAINING: Final = (
    Declared(name="output_dir", type="str", required=True),
    Declared(name="learning_rate", default=5e-5, type="float"),
    Declared(name="per_device_train_batch_size", default=8, type="int"),
    Declared(name="weight_decay", default=0.0, type="float"),
    Declared(name="warmup_ratio", default=0.0, type="float"),
    Declared(name="num_train_epochs", default=3.0, type="float"),
)


def _is_training_arguments(trees: list[ast.Module]) -> bool:
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return any(
        name_of(call) == "HfArgumentParser" and "TrainingArguments" in ast.dump(call) for call in calls
    )


def _of_hf_parser(tree: ast.Module) -> Iterator[Declared]:
    """The fields of the dataclasses of a module that makes the parser, or is imported by one that does."""
    if not any(name_of(node) == "HfArgumentParser" for node in ast.walk(tree) if isinstance(node, ast.Call)):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and any(
            name_of(mark) == "dataclass" for mark in node.decorator_list
        ):
            yield from fields_of(node)


def fields_of(node: ast.ClassDef, *, prefix: str = "") -> Iterator[Declared]:
    """The fields of a dataclass, as options of their names."""
    for each in node.body:
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            default: Json = None
            required = each.value is None
            value = each.value
            if isinstance(value, ast.Call) and name_of(value) == "field":
                given = {word.arg: word.value for word in value.keywords if word.arg}
                required = not {"default", "default_factory"} & given.keys()
                value = given.get("default")
            default = literal(value)
            yield annotated(prefix + each.target.id, each.annotation, default, required=required)


def parameters_of(
    function: ast.FunctionDef, spelled: Callable[[str], str], *, skip: int = 0
) -> Iterator[Declared]:
    """The parameters of a function that have a plain default or none, as options."""
    places = function.args.args[skip:]
    missing = len(places) - len(function.args.defaults)
    values = [None] * max(0, missing) + [*function.args.defaults][max(0, -missing) :]
    pairs = [
        *zip(places, values, strict=False),
        *zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True),
    ]
    for place, value in pairs:
        inner = value.args[0] if isinstance(value, ast.Call) and value.args else value
        default = literal(inner)
        is_open = value is None or (isinstance(inner, ast.Constant) and inner.value is ...)
        yield annotated(spelled(place.arg), place.annotation, default, required=is_open)


def annotated(name: str, annotation: ast.expr | None, default: Json, *, required: bool) -> Declared:
    """What an annotation and a default say."""
    said = name_of(annotation)
    if isinstance(annotation, ast.BinOp):  # float | None
        said = name_of(annotation.left)
    if isinstance(annotation, ast.Subscript):
        said = name_of(annotation.slice) if said == "Optional" else said
    choices = (
        literal(annotation.slice) if isinstance(annotation, ast.Subscript) and said == "Literal" else None
    )
    kind = (
        said if said in _TYPES else type(default).__name__ if isinstance(default, int | float | str) else ""
    )
    return Declared(
        name=name,
        default=default,
        type=kind,
        choices=tuple(choices) if isinstance(choices, list) else (),
        required=required,
    )
