"""A place in a spec as it is written: ``limits.max_trials``, ``metrics[0].regex``, ``space["a.b"].lower``."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Sequence
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


def nearest(name: str, known: Iterable[str]) -> str:
    """What to write instead of a name that is not known at such a place."""
    names = list(known)
    word = name.lower()
    # Other products have longer names for the same, such as median_stopping.
    begun = [each for each in names if word.startswith(f"{each}_")]
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6) or sorted(begun, key=len)[-1:]
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known here: {', '.join(names)}" if names else "nothing can be written here"
