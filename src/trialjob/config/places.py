"""Where the jobs of a document run: its one section ``backend``, or one of several under ``backends``.

Rule 1: what comes out has one section ``backend``, which is what a journal keeps. The others are read, too,
so that a mistake is found where the file is written and not where it is run for the first time.
Rule 2: what a backend's jobs need of machines belongs to its section. Once it was written in ``estimator``;
it is read from there as ever, and errors name that place.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from trialjob.backends.plugin import BACKENDS, DEFAULT_BACKEND
from trialjob.config.paths import shown, shown_at
from trialjob.config.plugins import once_in_estimator
from trialjob.errors import Problem
from trialjob.model.json import Json
from trialjob.model.paths import nearest, path_text

#: A field of the section, as remedies name it.
_FIELD: Final = re.compile(r"\bbackend\.[a-z_0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Where the user wrote what now stands in a section ``backend``."""

    #: ``backend``, or ``backends.cloud``.
    section: str = "backend"
    #: Keys of it that were read from ``estimator``.
    moved: frozenset[str] = frozenset()
    #: All keys in ``estimator`` that belong to a section of some kind.
    old: tuple[str, ...] = ()
    #: Fields that the user's own file has filled in, each with its key there.
    filled: Mapping[str, str] = field(default_factory=dict)

    def place(self, problem: Problem) -> Problem:
        """``problem`` where the user wrote it, and with what to do there."""
        return Problem(
            field=self.path(problem.field), message=problem.message, remedy=self.remedy(problem.remedy)
        )

    def remedy(self, remedy: str) -> str:
        """``remedy`` with each field of the section as the user has to write it."""
        return _FIELD.sub(lambda field: self.path(field.group()), remedy)

    def path(self, field: str) -> str:
        """The path ``field`` as the user wrote it."""
        head, _, rest = field.partition(".")
        if head != "backend":
            return field
        if rest.partition(".")[0].partition("[")[0] in self.moved:
            return f"estimator.{rest}"
        return f"{self.section}.{rest}" if rest else self.section


@dataclass(slots=True, kw_only=True)
class Places:
    """The sections of backends in a document, by where they are written."""

    #: What stands there, whatever it is, and where it was written.
    found: list[tuple[Any, Written]] = field(default_factory=list)
    #: The place in ``found`` of the one that is meant.
    chosen: int = 0
    #: Keys that were read from ``estimator``, whether a section has a use for them or not.
    old: tuple[str, ...] = ()
    #: What is wrong with the choice, and with what is said twice.
    problems: list[Problem] = field(default_factory=list)
    #: Errors of keys that no section has a use for.
    details: list[ErrorDetails] = field(default_factory=list)

    @property
    def written(self) -> Written:
        """Where the chosen one stands."""
        return replace(self.found[self.chosen][1], old=self.old) if self.found else Written()

    def sections_of(self, estimator: str) -> list[dict[str, Any]]:
        """The sections of kinds that know this kind of estimator."""
        kinds = [kind for kind in BACKENDS.builtin() if estimator in BACKENDS.own(kind).estimator_kinds]
        return [each for each, _ in self.found if isinstance(each, dict) and each.get("kind") in kinds]

    def others(self) -> Iterator[tuple[Any, Written]]:
        """Those that are not chosen."""
        yield from (each for number, each in enumerate(self.found) if number != self.chosen)


def take_places(document: dict[str, Any]) -> Places:
    """All sections of backends; ``document`` is left with none of them."""
    if "backends" not in document:
        one = document.pop("backend", DEFAULT_BACKEND)
        # A kind alone is a section that says nothing else.
        return Places(found=[({"kind": one} if isinstance(one, str) else one, Written())])
    several, one = document.pop("backends"), document.pop("backend", None)
    if not isinstance(several, dict) or not several:
        message, remedy = f"{shown(several)} names no backend", "write NAME: {kind: …} for each"
        return Places(problems=[Problem(field="backends", message=message, remedy=remedy)])
    places, names = Places(), [*several]
    for name, value in several.items():
        places.found.append((_named(name, value), Written(section=path_text(("backends", name)))))
    if one in names:
        places.chosen = names.index(one)
    elif one is not None or len(names) > 1:
        places.problems.append(_no_choice(one, names))
    return places


def _named(name: str, value: object) -> object:
    """A section that is called as its kind is need not repeat it."""
    kind = name if name in BACKENDS else None
    return {"kind": kind, **value} if isinstance(value, dict) else value


def _no_choice(one: object, names: list[str]) -> Problem:
    listed = f"backends has {', '.join(names)}"
    if one is None:
        message, remedy = (
            "is missing, and backends has several",
            f"write backend: NAME, or --backend NAME; {listed}",
        )
    elif isinstance(one, str):
        guess = nearest(one, names)
        message = f"{shown(one)} is not one of backends"
        remedy = f"{guess} {listed}" if guess.startswith("did") else listed
    else:
        message = "is a section, and backends has others"
        remedy = f"put it under backends, and write backend: NAME; {listed}"
    return Problem(field="backend", message=message, remedy=remedy)


def move_from_estimator(
    document: Mapping[str, Any], places: Places, *, weak: AbstractSet[str] = frozenset()
) -> None:
    """Take from ``estimator`` what belongs to sections of backends, and put it there.

    What a section says itself is never replaced: of ``weak`` keys it wins, of others it must say the same.
    """
    estimator = document.get("estimator")
    if not isinstance(estimator, dict):
        return
    taken = {key: estimator.pop(key) for key in [*estimator] if key in once_in_estimator()}
    places.old = tuple(key for key in taken if key not in weak)
    unused = dict(taken)
    for number, (section, written) in enumerate(places.found):
        if not isinstance(section, dict):
            continue
        mine = {key: value for key, value in taken.items() if key in _keys_of(section.get("kind"))}
        fresh = {key: value for key, value in mine.items() if section.get(key) is None}
        places.found[number] = ({**section, **fresh}, replace(written, moved=frozenset(fresh)))
        for key, value in mine.items():
            unused.pop(key, None)
            if key not in fresh and key not in weak:
                places.problems += _said_twice(key, value, section[key], written)
    _check_unused(unused, places)


def _keys_of(kind: object) -> Collection[str]:
    """What sections of this kind have that once stood in ``estimator``."""
    model = (
        BACKENDS.own(kind).once_in_estimator if isinstance(kind, str) and kind in BACKENDS.builtin() else None
    )
    return model.model_fields if model else ()


def _said_twice(key: str, old: Json, new: Json, written: Written) -> Iterator[Problem]:
    model, place = once_in_estimator()[key], f"{written.section}.{key}"
    try:
        alike = model.model_validate({key: old}) == model.model_validate({key: new})
    except ValidationError:
        alike = old == new
    if not alike:
        both = " and ".join(shown_at((key,), each) for each in (old, new))
        yield Problem(
            field=f"estimator.{key}",
            message=f"is not what {place} says: {both}",
            remedy=f"remove estimator.{key}; it lives in {place} now",
        )


def _check_unused(values: Mapping[str, Json], places: Places) -> None:
    """What no section has a use for must be sound all the same: the same file may run elsewhere tomorrow."""
    for model in dict.fromkeys(once_in_estimator()[key] for key in values):
        try:
            model.model_validate({key: value for key, value in values.items() if key in model.model_fields})
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                places.details.append({**detail, "loc": ("estimator", *detail["loc"])})
