"""A place in a spec as it is written: ``limits.max_trials``, ``metrics[0].regex``, ``space["a.b"].lower``."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TypeAlias

Part: TypeAlias = str | int

#: A name that needs no quotes.
PLAIN = re.compile(r"[^.\[\]=\"\s]+")


def path_text(parts: Sequence[Part]) -> str:
    """The path as it is written."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        elif PLAIN.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{json.dumps(part, ensure_ascii=False)}]"
    return text
