"""Any value → a JSON value that a journal can keep and a process can be given, or problems.

Rule: what comes out shares nothing with what went in, holds no cycle, and has only lists, dicts and scalars.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from trialjob.config.paths import shown, shown_at
from trialjob.errors import Problem
from trialjob.model.paths import Part, path_text
from trialjob.model.secret import Secret

MAX_DEPTH = 50
_MAX_INT = 2**63


def plain(value: object, problems: list[Problem], path: tuple[Part, ...] = ()) -> Any:  # noqa: ANN401 - JSON
    """``value`` as plain JSON; what cannot be so is added to ``problems`` and left out as None."""
    if len(path) > MAX_DEPTH:
        _refuse(problems, path[:3], "is nested too deeply", f"write at most {MAX_DEPTH} levels")
        return None
    if isinstance(value, Secret):
        return value.document()
    if isinstance(value, Mapping):
        return _mapping(value, problems, path)
    if isinstance(value, list | tuple):
        return [plain(item, problems, (*path, place)) for place, item in enumerate(value)]
    return _scalar(value, problems, path)


def _mapping(value: Mapping[Any, object], problems: list[Problem], path: tuple[Part, ...]) -> dict[str, Any]:
    result = {}
    for key, item in value.items():
        if not isinstance(key, str):
            _refuse(problems, path, f"has the key {shown(key)}, which is no text", "put the key in quotes")
        elif _is_text(key):
            result[key] = plain(item, problems, (*path, key))
        else:
            _refuse(problems, path, f"has the key {shown(key)}", "leave the control characters out")
    return result


def _scalar(value: object, problems: list[Problem], path: tuple[Part, ...]) -> object:
    if isinstance(value, str):
        if _is_text(value):
            return value
        remedy = "leave NUL characters and lone surrogates out"
        _refuse(problems, path, f"{shown_at(path, value)} cannot be given to a process", remedy)
        return None
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if -_MAX_INT <= value < _MAX_INT:
            return value
        _refuse(problems, path, "is a whole number of more than 64 bits", _instead(path, "a smaller one"))
        return None
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        _refuse(problems, path, f"{value} is not a finite number", _instead(path, "a finite number"))
        return None
    what = f"{value} is a {type(value).__name__}, which a spec cannot hold"
    _refuse(problems, path, what, "put the value in quotes to have it as text")
    return None


def _instead(path: tuple[Part, ...], number: str) -> str:
    """What to write for a number that a spec cannot hold; quotes only where a text is taken as well."""
    match path:
        case ("estimator", "hyperparameters" | "environment", *_) | ("points_to_evaluate", *_):
            return f"write {number}, or quote it to have it as text"
        case ("space", *_, "values", _):
            return f"write {number}, or quote it to have it as text"
        case _:
            return f"write {number}"


def _is_text(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _refuse(problems: list[Problem], path: tuple[Part, ...], message: str, remedy: str) -> None:
    problems.append(Problem(field=path_text(path), message=message, remedy=remedy))
