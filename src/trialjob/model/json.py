"""JSON values, and the one canonical way to write them.

Rule: two equal values have one text, so a digest of the text identifies the value.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

#: What is nested is not typed again, because a recursive alias needs Python 3.12.
Json: TypeAlias = bool | int | float | str | Sequence[Any] | Mapping[str, Any] | None


def canonical_json(value: Json) -> str:
    """Text of ``value`` with sorted keys and no spaces; raises ValueError on NaN and infinities."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Json) -> str:
    """First 16 hexadecimal digits of the SHA-256 of the canonical text."""
    return hashlib.sha256(canonical_json(value).encode("utf-8", "surrogatepass")).hexdigest()[:16]
