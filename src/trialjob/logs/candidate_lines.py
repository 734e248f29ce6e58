"""Which lines of a log came closest to having the objective's value, for a person whose regex matches none.

Rule: it only ever serves words to a person; nothing is decided by it, and a log of any length takes the
memory of a few lines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

_SHOWN: Final = 3
_LONGEST: Final = 200
_WORD: Final = re.compile(r"[A-Za-z]{2,}")
#: What stands in a regex for something else than itself: escapes, sets, and the names of groups.
_NOT_LITERAL: Final = re.compile(r"\\[A-Za-z]|\[(?:\\.|[^\]\\])*\]|\(\?(?:P?[<'][^>']*[>']|[aiLmsux-]*:?)")


def words_of(metric: str, regexes: Iterable[str]) -> frozenset[str]:
    """The words that a line with the metric is likely to have, in lower case."""
    texts = [metric.replace("_", " "), *(_NOT_LITERAL.sub(" ", regex) for regex in regexes)]
    return frozenset(word.lower() for text in texts for word in _WORD.findall(text))


class Nearest:
    """Keeps the few best lines, the newest of equals."""

    def __init__(self, words: frozenset[str], mask: Callable[[str], str] = str) -> None:
        """``mask`` takes secrets out of a line."""
        self._words = words
        self._mask = mask
        self._kept: list[tuple[int, str]] = []

    def feed(self, text: str) -> None:
        """Look at a line that has no value."""
        whole = text.strip()
        closeness = self._closeness(whole[:_LONGEST])
        if not whole or (len(self._kept) == _SHOWN and closeness < self._kept[0][0]):
            return
        # Before it is cut, or a part of a secret might be left; what is far behind the cut is not looked at.
        text = self._mask(whole[: 8 * _LONGEST])[:_LONGEST]
        self._kept = [kept for kept in self._kept if _shape(kept[1]) != _shape(text)]
        self._kept.append((closeness, text))
        # Stable, so that of equals the oldest goes first.
        self._kept.sort(key=lambda kept: kept[0])
        del self._kept[:-_SHOWN]

    def lines(self) -> tuple[str, ...]:
        """The best last; those that have nothing of it only where no line has."""
        some = any(closeness for closeness, _ in self._kept)
        return tuple(text for closeness, text in self._kept if closeness or not some)

    def _closeness(self, text: str) -> int:
        lowered = text.lower()
        found = sum(word in lowered for word in self._words)
        # What the reporter sends is close by itself: perhaps only the name is another one.
        found += "[trialjob]" in text
        return 2 * found + (found > 0 and any(character.isdigit() for character in text))


def _shape(text: str) -> str:
    """What lines have in common that differ in their numbers only; one of them is enough."""
    return re.sub(r"[0-9.eE+-]+", "0", text)
