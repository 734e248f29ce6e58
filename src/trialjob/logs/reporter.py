"""The lines of reporters: our own in the job, and Syne Tune's."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

_MARK: Final = re.compile(r"\[trialjob\] ?(?=\{)")
#: What Syne Tune's ``Reporter`` prints, and the names that it keeps to itself.
_TUNE_METRIC: Final = re.compile(r"\[tune-metric\]: ?(?=\{)")
_TUNE_OWN: Final = "st_"
_JSON: Final = json.JSONDecoder()
#: How our reporter spells what JSON has no numbers for.
_SPELLED: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def first_mark(text: str) -> re.Match[str] | None:
    """Where the first line of our reporter begins, if there is one."""
    return _MARK.search(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A whole line of our reporter."""

    number: str
    #: More of the same number follows.
    is_part: bool
    metrics: Mapping[str, float]


def sent_in(text: str, mark: re.Match[str] | None) -> list[Sent]:
    """The whole lines of our reporter from ``mark`` on."""
    sent = []
    while mark is not None:
        found, end = _object_at(text, mark.end())
        if found is not None:
            metrics = _numbers(found.get("metrics"), _SPELLED)
            sent.append(Sent(number=str(found.get("seq")), is_part=bool(found.get("part")), metrics=metrics))
        # A process may have died within its line, and another one's line follows on it.
        mark = _MARK.search(text, end)
    return sent


def tuned_in(text: str) -> Iterator[tuple[int, str, float]]:
    """Where a line of Syne Tune's reporter says what of which metric, but for its own."""
    mark = _TUNE_METRIC.search(text) if "[tune-metric]" in text else None
    while mark is not None:
        found, end = _object_at(text, mark.end())
        for name, value in _numbers(found, {}).items():
            if not name.startswith(_TUNE_OWN):
                yield mark.start(), name, value
        mark = _TUNE_METRIC.search(text, end)


def _object_at(text: str, start: int) -> tuple[Mapping[str, object] | None, int]:
    """The JSON object that begins at ``start`` and where it ends; None where it is torn."""
    try:
        found, end = _JSON.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None, start
    return found, end


def _numbers(metrics: object, spelled: Mapping[str, float]) -> dict[str, float]:
    named = metrics.items() if isinstance(metrics, dict) else ()
    return {name: number for name, value in named if (number := _number(value, spelled)) is not None}


def _number(value: object, spelled: Mapping[str, float]) -> float | None:
    if isinstance(value, str):
        return spelled.get(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
