"""The options that a Python script declares, read off its source; nothing is run.

Rule: what cannot be seen for sure is not reported. It reads the entry point and what that imports of the same
folder, and knows argparse, optparse and click.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

_MOST_FILES = 100
_MOST_BYTES = 1_000_000


class OptionKind(Enum):
    """What an option makes of a text behind it."""

    VALUE = "value"
    #: Given or absent, as ``store_true`` and click's ``is_flag``.
    FLAG = "flag"
    #: Given for false, as ``store_false``.
    FLAG_FOR_FALSE = "flag for false"
    #: ``--x`` or ``--no-x``.
    PAIR = "pair"
    #: ``type=bool``, to which every text but the empty one is true.
    TRUTHY = "truthy"
    #: Given as often as it counts, or for a value of its own: ``count``, ``store_const``, ``append_const``.
    COUNTED = "counted"
    #: Takes several words, as ``nargs="+"``.
    WORDS = "words"
    #: Given once for each element, as ``action="append"``.
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptOption:
    """One option, as it is declared."""

    #: All its spellings, with their dashes.
    names: tuple[str, ...]
    kind: OptionKind
    #: What a pair is given for false.
    off: str = ""
    #: The name in the script, where it is not that of a spelling.
    dest: str = ""
    #: How the source says so, such as ``action="store_true"``.
    said: str
    file: str
    line: int
    #: The other words of the declaration, as they stand in the source.
    keywords: Mapping[str, ast.expr] = field(default_factory=dict, compare=False, repr=False)

    @property
    def longest(self) -> str:
        """The spelling that says most."""
        return max(self.names, key=len)

    def is_spelled(self, name: str) -> bool:
        """Whether a hyperparameter is called like the option, but for hyphens."""
        plain = {spelling.lstrip("-").replace("-", "_") for spelling in self.names}
        return name.replace("-", "_") in plain

    def means(self, name: str) -> bool:
        """Whether a hyperparameter of that name means this option."""
        return self.is_spelled(name) or name.replace("-", "_") == self.dest


def script_options(folder: Path, entry_point: str) -> list[ScriptOption]:
    """What the script declares, in the order of its files and lines."""
    found: list[ScriptOption] = []
    for path in source_files(folder, entry_point):
        tree = parsed(path)
        calls = [] if tree is None else [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        for call in calls:
            option = _option(call, path.relative_to(folder).as_posix())
            if option is not None:
                found.append(option)
    return found


def source_files(folder: Path, entry_point: str) -> Iterator[Path]:
    """The entry point and, from module to module, what it imports of its own folder and of the top one."""
    waiting, known = [folder / entry_point], set[Path]()
    while waiting and len(known) < _MOST_FILES:
        path = waiting.pop(0)
        if path in known or path.suffix != ".py" or not path.is_file():
            continue
        known.add(path)
        yield path
        tree = parsed(path)
        for module in imported(tree) if tree else ():
            place = module.replace(".", "/")
            for home in {path.parent, (folder / entry_point).parent, folder}:
                waiting += [home / f"{place}.py", home / place / "__init__.py"]


def parsed(path: Path) -> ast.Module | None:
    try:
        if path.stat().st_size > _MOST_BYTES:
            return None
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def imported(tree: ast.Module) -> Iterator[str]:
    """The modules that a module imports, and those that what it imports of them may be."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (each.name for each in names)
            case ast.ImportFrom(module=module, names=names):
                if module:
                    yield module
                yield from (f"{module}.{each.name}" if module else each.name for each in names)


def _option(call: ast.Call, file: str) -> ScriptOption | None:
    name = last_name(call.func)
    if name not in ("add_argument", "add_option", "option"):
        return None
    names = tuple(
        word.value
        for word in call.args
        if isinstance(word, ast.Constant) and isinstance(word.value, str) and word.value.startswith("-")
    )
    if not names:
        return None
    given = {word.arg: word.value for word in call.keywords if word.arg}
    kind, said = _click(names, given) if name == "option" else _argparse(given)
    dest = given.get("dest")
    return ScriptOption(
        names=tuple(spelling.partition("/")[0].strip() for spelling in names),
        kind=kind,
        off=_off(names) if kind is OptionKind.PAIR else "",
        dest=str(dest.value) if isinstance(dest, ast.Constant) else "",
        said=said,
        file=file,
        line=call.lineno,
        keywords=given,
    )


def _off(names: tuple[str, ...]) -> str:
    """What says false: click writes it behind a slash, argparse makes it."""
    for name in names:
        if "/" in name:
            return name.partition("/")[2].strip()
    return next((f"--no-{name[2:]}" for name in names if name.startswith("--")), "")


def _argparse(given: dict[str, ast.expr]) -> tuple[OptionKind, str]:
    action, type_ = given.get("action"), given.get("type")
    text = action.value if isinstance(action, ast.Constant) else last_name(action)
    if text == "store_false":
        return OptionKind.FLAG_FOR_FALSE, 'action="store_false"'
    if text == "store_true":
        return OptionKind.FLAG, 'action="store_true"'
    if text in ("store_const", "count", "append_const"):
        return OptionKind.COUNTED, f'action="{text}"'
    if text == "BooleanOptionalAction":
        return OptionKind.PAIR, "action=BooleanOptionalAction"
    if (words := _several(given)) is not None:
        return OptionKind.WORDS, f"nargs={words}"
    if text == "append":
        return OptionKind.REPEATED, 'action="append"'
    if last_name(type_) == "bool":
        return OptionKind.TRUTHY, "type=bool"
    return OptionKind.VALUE, ""


def _several(given: dict[str, ast.expr]) -> str | None:
    """How the source says that an option takes several words; None where it does not for sure."""
    nargs = _constant(given, "nargs")
    if nargs in ("+", "*"):
        return f'"{nargs}"'
    return str(nargs) if isinstance(nargs, int) and nargs > 1 else None


def _constant(given: dict[str, ast.expr], name: str) -> object:
    node = given.get(name)
    return node.value if isinstance(node, ast.Constant) else None


def _click(names: tuple[str, ...], given: dict[str, ast.expr]) -> tuple[OptionKind, str]:
    if slashed := [name for name in names if "/" in name]:
        return OptionKind.PAIR, repr(slashed[0])
    said = {"is_flag": OptionKind.FLAG, "multiple": OptionKind.REPEATED, "count": OptionKind.COUNTED}
    for word, kind in said.items():
        if _constant(given, word) is True:
            return kind, f"{word}=True"
    if (words := _several(given)) is not None:
        return OptionKind.WORDS, f"nargs={words}"
    return OptionKind.VALUE, ""  # click's bool reads false, no and 0 as they are meant


def last_name(node: ast.AST | None) -> str:
    """The last part of ``a.b.c``, also where it is imported; "" for anything else."""
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name) | ast.alias(name=name):
            return name
        case _:
            return ""
