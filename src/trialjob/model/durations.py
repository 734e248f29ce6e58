"""Durations as people write them: ``90s``, ``10m``, ``1h30m``, ``500ms``, or a plain number of seconds."""

from __future__ import annotations

import math
import re
from typing import Final

from trialjob.errors import UsageError
from trialjob.model.json import is_number

FORMS: Final = "write 90s, 10m, 2h, 1d, 1h30m, 500ms, or a number of seconds above 0"

#: Milliseconds of each unit, the largest first, which is also the order in which they may follow each other.
_UNITS: Final = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_NUMBER: Final = r"[0-9]{1,15}(?:\.[0-9]{1,15})?"
_PLAIN = re.compile(_NUMBER)
_PARTS = re.compile("".join(rf"(?:({_NUMBER}){unit})?" for unit in _UNITS))


def parse_duration(value: object) -> float:
    """Seconds; ValueError when ``value`` is no duration above 0."""
    seconds = _seconds(value)
    if seconds is None or not math.isfinite(seconds) or seconds <= 0:
        raise ValueError("is not a duration")
    return seconds


def duration_said(text: object, where: str, forms: str = FORMS) -> float:
    """The same of what was written ``where``. Raises UsageError."""
    try:
        return parse_duration(text)
    except ValueError:
        raise UsageError(f"{where} {text!r} is no duration; {forms}") from None


def format_duration(seconds: float) -> str | float:
    """A form that ``parse_duration`` reads as the same number of seconds."""
    rest = round(seconds * 1000) if seconds < _UNITS["d"] else 0
    text = ""
    for unit, size in _UNITS.items():
        count, rest = divmod(rest, size)
        text += f"{count}{unit}" if count else ""
    return text if text and _seconds(text) == seconds else seconds


def _seconds(value: object) -> float | None:
    if is_number(value):
        return float(value)
    if not isinstance(value, str) or not value:
        return None
    if _PLAIN.fullmatch(value):
        return float(value)
    match = _PARTS.fullmatch(value)
    if match is None:
        return None
    return sum(float(n) * size for n, size in zip(match.groups("0"), _UNITS.values(), strict=True)) / 1000
