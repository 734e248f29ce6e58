"""A command line with places for values → an entry point and its arguments, as templates of a spec."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

#: Between quotes of a shell these cannot be seen from here, and then they are the program's.
_SHELL: Final = re.compile(r"^(?:&&|\|\||[;|&]|\d*>>?.*|<.*)$|;$|^\$\(|`")
_PYTHON: Final = re.compile(r"(?:.*/)?python(?:\d[\d.]*)?")
_BASH: Final = re.compile(r"(?:.*/)?(?:ba|z|da)?sh")
_PROCESSES: Final = re.compile(r"--nproc[-_]per[-_]node")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What is run, as ``estimator`` has it."""

    entry_point: str
    arguments: list[str]
    more: dict[str, Any] = field(default_factory=dict)


def template(text: str, place: re.Pattern[str], fill: Callable[[re.Match[str]], str]) -> str:
    """A word of theirs as one of ours: each ``place`` filled, and braces that are braces doubled."""
    parts, at = [], 0
    for found in place.finditer(text):
        parts += [_plain(text[at : found.start()]), fill(found)]
        at = found.end()
    return "".join([*parts, _plain(text[at:])])


def split(line: str) -> list[str] | None:
    """The words of a shell's line; None where it is more than one program with its words."""
    try:
        words = shlex.split(line.replace("\\\n", " "))
    except ValueError:
        return None
    return None if not words or any(_SHELL.search(word) for word in words) else words


def program(words: Sequence[str]) -> Program | None:
    """The program that these words start; None where its file cannot be told."""
    left = list(words)
    more: dict[str, Any] = {}
    if left and _PYTHON.fullmatch(left[0]):
        left = left[1:]
        while left and left[0] in ("-u", "-O", "-B"):
            left = left[1:]
        if left[:2] in (["-m", "torch.distributed.run"], ["-m", "torch.distributed.launch"]):
            left, more = _launched(left[2:])
    elif left and (left[0] == "torchrun" or left[0].endswith("/torchrun")):
        left, more = _launched(left[1:])
    elif left and _BASH.fullmatch(left[0]):
        left = left[1:]
    if not left or left[0].startswith(("-", "/", "{")) or "{" in left[0]:
        return None
    return Program(entry_point=left[0].removeprefix("./"), arguments=left[1:], more=more)


def _launched(words: list[str]) -> tuple[list[str], dict[str, Any]]:
    """What comes behind a launcher's own options, and how many processes they ask for."""
    more: dict[str, Any] = {"distribution": "torchrun"}
    while words and words[0].startswith("-"):
        option, *words = words
        name, given, value = option.partition("=")
        if not given and words and not words[0].startswith("-") and not words[0].endswith(".py"):
            value, *words = words
        if _PROCESSES.fullmatch(name) and value.isdecimal():
            more["processes"] = int(value)
    return words, more


def _plain(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
