"""The user's patterns for lines of a log, and what is to follow from each.

Rule: no line can stall it. A long one is looked at near its two ends, and patterns that may take for ever
are refused where they are written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from trialjob.logs.metrics import compiled
from trialjob.model.trial import LogAction, LogMatch

#: So much of each end of a line is looked at.
END: Final = 1_000
_SHOWN: Final = 300
#: A token of a regular expression: an escape, a set of characters, a repeat, or one character.
_TOKEN: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{\d*,\d*\}|\{\d+\}|.", re.DOTALL)
_UNBOUNDED: Final = re.compile(r"[*+]|\{\d*,\}")


class LogPatterns:
    """Looks for each pattern in a line."""

    def __init__(self, rules: Sequence[tuple[str, LogAction]], mask: Callable[[str], str] = str) -> None:
        """``mask`` takes secrets out of a line: what matches is journaled."""
        self._mask = mask
        self._rules = [(compiled(pattern), then) for pattern, then in rules]

    def __call__(self, text: str) -> Sequence[LogMatch]:
        """What is found in this line, in the order of the rules."""
        if not self._rules:
            return ()
        # Before it is cut, or a part of a secret might be left.
        text = self._mask(text)
        if len(text) > 2 * END:
            text = f"{text[:END]} … {text[-END:]}"
        return [
            LogMatch(pattern=pattern.pattern, then=then, line=_around(text, found))
            for pattern, then in self._rules
            if (found := pattern.search(text)) is not None
        ]


def _around(text: str, found: re.Match[str]) -> str:
    """The part of a line where something was found, as short as a person reads."""
    begin = max(0, min(found.start(), len(text) - _SHOWN))
    return text[begin : begin + _SHOWN].strip()


def nests_repeats(regex: str) -> bool:
    """Whether a repeat without bound stands inside of another, as in ``(a+)*``.

    Such a pattern may take time that doubles with each character of an unlucky line.
    """
    #: For each open group, whether a repeat without bound has been seen in it.
    open_groups = [False]
    parts = [part[0] for part in _TOKEN.finditer(regex)]
    for part, following in zip(parts, [*parts, ""][1:], strict=True):
        if part == "(":
            open_groups.append(False)
        elif part == ")" and len(open_groups) > 1:
            inner = open_groups.pop()
            if inner and _UNBOUNDED.fullmatch(following):
                return True
            open_groups[-1] |= inner
        elif _UNBOUNDED.fullmatch(part):
            open_groups[-1] = True
    return False
