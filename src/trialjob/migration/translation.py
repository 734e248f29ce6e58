"""What becomes of another product's file: a spec, and notes of what differs.

Rule: what was not taken of a section is named as left out, so that no word is lost in silence.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from trialjob.errors import UsageError
from trialjob.model.json import is_number

_SHOWN: Final = 80
#: Trials where a file says nothing of them; others go on for a thousand, or until they are stopped.
UNSAID_TRIALS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a person must know of one place in the file."""

    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.text}" if self.where else self.text


@dataclass(slots=True, kw_only=True)
class Translation:
    """The document of a spec, and what is to be said with it."""

    #: Whose file it was.
    product: str
    spec: dict[str, Any] = field(default_factory=dict)
    #: What has no counterpart.
    left_out: list[Note] = field(default_factory=list)
    #: What means something else here than there, or was filled in.
    changed: list[Note] = field(default_factory=list)

    def leave(self, where: str, text: str) -> None:
        self.left_out.append(Note(where=where, text=text))

    def tell(self, where: str, text: str) -> None:
        self.changed.append(Note(where=where, text=text))


class Wrong(UsageError):
    """The file is not what its product would take."""

    def __init__(self, where: str, value: object, expected: str) -> None:
        wrong = (
            f"is missing\n  → write {expected} there"
            if value is None
            else f"{shown(value)} is not {expected}\n  → correct it there"
        )
        super().__init__(f"{where or 'the file'}: {wrong} first")


class Section:
    """A mapping of the file, of which parts are taken one by one."""

    def __init__(self, value: object, where: str, into: Translation) -> None:
        if value is not None and not isinstance(value, Mapping):
            raise Wrong(where, value, "a mapping")
        self._values: Mapping[str, Any] = value or {}
        self._left = dict.fromkeys(self._values)
        self.where = where
        self.into = into

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._values))

    def path(self, name: str) -> str:
        """Where a part stands in the file."""
        return f"{self.where}.{name}" if self.where else name

    def take(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - whatever the file says
        self._left.pop(name, None)
        value = self._values.get(name)
        return default if value is None else value

    def text(self, name: str, default: str = "") -> str:
        value = self.take(name, default)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise Wrong(self.path(name), value, "a text")
        return str(value)

    def number(self, name: str) -> int | float | None:
        """A number, also one that is written as a text; None where there is none."""
        value = self.take(name)
        return None if value is None else number(value, self.path(name))

    def mode(self, name: str, default: str | None = None) -> str:
        """Which way the objective is to go; a word that is not understood is not guessed at."""
        said = self.take(name, default)
        for word, mode in (("minimize", "min"), ("maximize", "max")):
            if isinstance(said, str) and said.lower() == word:
                return mode
        raise Wrong(self.path(name), said, "minimize or maximize")

    def required(self, name: str) -> int | float:
        found = self.number(name)
        if found is None:
            raise Wrong(self.path(name), None, "a number")
        return found

    def items(self, name: str) -> list[Any]:
        value = self.take(name, [])
        if not isinstance(value, list):
            raise Wrong(self.path(name), value, "a list")
        return value

    def section(self, name: str) -> Section:
        return Section(self.take(name), self.path(name), self.into)

    def sections(self, name: str) -> list[Section]:
        where = self.path(name)
        return [Section(each, f"{where}[{at}]", self.into) for at, each in enumerate(self.items(name))]

    def leave(self, name: str, text: str) -> None:
        """Where that part is there, say why it is left out."""
        if name in self:
            self.into.leave(self.path(name), f"{text} ({shown(self.take(name))})")

    def done(self, *meaningless: str) -> None:
        """Name everything that was not taken, but for parts that mean nothing to a spec."""
        for name in self._left:
            if name not in meaningless and self._values[name] not in (None, {}, []):
                self.into.leave(self.path(name), f"no counterpart ({shown(self._values[name])})")


def trials(section: Section, name: str) -> int:
    """How many trials a file asks for; where it does not say, a number that is told."""
    said = section.number(name)
    if not said:
        section.into.tell(section.path(name), f"is not said; `max_trials` is {UNSAID_TRIALS}")
    return int(said or UNSAID_TRIALS)


def number(value: object, where: str) -> int | float:
    """The number that a value is or spells."""
    found = value if is_number(value) else _spelled(value)
    if found is None or not math.isfinite(found):
        raise Wrong(where, value, "a number")
    return found


def _spelled(value: object) -> int | float | None:
    text = str(value).strip()
    for kind in (int, float):
        try:
            found: int | float = kind(text)
        except ValueError:
            continue
        return found
    return None


def shown(value: object) -> str:
    """A value on one short line."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"


def settings(rows: Iterable[Section]) -> dict[str, str]:
    """The values of ``[{name, value}, …]``."""
    return {row.text("name"): row.text("value") for row in rows}
