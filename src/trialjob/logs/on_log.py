"""The user's patterns for lines of a log, and what is to follow from each.

Rule: no line can stall it. A long one is looked at near its two ends, and patterns that may take for ever
are refused where they are written.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator, Sequence
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
    return any(True for _ in _nested(regex))


def runs_away(regex: str) -> bool:
    r"""Whether it surely takes such time: two turns of a repeat read what one does, and the rest may fail.

    ``(\w+ ?)*acc`` does; ``(\w+=\d+ )*acc``, whose turns have but one way to end, does not.
    """
    whole = compiled(regex)
    try:
        return any(
            _may_fail(rest) and any(_ends_twice(group, text, whole.flags) for text in _texts(group))
            for group, rest in _nested(regex)
        )
    except ValueError:  # a part that means nothing by itself
        return False


def _nested(regex: str) -> Iterator[tuple[str, str]]:
    """Each group that is repeated without bound and has such a repeat in it, and what follows its repeat."""
    #: For each open group, where it begins, and whether a repeat without bound has been seen in it.
    open_groups = [(0, False)]
    parts = [*_TOKEN.finditer(regex)]
    for part, following in zip(parts, [*parts, None][1:], strict=True):
        if part[0] == "(":
            open_groups.append((part.start(), False))
        elif part[0] == ")" and len(open_groups) > 1:
            begin, inner = open_groups.pop()
            if inner and following is not None and _UNBOUNDED.fullmatch(following[0]):
                yield regex[begin : part.end()], regex[following.end() :]
            open_groups[-1] = (open_groups[-1][0], open_groups[-1][1] or inner)
        elif _UNBOUNDED.fullmatch(part[0]):
            open_groups[-1] = (open_groups[-1][0], True)


def _texts(group: str) -> Iterator[str]:
    """What one turn of a repeat might read: a character, or a short word that stands in it.

    Short, as the group may take time that doubles with each character here, too.
    """
    yield from dict.fromkeys([*string.printable.strip(), " ", "\t", *re.findall(r"\b\w{2,3}\b", group)])


def _ends_twice(group: str, text: str, flags: int) -> bool:
    """Whether ``group`` reads ``text`` and, from the same place, ``text`` twice, amid more of the same."""
    line = text * 5

    def reads(begin: int, times: int) -> bool:
        rest = re.escape(line[(begin + times) * len(text) :])
        found = compiled(f"(?:{group})(?={rest}\\Z)", flags).match(line, begin * len(text))
        return found is not None

    return reads(1, 1) and reads(2, 1) and reads(1, 2)


def _may_fail(rest: str) -> bool:
    """Whether what follows a repeat can be missing from a line, so that all ways through it are tried."""
    if rest.startswith("+"):  # which keeps what it has read
        return False
    behind = compiled(rest.removeprefix("?").lstrip(")"))
    return any(behind.match(text) is None for text in ("", "\x00", "a", "0", " "))
