r"""What is a number in a log, and whether a regular expression has taken the whole of it.

Rule 1: a numeral is read as it was meant or not at all, never a part of it. So ``1,234.5``, ``1_000``,
``0,93``, ``1.5d-3``, ``0x1F`` and ``1.2.3`` have no value here, whatever a group takes of them.
Rule 2: what follows a number and is no part of it does no harm: ``0.93s``, ``12.5M``, ``93%``, ``3/10``,
``0.5, 0.6``.
Rule 3: a comma between digits is a list's only where the digits on both sides cannot be one number:
``3,0.91`` is a list, ``3,91`` is not known to be one.
Rule 4: a plain space groups thousands only where columns would not be written so: ``1 234,5`` anywhere, and
``1 234.5`` or ``1 234 567`` as the value of a name, with ``=`` or ``:``. ``0.5 0.6`` is two numbers.
Rule 5: a number right before the place where a job's output was broken off may be torn, and has no value.
"""

from __future__ import annotations

import math
import re
from typing import Final

from trialjob.in_job.whole_lines import CUT

#: What ``{number}`` stands for: a regular expression for a float as programs print it, without groups.
#: A number never starts inside of another one, which also keeps a search through a flood of digits linear;
#: nor does it start a word, so that the "INF" of "INFO" is none. It goes to the service as it is, whose
#: dialect of regular expressions is not published: so no flags, and no words of Python's own.
NUMBER: Final = (
    r"[-+]?(?:(?<![0-9])(?<![0-9]\.)(?<![0-9.][eE])(?<![0-9.][eE][-+])"
    r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
    r"|(?:[nN][aA][nN]|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?)(?![0-9A-Za-z_]))"
)
_NUMBER: Final = re.compile(NUMBER)
_SPACES: Final = "\u00a0\u2002-\u200a\u202f\u205f"
#: Other points of a decimal, and what is invisible between two digits.
_POINTS: Final = r"\u00b7\u066b\u066c\u2024\u2027\u2e33\uff0e\u200b-\u200f\u2060\ufeff"
#: What stands before a power, as people write one.
_TEN: Final = r"[0-9.]\s?[*xX\u00d7\u00b7\u22c5]\s?10"
#: What stands between thousands beside spaces, commas and points.
_MARKS: Final = "'`\u00b4\u02bc\u2018\u2019"
#: What goes on behind digits and belongs to them.
_GOES_ON: Final = re.compile(
    r"[0-9]|\.[0-9]|_+[0-9]"
    r"|\.?#(?:INF|IND|NAN|QNAN|SNAN)"
    # An exponent, also a torn one; Fortran's d and q; but "3epochs" and "5d12h" are units.
    r"|[eE](?:[-+0-9]|(?![A-Za-z]))|[dDqQ][-+]?[0-9]+(?![0-9A-Za-z_])"
    r"|(?:[-+][0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?)?[jJ](?![0-9A-Za-z_])"
    r"|\s?[*xX\u00d7\u00b7\u22c5]\s?10(?:\s?(?:\^|\*\*)|[-+\u2212]?[\u2070-\u207b\u00b9\u00b2\u00b3]"
    # The exponent has lost its place: 1.5x10-3.
    r"|[-+\u2212][0-9])|(?:\^|\*\*)[-+(]?[0-9]|[\u2070-\u207b]"
    rf"|[{_MARKS}{_SPACES}][0-9]{{3}}(?![0-9])"
    rf"|[{_POINTS}][0-9]"
)
#: The place where the output was broken off, perhaps within this number: ``0.9``, ``1,`` or ``0x``.
_TORN: Final = re.compile(rf"[0-9A-Za-z.,_'+-]{{0,8}}{re.escape(CUT)}")
#: A date or a time that begins another process's line, whose first digits have run into the number before.
_DATE: Final = re.compile(
    r"(?:-[01][0-9]-[0-3][0-9]|/[0-3][0-9]/(?:[0-9]{4}|[0-3][0-9])|:[0-5][0-9]:[0-5][0-9])(?![0-9])"
)
_OF_DATE: Final = re.compile(r"[0-9]{1,4}")
_OTHER_BASE: Final = re.compile(r"[xX][0-9A-Fa-f]|[bB][01]|[oO][0-7]")
#: What stands before digits and belongs to them.
_BEGAN: Final = re.compile(
    rf"(?:[0-9]|[0-9][.{_POINTS}]|(?:^|[^0-9A-Za-z.])\.|[0-9.][eEdDqQ][-+]?|[0-9.]#[QS]?|\^[-+(]?"
    # A power and not bold type; a type's name, as NumPy writes np.float64(0.93).
    r"|[0-9.)\]]\s?\*\*[-+(]?|(?<![A-Za-z])(?:b?float|u?int|complex)"
    r"|(?:^|[^0-9A-Za-z])0(?:[xX][0-9A-Fa-f]*\.?[0-9A-Fa-f]*(?:[pP][-+]?)?|[bB][01]*|[oO][0-7]*)"
    # A sign that the group has left out, and not a dash between words.
    rf"|\u2212|(?:^|[\s=:(\[{{,;|\"'])[-\u2013]|{_TEN}(?:\s?(?:\^|\*\*)\s?)?[-+(]?)$"
)
_SIGNED: Final = re.compile(rf"(?:[-+\u00b1\u2212]|[0-9.][eEdDqQ]|{_TEN}(?:\s?(?:\^|\*\*)\s?)?)$")
_GROUPED: Final = re.compile(rf"[0-9][{_MARKS}{_SPACES}]$")
_THREE: Final = re.compile(r"[0-9]{3}(?![0-9])")
_WHOLE: Final = re.compile(r"[0-9]+(?![0-9]|\.[0-9])")
_CLOCK: Final = re.compile(r":[0-5][0-9](?![0-9]|\.[0-9])")
_HOURS: Final = re.compile(r"(?<![0-9.])[0-9]{1,2}:$")
_CHAIN: Final = re.compile(r"[0-9.,]*")
_CHAIN_BEFORE: Final = re.compile(r"[0-9.,]*$")
_EXPONENT: Final = re.compile(r"[eE][-+]?[0-9]+$")
#: Digits with a comma that are one number, or may be one.
_ONE_NUMBER: Final = re.compile(
    r"[1-9][0-9]{0,2}(?:,[0-9]{2,3})*,[0-9]{3}(?:\.[0-9]*)?|[0-9]+,[0-9]+|[1-9][0-9]{0,2}(?:\.[0-9]{3})+,[0-9]+"
)
#: Digits in groups by spaces, which are one number or columns, and what tells which.
_BY_SPACES: Final = re.compile(
    rf"(?<![0-9A-Za-z_.,])[1-9][0-9]{{0,2}}(?P<groups>(?:[ {_SPACES}][0-9]{{3}})+)"
    r"(?P<point>[.,][0-9]+)?(?![0-9])"
)
_DECIMAL_COMMA: Final = re.compile(r",(?:[0-9]{1,2}|[0-9]{4,})")
_NAMED: Final = re.compile(r"(?P<close>[=:])?(?(close)|[=:]\s{1,8})[\"']?[-+\u2212]?$")
#: Who counts these has thousands of them spelled plainly, and another number behind them.
_COUNTS: Final = re.compile(
    r"(?:epoch|step|iter|iteration|batch|round|fold)s?[\"']?\s{0,8}[=:]?\s{0,8}[\"']?$", re.IGNORECASE
)
_COLUMN: Final = re.compile(r"\s*[-+]?[.,]?[0-9]")
_FIELD_ENDS: Final = re.compile(r"\.?\s*(?:$|[,;)\]}|\"'])")
_ZEROS: Final = re.compile(r",0[0-9]")
#: Nothing that these stand beside goes on.
_PLAIN_AFTER: Final = frozenset(' \t)]}>|;%"/')
_TIMES: Final = frozenset("*xX\u00d7\u00b7\u22c5")
_PLAIN_BEFORE: Final = frozenset(' \t([{<=|;"/')
_OF_ONE: Final = r"[^\s=\[\](){}\"|;<>]{0,24}"
#: So far back is looked for the beginning of a numeral.
_WINDOW: Final = 48


def parse_number(text: str) -> float | None:
    """The float that ``text`` spells, spaces around it allowed, or None."""
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    # A numeral that no float can hold is not infinite.
    return None if math.isinf(value) and text[-1].isdigit() else value


def is_part(text: str, start: int, end: int) -> bool:
    """Whether the number in ``text[start:end]`` is only a part of the numeral that stands there."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if _goes_on(text, start, end) or _began(text, start, end):
        return True
    return _by_spaces(text, start, end) is not None


def numeral_at(text: str, start: int, end: int) -> str:
    """What stands around a part of a number without a space, or in groups by spaces, for people."""
    groups = _by_spaces(text, start, end)
    if groups is not None:
        start, end = min(start, groups.start()), max(end, groups.end())
    before = re.search(rf"{_OF_ONE}$", text[max(0, start - _WINDOW) : start])
    behind = re.match(rf"{re.escape(CUT)}|{_OF_ONE}", text[end : end + _WINDOW])
    return (before[0] if before else "") + text[start:end] + (behind[0] if behind else "")


def _goes_on(text: str, start: int, end: int) -> bool:
    if _TORN.match(text, end) or (_DATE.match(text, end) and not _OF_DATE.fullmatch(text, start, end)):
        return True
    if end >= len(text) or (text[end] in _PLAIN_AFTER and text[end + 1 : end + 2] not in _TIMES):
        return False
    after, taken = text[end], text[start:end]
    if not taken[-1].isdigit() and taken[-1] != ".":  # a word
        return after.isalnum() or after == "_"
    if after == ",":
        return text[end + 1 : end + 2].isdigit() and _is_one_number(text, start, end)
    if after == ":":
        return taken.isdigit() and len(taken) <= len("59") and _CLOCK.match(text, end) is not None
    if taken.lstrip("+-") == "0" and _OTHER_BASE.match(text, end):
        return True
    return _GOES_ON.match(text, end) is not None or (after > "\x7f" and after.isnumeric())


def _began(text: str, start: int, end: int) -> bool:
    if start == 0 or (text[start - 1] in _PLAIN_BEFORE):
        return False
    before = text[max(0, start - _WINDOW) : start]
    if text[start] in "+-":
        return _SIGNED.search(before) is not None
    if before[-1] == ",":
        return _is_one_number(text, start, end)
    if before[-1] == ":":
        is_two = re.fullmatch(r"[0-5][0-9]\.?", text[start:end]) is not None
        return is_two and _HOURS.search(before) is not None
    if before[-1] == "_":
        return (
            before.rstrip("_")[-1:].isdigit()
            and (_WHOLE.match(text, start) or _THREE.match(text, start)) is not None
        )
    if _GROUPED.search(before):
        return _THREE.match(text, start) is not None
    return _BEGAN.search(before) is not None or (before[-1] > "\x7f" and before[-1].isnumeric())


def _by_spaces(text: str, start: int, end: int) -> re.Match[str] | None:
    """The one number that plain spaces make of what stands there with its neighbours: ``1 234,5``."""
    if " " not in (text[start - 1 : start], text[end : end + 1]):
        return None
    first = max(0, start - _WINDOW)
    for match in _BY_SPACES.finditer(text, first, end + _WINDOW):
        if match.start() < end and start < match.end() and _is_grouped(match, text[first : match.start()]):
            return match
    return None


def _is_grouped(match: re.Match[str], before: str) -> bool:
    """Whether digits in groups by spaces are one number, and not columns."""
    text, point = match.string, match["point"] or ""
    if _COLUMN.match(text, match.end()) or _COUNTS.search(before):
        return False
    if _DECIMAL_COMMA.fullmatch(point):
        return True
    named = _NAMED.search(before)
    if named is None:
        return False
    # print("epoch:", 3, 100) has two integers in a row.
    is_alone = named["close"] is not None and _FIELD_ENDS.match(text, match.end()) is not None
    return is_alone or point != "" or len(match["groups"]) > len(" 234")


def _is_one_number(text: str, start: int, end: int) -> bool:
    """Whether digits with commas around ``text[start:end]`` may be one number, and not a list."""
    before = None
    if text[start] in "+-":
        start += 1
    else:
        before = _CHAIN_BEFORE.search(text[max(0, start - _WINDOW) : start])
    behind = _CHAIN.match(text[end : end + _WINDOW])
    taken = _EXPONENT.sub("", text[start:end])
    chain = (before[0] if before else "") + taken + (behind[0] if behind else "")
    # No list has "00" in it, which is the end of a number however its digits are grouped.
    return _ZEROS.search(chain) is not None or _ONE_NUMBER.fullmatch(chain.strip(".,")) is not None
