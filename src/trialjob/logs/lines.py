r"""Cuts what a job prints into lines, the same for every backend and for a file.

Rule 1: ``\n``, ``\r\n`` and ``\r`` end a line, as progress bars go back to its start with ``\r`` alone;
nothing else does. Where a line ends depends on the bytes before it, not on when they are read.
Rule 2: no line takes more memory than ``MAX_LINE``: a longer one is cut into pieces, if possible not within
a word or a number.
"""

from __future__ import annotations

import re
from typing import Final

#: A longer line is cut into pieces; in bytes.
MAX_LINE: Final = 64 << 10
#: So far before that a place is looked for where nothing is torn.
_SEAM_WITHIN: Final = 512

BREAK: Final = re.compile(rb"\r\n|\n|\r")
#: Up to the last byte that belongs to no word and to no number.
_TO_SEAM: Final = re.compile(rb".*[^0-9A-Za-z.,_+'#%\x80-\xff-]", re.DOTALL)
_CONTINUES: Final = range(0x80, 0xC0)


def cut(data: bytes, *, final: bool, most: int | None = None) -> list[tuple[bytes, int]]:
    """At ``most`` so many lines, and where each ends with its break.

    Bytes that are not yet known to be a whole line are left over, unless they are the ``final`` ones.
    """
    lines: list[tuple[bytes, int]] = []
    at = 0
    while at < len(data) and (most is None or len(lines) < most):
        found = BREAK.search(data, at, at + MAX_LINE + 2)
        if found is not None and found.start() - at <= MAX_LINE:
            if found.end() == len(data) and found[0] == b"\r" and not final:
                break  # a \n may follow
            text, after = data[at : found.start()], found.end()
        elif len(data) - at > MAX_LINE:
            after = _seam(data, at)
            text = data[at:after]
        elif final:
            text, after = data[at:], len(data)
        else:
            break
        at = after
        lines.append((text, at))
    return lines


def lines_of(text: str) -> list[str]:
    """The lines of a whole text; there is one at least."""
    if "\r" not in text and "\n" not in text and len(text) <= MAX_LINE // 4:
        return [text]
    return [
        line.decode("utf-8", "replace") for line, _ in cut(text.encode("utf-8", "replace"), final=True)
    ] or [""]


def _seam(data: bytes, at: int) -> int:
    """Where to cut a line that is too long."""
    end = at + MAX_LINE
    found = _TO_SEAM.match(data, end - _SEAM_WITHIN, end)
    if found is not None:
        return found.end()
    for place in range(end, end - 4, -1):
        if data[place] not in _CONTINUES:
            return place
    return end
