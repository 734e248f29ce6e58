"""Whether a regular expression may take time that doubles with every few characters of an unlucky line.

It may where a repeat reads some text in two ways, and what is needed behind the repeat can be missing: then
all ways of all turns are tried. As an automaton, it is exponentially ambiguous (Weber and Seidl, "On the
degree of ambiguity of finite automata", 1991).

Rule 1: nothing is matched and no time is taken to judge it: each leaf of the expression, that is each place
in it where a character is read, is a state, and the work is bounded.
Rule 2: what is not known, such as where an assertion or a reference to a group lets turns pass, is held to be
harmless. An ordinary expression is never refused.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Final, TypeAlias

from trialjob.logs.metrics import compiled

#: A repeat of more turns than this is as good as one without bound.
_TURNS: Final = 8
_MOST_LEAVES: Final = 600
_MOST_STEPS: Final = 200_000
#: What leaves are tried with, beside the characters of the expression itself.
_CHARACTERS: Final = string.ascii_letters + string.digits + string.punctuation + " \t\0\u00e9\u4e2d"

#: A leaf, and in how many ways it is come to: 1, or 2 for more than one.
_Ways: TypeAlias = Mapping[int, int]
#: Two leaves that have read the same text, and whether the ways to them differ.
_Pair: TypeAlias = tuple[int, int, bool]


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of an expression: in how many ways it reads nothing, and the leaves at its two ends."""

    empty: int = 0
    first: _Ways = field(default_factory=dict)
    last: _Ways = field(default_factory=dict)


#: Reads nothing, in one way.
_NOTHING: Final = _Part(empty=1)
#: What no way is known through.
_CLOSED: Final = _Part()


def runaway_text(regex: str) -> str:
    r"""A text that ``regex`` takes for ever to read over and over where a line goes on otherwise; or "".

    ``(\w+ ?)*acc`` and ``(a|a)*b`` do; ``(\w+=\d+ )*acc``, whose turns end in one way only, does not.
    """
    compiled(regex)
    try:
        return _Automaton(regex).twice_read()
    except (_TooLarge, RecursionError):
        return ""
    except (ImportError, AttributeError, TypeError):
        # The parser is the standard library's own, and a later Python may have another.
        return ""


class _TooLarge(Exception):
    """It would take too long to know."""


class _Automaton:
    def __init__(self, regex: str) -> None:
        from re import _compiler, _parser  # type: ignore[attr-defined]  # noqa: PLC0415 - may be missing

        self._re: Any = (_parser, _compiler)
        self._tree: Any = _parser.parse(regex)
        self._alphabet = "".join(dict.fromkeys(_CHARACTERS + regex))
        self._known: dict[str, int] = {}
        #: The characters that each leaf reads, as bits.
        self._reads: list[int] = []
        self._follow: list[dict[int, int]] = []
        #: Leaves behind which nothing more is needed: no other way is tried.
        self._ends: set[int] = set()
        self._ends.update(self._part(self._tree, 0).last)

    def twice_read(self) -> str:
        """The text between a leaf and itself that can be read in two ways, or ""."""
        follow = [
            {} if leaf in self._ends else {to: ways for to, ways in found.items() if to not in self._ends}
            for leaf, found in enumerate(self._follow)
        ]
        for leaf in _leaves_in_turns(follow):
            if text := self._text(leaf, follow):
                return text
        return ""

    def _text(self, leaf: int, follow: list[dict[int, int]]) -> str:
        texts: dict[_Pair, str] = {(leaf, leaf, False): ""}
        waiting = [*texts]
        steps = 0
        for pair in waiting:  # grows meanwhile
            for to, reads in self._steps(pair, follow):
                steps += 1
                if steps > _MOST_STEPS:
                    raise _TooLarge
                if to in texts:
                    continue
                texts[to] = texts[pair] + self._alphabet[(reads & -reads).bit_length() - 1]
                if to == (leaf, leaf, True):
                    return texts[to]
                waiting.append(to)
        return ""

    def _steps(self, pair: _Pair, follow: list[dict[int, int]]) -> Iterator[tuple[_Pair, int]]:
        one, other, differ = pair
        for left, ways in follow[one].items():
            for right in follow[other]:
                if reads := self._reads[left] & self._reads[right]:
                    splits = left != right or (one == other and ways > 1)
                    yield (min(left, right), max(left, right), differ or splits), reads
                    if one == other and left == right and splits:
                        yield (left, right, differ), reads

    def _part(self, tree: Any, flags: int) -> _Part:  # noqa: ANN401 - of the standard library's own
        return reduce(self._joined, (self._node(name, given, flags) for name, given in tree), _NOTHING)

    def _node(self, name: Any, given: Any, flags: int) -> _Part:  # noqa: ANN401 - as above
        match str(name):
            case "LITERAL" | "NOT_LITERAL" | "ANY" | "IN":
                return self._leaf((name, given), flags)
            case "SUBPATTERN":
                _, more, less, tree = given
                return self._part(tree, flags & ~less | more)
            case "BRANCH":
                parts = [self._part(tree, flags) for tree in given[1]]
                return _Part(
                    min(2, sum(part.empty for part in parts)),
                    _sum(part.first for part in parts),
                    _sum(part.last for part in parts),
                )
            case "MAX_REPEAT" | "MIN_REPEAT":
                return self._repeat(given, flags)
            case "POSSESSIVE_REPEAT":
                self._close(self._repeat(given, flags))
            case "ATOMIC_GROUP":
                self._close(self._part(given, flags))
            case "ASSERT" | "ASSERT_NOT":
                self._close(self._part(given[1], flags))
        return _CLOSED

    def _close(self, part: _Part) -> None:
        """Nothing goes back into it once it has been read."""
        self._ends.update(part.last)

    def _leaf(self, node: tuple[Any, Any], flags: int) -> _Part:
        leaf = len(self._reads)
        if leaf >= _MOST_LEAVES:
            raise _TooLarge
        key = f"{flags} {node}"
        if key not in self._known:
            parser, compiler = self._re
            reads = compiler.compile(parser.SubPattern(self._tree.state, [node]), flags).match
            self._known[key] = sum(1 << at for at, char in enumerate(self._alphabet) if reads(char))
        self._reads.append(self._known[key])
        self._follow.append({})
        return _Part(0, {leaf: 1}, {leaf: 1})

    def _repeat(self, given: tuple[int, int, Any], flags: int) -> _Part:
        least, most, tree = given
        low, high = tree.getwidth()
        if most > _TURNS and (least != most or low != high):
            part = self._part(tree, flags)
            self._go_on(part.last, part.first)
            return part if least else _optional(part)
        copies = [self._part(tree, flags) for _ in range(min(most, _TURNS))]
        must, may = copies[:least], copies[least:]
        rest = _NOTHING
        for copy in reversed(may):
            rest = _optional(self._joined(copy, rest))
        return self._joined(reduce(self._joined, must, _NOTHING), rest)

    def _joined(self, one: _Part, other: _Part) -> _Part:
        """One behind the other."""
        self._go_on(one.last, other.first)
        return _Part(
            min(2, one.empty * other.empty),
            _sum([one.first, _times(other.first, one.empty)]),
            _sum([other.last, _times(one.last, other.empty)]),
        )

    def _go_on(self, last: _Ways, first: _Ways) -> None:
        for leaf, ways in last.items():
            self._follow[leaf] = _sum([self._follow[leaf], _times(first, ways)])


def _optional(part: _Part) -> _Part:
    return _Part(min(2, part.empty + 1), part.first, part.last)


def _times(ways: _Ways, factor: int) -> _Ways:
    return {leaf: min(2, count * factor) for leaf, count in ways.items()} if factor else {}


def _sum(all_ways: Iterable[_Ways]) -> dict[int, int]:
    found: dict[int, int] = {}
    for ways in all_ways:
        for leaf, count in ways.items():
            found[leaf] = min(2, found.get(leaf, 0) + count)
    return found


def _leaves_in_turns(follow: list[dict[int, int]]) -> Iterator[int]:
    """Of each set of leaves that can all be come to from each other, one."""
    reach = [sum(1 << to for to in found) for found in follow]
    for middle, behind in enumerate(reach):
        reach = [each | behind if each >> middle & 1 else each for each in reach]
    seen = 0
    for leaf, each in enumerate(reach):
        if each >> leaf & 1 and not seen >> leaf & 1:
            seen |= sum(1 << to for to, back in enumerate(reach) if each >> to & 1 and back >> leaf & 1)
            yield leaf
