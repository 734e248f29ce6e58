"""Whether a script refuses options that it does not declare, read off its source; nothing is run.

Rule: what cannot be seen for sure is not reported. It is sure of a script that makes one ``ArgumentParser``,
asks nothing but options of it, and reads the command line by ``parse_args()``; a parser that is handed on,
words that are computed, and ``parse_known_args`` leave it open.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

from trialjob.config.script_options import last_name, parsed, source_files

#: What a parser may be told without taking more, or other, words than it declares.
_HARMLESS = {"prog", "usage", "description", "epilog", "formatter_class", "add_help", "argument_default"}
#: What may be asked of a parser, and leaves what it takes in sight.
_ASKED = {
    "add_argument", "add_argument_group", "add_mutually_exclusive_group", "set_defaults", "get_default",
    "parse_args", "print_help", "print_usage", "format_help", "format_usage", "error", "exit",
}  # fmt: skip
#: Words by which a script may read more, or change what it reads.
_OPENING = {"parse_known_args", "parse_known_intermixed_args", "add_subparsers", "REMAINDER", "argv"}


def refuses_others(folder: Path, entry_point: str) -> bool:
    """True when an option that no ``add_argument`` of the script declares surely ends it."""
    trees = [parsed(path) for path in source_files(folder, entry_point)]
    nodes = [node for tree in trees if tree is not None for node in ast.walk(tree)]
    if None in trees or any(last_name(node) in _OPENING for node in nodes):
        return False
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    return (
        len([call for call in calls if last_name(call.func) == "ArgumentParser"]) == 1
        and all(_is_plain(call) for call in calls if last_name(call.func) == "add_argument")
        and any(_keeps_to(name, nodes) for name in _parsers(nodes))
    )


def _is_plain(call: ast.Call) -> bool:
    """Whether the names of an option stand there as they are."""
    return bool(call.args) and all(
        isinstance(word, ast.Constant) and isinstance(word.value, str) for word in call.args
    )


def _parsers(nodes: Sequence[ast.AST]) -> Iterator[str]:
    for node in nodes:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as call):
                words = {word.arg for word in call.keywords}
                if last_name(call.func) == "ArgumentParser" and words <= _HARMLESS:
                    yield name


def _keeps_to(name: str, nodes: Sequence[ast.AST]) -> bool:
    """Whether the parser of that name is asked for options only, and then to read the command line."""
    asked = {id(node.value): node.attr for node in nodes if isinstance(node, ast.Attribute)}
    uses = [
        asked.get(id(node), "")
        for node in nodes
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)
    ]
    reads = [node for node in nodes if isinstance(node, ast.Call) and last_name(node.func) == "parse_args"]
    return set(uses) <= _ASKED and bool(reads) and not any(call.args or call.keywords for call in reads)
