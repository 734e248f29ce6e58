"""JSON values, and how they are written: canonically for digests, strictly for people and programs.

Rule: two equal values have one canonical text, so a digest of it identifies the value.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, TypeGuard

#: What is nested is not typed again, because a recursive alias needs Python 3.12.
Json: TypeAlias = bool | int | float | str | Sequence[Any] | Mapping[str, Any] | None


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether ``value`` is a number; to Python, a boolean is one as well."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_utf8(text: str) -> bool:
    """Whether ``text`` can be written as UTF-8: half of a surrogate pair cannot."""
    return text == text.encode(errors="replace").decode()


def canonical_json(value: Json) -> str:
    """Text of ``value`` with sorted keys and no spaces; raises ValueError on NaN and infinities."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Json) -> str:
    """First 16 hexadecimal digits of the SHA-256 of the canonical text."""
    return hashlib.sha256(canonical_json(value).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def strict_json(value: Json, *, indent: int | None = 2) -> str:
    """``value`` as JSON in plain ASCII, with null for every number that JSON cannot hold.

    Without an indent it is on one line and has no spaces.
    """
    separators = (",", ":") if indent is None else None
    return json.dumps(_finite(value), indent=indent, separators=separators, allow_nan=False)


def _finite(value: Json) -> Json:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value
