"""Places in a spec as people write: ``limits.max_trials``, ``metrics[0].regex``, ``space["a.b"].lower``."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from trialjob.errors import Problem
from trialjob.model.masking import masked, names_secret
from trialjob.model.paths import PLAIN, Part, path_text

_PART = re.compile(r"\.([^.\[\]=\"\s]+)|\[(\d{1,6})\]|\[(\"(?:[^\"\\]|\\.)*\")\]")
#: A value in a message is cut to this length.
_LONGEST_VALUE = 80


def parse_path(text: str) -> list[Part] | None:
    """The parts of a path, or None when it is none."""
    parts: list[Part] = []
    rest = f".{text}" if PLAIN.match(text) else text
    while rest:
        match = _PART.match(rest)
        if match is None:
            return None
        name, index, quoted = match.groups()
        try:
            parts.append(name or (int(index) if index else str(json.loads(quoted))))
        except ValueError:
            return None
        rest = rest[match.end() :]
    return parts or None


def shown(value: object) -> str:
    """A value for a message: as JSON where it can be, and never long; of a path one sees the end as well."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = type(value).__name__
    half = _LONGEST_VALUE // 2
    return text if len(text) <= _LONGEST_VALUE else f"{text[:half]}…{text[-half:]}"


def shown_at(path: Sequence[Part], value: object) -> str:
    """A value for a message about ``path``; what is secret there, or in the value itself, is not shown."""
    if any(names_secret(str(part), str(value)) for part in path):
        return "the value"
    return shown(masked(value)) if isinstance(value, str | list | dict) else shown(value)


def problem_at(path: tuple[Part, ...], message: str, remedy: str) -> Problem:
    """A problem at a place of the spec."""
    return Problem(field=path_text(path), message=message, remedy=remedy)
