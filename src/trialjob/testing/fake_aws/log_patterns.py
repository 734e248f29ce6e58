"""CloudWatch's patterns: terms, quoted phrases, ``?either ?or``, ``-without``, ``%regular expression%``.

Patterns on JSON and on columns are not understood and are refused, rather than matched wrongly.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from trialjob.testing.fake_aws.errors import ServiceError

_TOKEN = re.compile(r'([?-]?)("(?:[^"\\]|\\.)*"|%[^%]+%|\S+)')
_PLAIN = re.compile(r"[A-Za-z0-9_.]+")


def compile_pattern(pattern: str) -> Callable[[str], bool]:
    """Whether a message matches; raises InvalidParameterException for a pattern that CloudWatch refuses."""
    text = pattern.strip()
    if text[:1] in {"{", "["}:
        raise _refused("patterns on JSON and on columns are not part of this fake")
    must: list[Callable[[str], bool]] = []
    either: list[Callable[[str], bool]] = []
    for sign, term in _TOKEN.findall(text):
        test = _test(term)
        if sign == "?":
            either.append(test)
        else:
            must.append(_not(test) if sign else test)
    if must:  # CloudWatch ignores ?terms beside others
        return lambda message: all(test(message) for test in must)
    return lambda message: not either or any(test(message) for test in either)


def _not(test: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda message: not test(message)


def _test(term: str) -> Callable[[str], bool]:
    if term.startswith("%"):
        if "(" in term:
            raise _refused("regular expressions have no parentheses")
        expression = re.compile(term[1:-1])
        return lambda message: expression.search(message) is not None
    if term.startswith('"'):
        if len(term) < 2 or not term.endswith('"'):
            raise _refused("Unclosed quote")
        phrase = re.sub(r"\\(.)", r"\1", term[1:-1])
        return lambda message: phrase in message
    if not _PLAIN.fullmatch(term):
        raise _refused(f"Invalid character(s) in term '{term}'")
    return lambda message: term in message


def _refused(why: str) -> ServiceError:
    return ServiceError("InvalidParameterException", f"Invalid filter pattern: {why}")
