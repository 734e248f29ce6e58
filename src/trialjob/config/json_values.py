"""Any value → a JSON value that a journal can keep and a process can be given, or what is unfit for that.

Rule: what comes out shares nothing with what went in, holds no cycle, and has only lists, dicts and scalars.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trialjob.config.paths import shown, shown_at
from trialjob.model.json import is_utf8
from trialjob.model.paths import Part
from trialjob.model.secret import Secret

MAX_DEPTH = 50
MAX_INT = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A word of a YAML file that looks like a number or a date and is none."""

    text: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfit:
    """What was found at a place that no journal can keep."""

    path: tuple[Part, ...]
    message: str
    #: None where it depends on what the place takes.
    remedy: str | None
    value: object = None


def plain(value: object, unfit: list[Unfit], path: tuple[Part, ...] = ()) -> Any:  # noqa: ANN401 - JSON
    """``value`` as plain JSON; what cannot be so is added to ``unfit`` and left out as None."""
    if len(path) > MAX_DEPTH:
        _refuse(unfit, path[:3], "is nested too deeply", f"write at most {MAX_DEPTH} levels")
        return None
    if isinstance(value, Secret):
        return value.document()
    if isinstance(value, Mapping):
        return _mapping(value, unfit, path)
    if isinstance(value, list | tuple):
        return [plain(item, unfit, (*path, place)) for place, item in enumerate(value)]
    return _scalar(value, unfit, path)


def _mapping(value: Mapping[Any, object], unfit: list[Unfit], path: tuple[Part, ...]) -> dict[str, Any]:
    result = {}
    for key, item in value.items():
        if not isinstance(key, str):
            name = shown(key.text if isinstance(key, Unreadable) else key)
            _refuse(unfit, path, f"has the key {name}, which is no text", "put the key in quotes")
        elif _is_text(key):
            result[key] = plain(item, unfit, (*path, key))
        else:
            _refuse(unfit, path, f"has the key {shown(key)}", "leave the control characters out")
    return result


def _scalar(value: object, unfit: list[Unfit], path: tuple[Part, ...]) -> object:
    if isinstance(value, str):
        if _is_text(value):
            return value
        remedy = "leave NUL characters and lone surrogates out"
        _refuse(unfit, path, f"{shown_at(path, value)} cannot be given to a process", remedy)
        return None
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if -MAX_INT - 1 <= value <= MAX_INT:
            return value
        what = "is a whole number of more than 64 bits"
    elif isinstance(value, float):
        if math.isfinite(value):
            return value
        what = f"{value} is not a finite number"
    elif isinstance(value, Unreadable):
        text = shown_at(path, value.text)
        what = f"line {value.line}: {text} looks like a number or a date, and cannot be read as one"
    elif isinstance(value, type):
        _refuse(unfit, path, f"is the class {value.__name__} itself", f"make one of it: {value.__name__}(…)")
        return None
    else:
        what = f"{value} is a {type(value).__name__}, which a spec cannot hold"
    unfit.append(Unfit(path=path, message=what, remedy=None, value=value))
    return None


def _is_text(text: str) -> bool:
    return "\0" not in text and is_utf8(text)


def _refuse(unfit: list[Unfit], path: tuple[Part, ...], message: str, remedy: str) -> None:
    unfit.append(Unfit(path=path, message=message, remedy=remedy))
