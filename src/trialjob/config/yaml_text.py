"""YAML text → plain values, or a SpecError with file and line. The only place that knows ruamel.yaml.

Rule: nothing is built before it is known to be small. An alias counts as often as it is used. A text with too
much is given up where that is seen, as a megabyte of "1," would be read for twenty seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from trialjob.config.json_values import Unreadable
from trialjob.errors import Problem, SpecError

MAX_BYTES = 1_000_000
MAX_NODES = 100_000
MAX_DEPTH = 50
#: The tag of ``<<``, by which a mapping takes in others.
_MERGE = "tag:yaml.org,2002:merge"
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
#: What underscores may stand in for it to be a number, as in 1_000_000; a name such as 2024_05 is none.
_GROUPED = re.compile(r"[-+]?[0-9]{1,3}(_[0-9]{3})+(\.[0-9]*)?([eE][-+]?[0-9]+)?")


def read_text(path: Path) -> str:
    """The text of a spec file."""
    source = str(path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except IsADirectoryError:
        _refuse(source, "is a folder", "name the YAML file in it")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        _refuse(source, f"cannot be read: {why}", "check the path")
    if len(data) > MAX_BYTES:
        _refuse_large(source)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        _refuse(source, f"line {line}: this is no UTF-8 text", "a spec is a YAML text file in UTF-8")


def load_yaml(text: str, source: str, words: Mapping[str, bool] | None = None) -> Any:  # noqa: ANN401 - whatever the text holds
    """The value of a YAML text with one document; None when it is empty.

    ``words`` are what they say where they stand without quotes.
    """
    if len(text) > MAX_BYTES:  # reading it takes a minute a megabyte on a busy machine
        _refuse_large(source)
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _Bounded
    try:
        node = yaml.compose(text)
        if node is None:
            return None
        _measure(node, {}, 1, source)
        return _value(yaml, node, words or {})
    except _TooMany as error:
        _refuse_many(source, error.line)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark else ""
        _refuse(source, f"{where}{_words(error)}", _remedy(str(error.problem)))
    except YAMLError as error:
        position = getattr(error, "position", None)
        where = f"line {text.count(chr(10), 0, position) + 1}: " if isinstance(position, int) else ""
        _refuse(source, f"{where}this is no YAML text", "is it a binary file? a spec is a YAML text file")
    except RecursionError:
        _refuse(source, "is nested too deeply", f"write at most {MAX_DEPTH} levels")


class _TooMany(Exception):
    """A text has more values than a spec may have; ``line`` is where."""

    def __init__(self, line: int) -> None:
        self.line = line
        super().__init__(line)


class _Bounded(Composer):
    """Composes a text up to so many values, each anchor as often as it is defined."""

    def __init__(self, loader: Any = None) -> None:  # noqa: ANN401 - as ruamel has it
        super().__init__(loader=loader)
        self.warn_double_anchors = False  # what is warned of is kept for good, by its text
        self._left = MAX_NODES

    def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401 - as ruamel has it
        self._left -= 1
        if self._left < 0:
            raise _TooMany(self.parser.peek_event().start_mark.line + 1)
        return super().compose_node(parent, index)


def _value(yaml: YAML, node: Node, words: Mapping[str, bool]) -> Any:  # noqa: ANN401 - whatever the text holds
    """What ``node`` stands for, with a word that cannot be read as what it looks like as Unreadable."""
    built = yaml.constructor.constructed_objects
    for scalar in _scalars(node, set()):
        if scalar.tag == _MERGE:
            continue  # it has no value by itself
        try:
            yaml.constructor.construct_object(scalar)
        except (ValueError, OverflowError):
            built[scalar] = Unreadable(text=scalar.value, line=scalar.start_mark.line + 1)
        if scalar.style is None and scalar.value in words:  # no quotes
            built[scalar] = words[scalar.value]
        elif (
            not words
            and scalar.tag in _NUMBERS
            and "_" in scalar.value
            and not _GROUPED.fullmatch(scalar.value)
        ):
            built[scalar] = scalar.value
    return yaml.constructor.construct_document(node)


def _scalars(node: Node, seen: set[int]) -> Iterator[ScalarNode]:
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, ScalarNode):
        yield node
    for child in _children(node):
        yield from _scalars(child, seen)


def _measure(node: Node, known: dict[int, int], depth: int, source: str) -> int:
    """How many nodes ``node`` stands for with all aliases written out."""
    line = f"line {node.start_mark.line + 1}: "
    if depth > MAX_DEPTH:
        _refuse(source, f"{line}nested too deeply", f"write at most {MAX_DEPTH} levels")
    if id(node) in known:
        if not known[id(node)]:
            _refuse(source, f"{line}an alias contains itself", "write the value out")
        return known[id(node)]
    # 0 marks a node whose parts are being measured: meeting it again means that it is inside itself.
    known[id(node)] = 0
    total = 1 + sum(_measure(child, known, depth + 1, source) for child in _children(node))
    if total > MAX_NODES:
        _refuse_many(source, node.start_mark.line + 1)
    known[id(node)] = total
    return total


def _children(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [child for pair in node.value for child in pair]
    return list(node.value) if isinstance(node, SequenceNode) else []


def _words(error: MarkedYAMLError) -> str:
    context = f" ({error.context})" if error.context else ""
    return f"{error.problem}{context}"


def _remedy(problem: str) -> str:
    if "\\t" in problem:
        return "indent with spaces; YAML takes no tabs"
    if "duplicate key" in problem:
        return "write each key once"
    if "another document" in problem:
        return "one file holds one experiment; remove the '---' and what follows"
    if "constructor for the tag" in problem:
        return "tags are not used in a spec; write the plain value"
    return "correct the YAML at this line"


def _refuse_many(source: str, line: int) -> NoReturn:
    _refuse(
        source,
        f"line {line}: these are more than {MAX_NODES:,} values, with what aliases stand for",
        "write fewer values and aliases",
    )


def _refuse_large(source: str) -> NoReturn:
    _refuse(source, f"is larger than {MAX_BYTES:,} bytes", "a spec is a small file; is this the right one?")


def _refuse(source: str, message: str, remedy: str) -> NoReturn:
    raise SpecError(Problem(field="", message=message, remedy=remedy), source) from None
