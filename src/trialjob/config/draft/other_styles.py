"""What a program takes that declares it otherwise than by argparse or click."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from trialjob.config.draft.dataclasses_read import of_dataclass
from trialjob.config.draft.declared import (
    Declared,
    Interface,
    called,
    of_arguments,
    parameters_of,
    plain_value,
)
from trialjob.config.draft.literals import literal, name_of
from trialjob.config.draft.shell import of_shell, started
from trialjob.config.draft.values_file import of_named_file, of_read_file
from trialjob.config.script_options import parsed, source_files
from trialjob.config.yaml_text import load_yaml
from trialjob.errors import TrialjobError
from trialjob.model.json import Json

#: Also in small letters where the name is a usual one, as in what was a notebook.
_CONSTANT: Final = re.compile(
    r"[A-Z][A-Z0-9_]*$|(lr|learning_rate|batch_size|weight_decay|momentum|dropout|(n_|num_)?epochs)$"
)


def of_other_styles(folder: Path, program: str) -> Interface | None:
    """Whatever names what a program takes; a file that it reads and constants at its top last."""
    if program.endswith((".sh", ".bash")):
        return _of_shell_or_started(folder, program)
    trees = {path: tree for path in source_files(folder, program) if (tree := parsed(path))}
    for path, tree in trees.items():
        found = (
            _of_hydra(path.parent, tree)
            or _of_lightning(tree, trees)
            or _of_fire(tree)
            or of_dataclass(tree, trees)
            or _of_typer(tree)
            or _of_absl(tree)
            or _of_environment(tree)
        )
        if found is not None:
            return found
    if (whole := trees.get(folder / program)) is None:
        return None
    return (
        of_named_file(folder, program, whole)
        or of_read_file(folder, program, whole)
        or _of_constants(whole, program)
    )


def _of_shell_or_started(folder: Path, program: str) -> Interface | None:
    """What a shell script takes itself, or hands on to the program that it starts."""
    own = of_shell((folder / program).read_text("utf-8", "replace"), program)
    inner = started(folder, program)
    if inner is None or (own is not None and not inner.is_handed_on):
        return own
    found = of_arguments(folder, inner.program) or of_other_styles(folder, inner.program)
    if found is None or inner.is_handed_on:
        return found or own
    advice = f'{program} hands nothing on: write "$@" behind {inner.program} in it, or no value gets there'
    return replace(found, advice=advice)


def _calls(tree: ast.AST, *names: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and name_of(node) in names:
            yield node


def _words(call: ast.Call) -> dict[str, Json]:
    return {word.arg: literal(word.value) for word in call.keywords if word.arg}


def _of_hydra(folder: Path, tree: ast.Module) -> Interface | None:
    """The file of Hydra's configuration, and its groups as they are chosen by default."""
    for call in _calls(tree, "main"):
        if not (isinstance(call.func, ast.Attribute) and name_of(call.func.value) == "hydra"):
            continue
        given = _words(call)
        home = folder / str(given.get("config_path") or ".")
        found = [*_of_config(home, str(given.get("config_name") or "config"), "")]
        return Interface(how="Hydra", options=tuple(found), others="{others:key=value}")
    return None


def _of_config(home: Path, name: str, prefix: str) -> Iterator[Declared]:
    document = _yaml(home / f"{name.removesuffix('.yaml')}.yaml")
    for each in document.get("defaults") or ():
        for group, chosen in each.items() if isinstance(each, dict) else ():
            if isinstance(chosen, str):
                yield from _of_config(home / str(group).removeprefix("override "), chosen, f"{group}.")
    yield from _leaves(
        {key: value for key, value in document.items() if key not in ("defaults", "hydra")}, prefix
    )


def _yaml(path: Path) -> dict[str, Any]:
    try:
        found = load_yaml(path.read_text("utf-8"), str(path))
    except (OSError, ValueError, TrialjobError):
        return {}
    return dict(found) if isinstance(found, dict) else {}


def _leaves(document: Mapping[str, Any], prefix: str) -> Iterator[Declared]:
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        elif isinstance(value, bool | int | float | str) and "${" not in str(value) and value != "???":
            plain = value if isinstance(value, bool | int | float) else str(value)
            yield Declared(name=f"{prefix}{key}", default=plain, type=type(plain).__name__)
        elif value == "???":
            yield Declared(name=f"{prefix}{key}", required=True)


def _of_lightning(tree: ast.Module, trees: Mapping[Path, ast.Module]) -> Interface | None:
    """The parameters of the model and the data of a LightningCLI; of the trainer the epochs."""
    call = next(_calls(tree, "LightningCLI"), None)
    if call is None:
        return None
    named = dict(zip(("model", "data"), [*call.args, *(word.value for word in call.keywords)], strict=False))
    options = [
        each
        for group, node in named.items()
        for cls in _classes(trees, name_of(node))
        for function in cls.body
        if isinstance(function, ast.FunctionDef) and function.name == "__init__"
        for each in parameters_of(function, f"{group}.{{}}".format, skip=1)
    ]
    epochs = Declared(name="trainer.max_epochs", default=10, type="int")
    return Interface(how="LightningCLI", options=(*options, epochs), before=("fit",))


def _classes(trees: Mapping[Path, ast.Module], name: str) -> Iterator[ast.ClassDef]:
    for tree in trees.values():
        yield from (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)


def _functions(tree: ast.Module, name: str) -> Iterator[ast.FunctionDef]:
    yield from (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)


def _of_fire(tree: ast.Module) -> Interface | None:
    """A function, or the one method of a class, whose own options may stand behind it."""
    for call in _calls(tree, "Fire"):
        named = name_of(call.args[0]) if call.args else ""
        for function in _functions(tree, named):
            return Interface(how="Fire", options=tuple(parameters_of(function, str)))
        for cls in (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == named):
            methods = {each.name: each for each in cls.body if isinstance(each, ast.FunctionDef)}
            shown = [name for name in methods if not name.startswith("_")]
            chosen = next((name for name in ("train", "fit", "run", "main") if name in shown), "")
            chosen = chosen or (shown[0] if len(shown) == 1 else "")
            found = [methods[name] for name in ("__init__", chosen) if name in methods]
            options = [each for one in found for each in parameters_of(one, str, skip=1)]
            if chosen:
                return Interface(how="Fire", options=tuple(options), before=(chosen,))
    return None


def _of_typer(tree: ast.Module) -> Interface | None:
    """``typer.run(main)``, or the one command of an app."""
    if "typer" not in ast.dump(tree):
        return None
    named = [name_of(call.args[0]) for call in _calls(tree, "run") if call.args]
    functions = [each for name in named for each in _functions(tree, name)] or [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and any(name_of(mark) == "command" for mark in node.decorator_list)
    ]
    if not functions:
        return None
    calls = dict(_typer_calls(functions[0]))
    spelled = {name: _declared_option(call) for name, call in calls.items()}
    places = {name.replace("_", "-") for name, call in calls.items() if name_of(call) == "Argument"}
    options = [
        _as_typer(each, spelled.get(each.name) or each.name.replace("_", "-"), places)
        for each in parameters_of(functions[0], str)
    ]
    before = (functions[0].name.replace("_", "-"),) if len(functions) > 1 else ()
    return Interface(how="Typer", options=tuple(options), before=before)


def _typer_calls(function: ast.FunctionDef) -> Iterator[tuple[str, ast.Call]]:
    """What is said of each parameter: ``typer.Option(…)`` as its default or in its annotation."""
    arguments = function.args.args
    defaults = zip(reversed(arguments), reversed(function.args.defaults), strict=False)
    said = [(place.arg, default) for place, default in defaults]
    said += [(place.arg, place.annotation) for place in arguments if place.annotation is not None]
    for name, where in said:
        yield from ((name, call) for call in _calls(where, "Option", "Argument"))


def _declared_option(call: ast.Call) -> str:
    """``n-layers`` of ``typer.Option(2, "--n-layers", "-n")``, ``amp/--slow`` of ``"--amp/--slow"``."""
    texts = (literal(each) for each in call.args)
    long = (each for each in texts if isinstance(each, str) and each.startswith("--"))
    return next(long, "").removeprefix("--")


def _as_typer(option: Declared, spelled: str, places: Collection[str]) -> Declared:
    words: tuple[str, ...] = ()
    name, _, off = spelled.partition("/")
    if option.required or name in places:
        words = (f"{{{name}}}",)
    elif option.type == "bool":
        words = (f"{{{name}:--{name}/{off or f'--no-{name}'}}}",)
    return Declared(
        name=name, default=option.default, type=option.type, choices=option.choices,
        required=option.required, words=words,
    )  # fmt: skip


def _of_absl(tree: ast.Module) -> Interface | None:
    """``flags.DEFINE_float("lr", 0.1, "…")``."""
    kinds = {"DEFINE_float": "float", "DEFINE_integer": "int", "DEFINE_string": "str", "DEFINE_enum": "str"}
    found = []
    for call in _calls(tree, *kinds):
        name = literal(call.args[0]) if call.args else None
        default = literal(call.args[1]) if len(call.args) > 1 else _words(call).get("default")
        choices = literal(call.args[-2]) if name_of(call) == "DEFINE_enum" and call.args[3:] else []
        if isinstance(name, str):
            listed = tuple(choices) if isinstance(choices, list) else ()
            found.append(Declared(name=name, default=default, type=kinds[name_of(call)], choices=listed))
    return Interface(how="absl flags", options=tuple(found)) if found else None


def _of_environment(tree: ast.Module) -> Interface | None:
    """``os.environ.get("SM_HP_LR", 0.1)``: what every trial finds there."""
    found = []
    for call in _calls(tree, "get", "getenv"):
        name = literal(call.args[0]) if call.args else None
        if isinstance(name, str) and name.startswith("SM_HP_"):
            default = literal(call.args[1]) if len(call.args) > 1 else None
            plain = plain_value(default) if isinstance(default, str) else default
            found.append(called(name.removeprefix("SM_HP_").lower(), plain))
    return Interface(how="variables of the environment", options=tuple(found)) if found else None


def _of_constants(tree: ast.Module, program: str) -> Interface | None:
    """``LR = 0.1`` at the top: no trial can change it before the script asks for its value."""
    found = {}
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if _CONSTANT.match(name):
                found[name] = literal(value)
            case ast.AnnAssign(target=ast.Name(id=name), value=value) if _CONSTANT.match(name):
                found[name] = literal(value)
    plain = {name: value for name, value in found.items() if isinstance(value, int | float)}
    if not plain:
        return None
    example, now = next(iter(plain.items()))
    line = next(node.lineno for node in tree.body if example in ast.dump(node))
    return Interface(
        how="constants at its top",
        options=tuple(called(name.lower(), value) for name, value in plain.items()),
        advice=f"{program} sets {', '.join(plain)} itself, whatever a trial is given; have it ask for each: "
        f"from trialjob.reporting import get_context; values = get_context().hyperparameters; "
        f'{example} = values.get("{example.lower()}", {now!r}) in line {line}',
    )
