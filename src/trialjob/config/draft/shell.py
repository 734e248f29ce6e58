"""What a shell script takes: options, words in their order, variables."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from trialjob.config.draft.declared import Interface, called, plain_value
from trialjob.model.json import Json

_CASE: Final = re.compile(r"^\s*(?:-\w\s*\|\s*)?--([\w-]+)(?:=\*)?(?:\s*\|\s*-\w)?\s*\)", re.MULTILINE)
_ASSIGNED: Final = re.compile(
    r"^\s*(?:export\s+|local\s+)?([A-Za-z_]\w*)=[\"']?([^\s\"'$]+)[\"']?\s*$", re.MULTILINE
)
#: ``lr=$1``, ``lr=${1:-0.1}``, and ``--lr $1`` where it is handed on.
_PLACE: Final = re.compile(
    r"(?:\b([A-Za-z_]\w*)=|--([A-Za-z][\w-]*)[= ])[\"']?"
    r"\$(?:([1-9])\b|\{([1-9])(?::?[-=]([^}]*)|:?\?[^}]*)?\})"
)
_HANDED: Final = re.compile(r"\$\{?SM_HP_([A-Z0-9_]+)(?::-([^}]*))?\}?")
#: ``l) lr=$OPTARG``.
_FLAG: Final = re.compile(r"^\s*\(?([A-Za-z0-9])\s*\)\s*([A-Za-z_]\w*)=[\"']?\$\{?OPTARG\b", re.MULTILINE)
#: ``${LR:-0.1}`` and ``${LR:=0.1}``, but for places and what every job has anyway.
_DEFAULT: Final = re.compile(r"\$\{(?!SM_|TRIALJOB_|CUDA_|[0-9])([A-Za-z_]\w*):?[-=]([^}$]*)\}")


#: ``python train.py``, ``torchrun … train.py`` and ``python -m package.train``, with what stands behind it.
_STARTED: Final = re.compile(
    r"^[^#\n]*?\b(?:python[\d.]*|torchrun|accelerate\s+launch)\b[^#\n;|&]*?"
    r"(?:\s([\w./-]+\.py)\b|\s-m\s+(?!torch\.|accelerate\.)([\w.]+))([^\n;|&]*)",
    re.MULTILINE,
)
_HANDS_ON: Final = re.compile(r"\$(?:[@*]|\{[@*]\})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The Python program that a shell script starts."""

    #: As a path in the folder.
    program: str
    #: It is given the words that the script is given.
    is_handed_on: bool


def started(folder: Path, program: str) -> Started | None:
    """The first Python file of ``folder`` that a shell script starts; None of one that starts none."""
    if not program.endswith((".sh", ".bash")):
        return None
    text = (folder / program).read_text("utf-8", "replace").replace("\\\n", " ")
    for file, module, behind in _STARTED.findall(text):
        name = (file or f"{module.replace('.', '/')}.py").removeprefix("./")
        if (folder / name).is_file():
            return Started(program=name, is_handed_on=bool(_HANDS_ON.search(behind)))
    return None


def of_shell(text: str, program: str) -> Interface | None:
    """``getopts``, ``--lr)`` in a case, ``$1``, ``${SM_HP_LR:-0.1}``, each with the value that stands above.

    Last ``${LR:-0.1}``, which no trial sets before the script asks for its value.
    """
    above = {name.lower(): plain_value(value) for name, value in _ASSIGNED.findall(text)}
    if flags := {name: flag for flag, name in _FLAG.findall(text)} if "getopts" in text else {}:
        letters = tuple(
            replace(called(name, above.get(name.lower())), words=(f"-{flag}", f"{{{name}}}"))
            for name, flag in flags.items()
        )
        return Interface(how="its getopts", options=letters, others="")
    if options := dict.fromkeys(_CASE.findall(text)):
        found = [called(name, above.get(name.replace("-", "_").lower())) for name in options]
        return Interface(how="the options of a case", options=tuple(found))
    places = dict[int, tuple[str, Json]]()
    for name, handed, place, braced, value in _PLACE.findall(text):
        known = (name or handed.replace("-", "_")).lower(), plain_value(value)
        places.setdefault(int(place or braced), known)
    if places:
        ordered = [places.get(number, (f"argument{number}", None)) for number in range(1, max(places) + 1)]
        return Interface(
            how="words in their order",
            options=tuple(
                replace(called(name, value), required=True, words=(f"{{{name}}}",)) for name, value in ordered
            ),
            others="",
        )
    handed = {name.lower(): plain_value(value) for name, value in _HANDED.findall(text)}
    if handed:
        found = [called(name, value) for name, value in handed.items()]
        return Interface(how="variables of the environment", options=tuple(found))
    return _of_defaults(text, program)


def _of_defaults(text: str, program: str) -> Interface | None:
    found = dict[str, tuple[Json, int]]()
    for number, line in enumerate(text.splitlines(), start=1):
        for name, default in _DEFAULT.findall(line):
            found.setdefault(name, (plain_value(default.strip("\"'")), number))
    if not any(isinstance(value, int | float) for value, _ in found.values()):
        return None
    first, (value, line_of_it) = next(iter(found.items()))
    assignment = f"{first}=${{SM_HP_{first.upper()}:-{value}}}"
    return Interface(
        how="variables with a default",
        options=tuple(called(name.lower(), value) for name, (value, _) in found.items()),
        advice=f"{program} reads {', '.join(found)} from variables of these names, and a trial has each with "
        f"SM_HP_ in front; have it ask for that: {assignment} in line {line_of_it}",
    )
