"""A line as a person would see it: without colours, and with the control characters that a service wrote out.

Rule 1: some services' logs show a control character as ``#`` and its code in three octal digits: ``#011`` is
a tab, ``#015`` ends a line, ``#033`` begins a colour, ``#010`` goes back. Where a script prints such a text
on purpose, a regular expression that matches nothing of this is tried on the line as it is.
Rule 2: the common line, which has nothing of the kind, costs one search.
"""

from __future__ import annotations

import re
from typing import Final

_SPECIAL: Final = re.compile("[\x00\x08\x1b\x9b\ufeff]|#(?:0[0-3][0-7]|177)")
_OCTAL: Final = re.compile(r"#(0[0-3][0-7]|177)")
#: Colours and erasing show nothing; what moves the cursor leaves a gap.
_NOTHING: Final = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[mK]|\x1b\\][^\x07\x1b]*(?:\x07|\x1b\\\\|$)"
    "|\x1b[()][0-9A-B]|[\x00\x7f\ufeff]"
)
_MOVE: Final = re.compile("(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]?|\x1b[ -/]*[0-~]?")
_BREAK: Final = re.compile(r"\r\n|\r|\n")


def plain(text: str) -> list[str] | None:
    """What is seen of a line, in as many lines as it shows; None when that is the text itself."""
    if _SPECIAL.search(text) is None:
        return None
    decoded = _OCTAL.sub(lambda code: chr(int(code[1], 8)), text)
    decoded = _MOVE.sub(" ", _NOTHING.sub("", decoded))
    return [_overwritten(piece) for piece in _BREAK.split(decoded)]


def _overwritten(text: str) -> str:
    """What is left once backspaces have gone back and something else was written there."""
    text = text.rstrip("\b")  # where nothing follows, nothing is lost
    if "\b" not in text:
        return text
    seen: list[str] = []
    for character in text:
        if character != "\b":
            seen.append(character)
        elif seen:
            seen.pop()
    return "".join(seen)
