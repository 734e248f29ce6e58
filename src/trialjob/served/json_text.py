"""What a program sends to a server, as JSON: also the scalars that its libraries compute with."""

from __future__ import annotations

import json
import math

from trialjob.errors import UsageError
from trialjob.model.json import Json


def json_bytes(value: Json) -> bytes:
    """``value`` as JSON; a scalar of NumPy, torch and others is the number that it is, as for ``report``.

    Raises UsageError for what is none.
    """
    try:
        return json.dumps(value, default=_plain).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(
            f"a server cannot be sent this as JSON: {error}\n  → give numbers, texts, lists and mappings"
        ) from error


def _plain(value: object) -> bool | int | float | str:
    """A number that json does not know. Raises TypeError, and ValueError for one that no float can hold."""
    item = getattr(value, "item", None)
    try:
        found = item() if callable(item) else float(value)  # type: ignore[arg-type]  # which is tried
    except Exception as error:
        raise TypeError(f"{str(value)[:80]} is a {type(value).__name__}") from error
    if not isinstance(found, bool | int | float | str):
        raise TypeError(f"{str(value)[:80]} is a {type(value).__name__}")
    if isinstance(found, float) and math.isinf(found) and found != value:  # such as Decimal("1e400")
        raise ValueError(f"{str(value)[:80]} is too large for a float")
    return found
