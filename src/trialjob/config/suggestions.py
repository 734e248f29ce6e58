"""What to write instead of a value that no spec can hold, such as a date or a number of 100 digits.

Rule: a suggested replacement has been tried. It is the first replacement that the spec's grammar takes at
that place; where it takes none, its own words say what belongs there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

from trialjob.config.error_messages import NOT_KNOWN, TO_TEXT
from trialjob.config.json_values import MAX_INT, Unfit, Unreadable
from trialjob.errors import Problem
from trialjob.model.paths import Part, path_text

#: The most values that are named one by one.
_MOST = 20
_QUOTED = "put it in quotes"
Complaints = Callable[[dict[str, Any]], Sequence[Problem]]


def problems_with(document: dict[str, Any], unfit: Sequence[Unfit], complaints: Complaints) -> list[Problem]:
    """All of ``unfit`` in words; of thousands the first, as each is tried on the whole spec."""
    found = [problem_with(document, each, complaints) for each in unfit[:_MOST]]
    more = len(unfit) - len(found)
    if more:
        found.append(Problem(field="", message=f"and {more:,} more such values", remedy="mend the same way"))
    return found


def problem_with(document: dict[str, Any], unfit: Unfit, complaints: Complaints) -> Problem:
    """``unfit`` in words; ``complaints`` says what is wrong with a document that has only fit values."""
    remedy = unfit.remedy
    if remedy is None:
        remedy = _remedy(document, unfit, complaints)
    return Problem(field=path_text(unfit.path), message=unfit.message, remedy=remedy)


def _remedy(document: dict[str, Any], unfit: Unfit, complaints: Complaints) -> str:
    def refused(value: object) -> str | None:
        found = _refused(complaints(_with(document, unfit.path, value)), unfit.path)
        return None if found is None or found.message == NOT_KNOWN else found.remedy

    as_text = refused(_text(unfit.value))
    if as_text is None:
        return _QUOTED
    if isinstance(unfit.value, float) and as_text.startswith("write a") and "number" in as_text:
        return "write a finite number"
    if not isinstance(unfit.value, int):
        return as_text
    bound, words = (MAX_INT, "at most") if unfit.value > 0 else (-MAX_INT, "at least")
    as_number = refused(bound)
    if as_number is None:
        return f"write a number of {words} {bound}"
    if as_number == TO_TEXT:
        return as_text
    # What is said of another number in its place, such as "swap them", need not be true of this one.
    written = as_number.startswith(("write", "known"))
    return as_number if written else f"write a number of at most {len(str(MAX_INT)) - 1} digits"


def _text(value: object) -> str:
    match value:
        case Unreadable(text=text):
            return text
        case int():  # Python writes out no number of more than 4300 digits
            return ("-" if value < 0 else "") + "9" * 30
        case float() if math.isnan(value):
            return ".nan"
        case float():
            return ".inf" if value > 0 else "-.inf"
        case _:
            return str(value)


def _with(document: dict[str, Any], path: Sequence[Part], value: object) -> dict[str, Any]:
    changed = deepcopy(document)
    place: Any = changed
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    return changed


def _refused(problems: Sequence[Problem], path: Sequence[Part]) -> Problem | None:
    """The problem with what stands at ``path``, told there or of what it is in."""
    places = {path_text(path[:length]) for length in range(1, len(path) + 1)}
    at = {problem.field: problem for problem in problems if problem.field in places}
    return at[max(at, key=len)] if at else None
