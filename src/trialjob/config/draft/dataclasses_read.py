"""What a program takes that hands a dataclass or a function to a parser of annotations.

Of tyro and jsonargparse a class within another one is known by its place, `--optimizer.lr`; of simple-parsing
its fields are options as all others are.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from trialjob.config.draft.declared import Declared, Interface, fields_of, parameters_of
from trialjob.config.draft.literals import name_of
from trialjob.config.script_options import imported

#: Calls that do it, with the package that each is of, and how its options are spelled.
_CALLS: Final = {
    ("tyro", "cli"): "tyro",
    ("simple_parsing", "add_arguments"): "simple-parsing",
    ("simple_parsing", "parse"): "simple-parsing",
    ("jsonargparse", "CLI"): "jsonargparse",
    ("jsonargparse", "auto_cli"): "jsonargparse",
}
_DEEPEST: Final = 5


def of_dataclass(tree: ast.Module, trees: Mapping[Path, ast.Module]) -> Interface | None:
    """By the first call of such a parser that names a class or a function of the program."""
    modules = {each.split(".")[0] for each in imported(tree)}
    known = {node.name: node for each in trees.values() for node in each.body if isinstance(node, _NAMED)}
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args):
        kinds = [how for (module, name), how in _CALLS.items() if module in modules and name == name_of(call)]
        made = known.get(name_of(call.args[0]))
        if kinds and made is not None:
            return Interface(
                how=kinds[0], options=tuple(_spelled(each, kinds[0]) for each in _options(made, known))
            )
    return None


_NAMED: Final = (ast.ClassDef, ast.FunctionDef)


def _options(
    made: ast.ClassDef | ast.FunctionDef,
    known: Mapping[str, ast.ClassDef | ast.FunctionDef],
    prefix: str = "",
    depth: int = 0,
) -> Iterator[Declared]:
    """The fields of a dataclass, with those of the classes in it, or the parameters of a function."""
    if isinstance(made, ast.FunctionDef):
        found, types = (
            parameters_of(made, prefix.__add__),
            {each.arg: each.annotation for each in made.args.args},
        )
    else:
        found = fields_of(made, prefix=prefix)
        types = {
            each.target.id: each.annotation
            for each in made.body
            if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
        }
    for option in found:
        inner = known.get(name_of(types.get(option.name.removeprefix(prefix))))
        if inner is None:
            yield option
        elif depth < _DEEPEST:
            yield from _options(inner, known, f"{option.name}.", depth + 1)


def _spelled(option: Declared, how: str) -> Declared:
    if how == "simple-parsing":
        return replace(option, name=option.name.rpartition(".")[2])
    if how != "tyro":
        return option
    name = option.name.replace("_", "-")
    above, dot, last = name.rpartition(".")
    pair = (f"{{{name}:--{name}/--{above}{dot}no-{last}}}",)
    return replace(option, name=name, words=pair if option.type == "bool" else option.words)
