"""A backend that is made wrongly in Python, in the words in which a spec file's is refused.

Rule: every field at once, each with its value and what to write; pydantic's own words are for no user.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, get_args

from trialjob.errors import Problem
from trialjob.model.durations import FORMS
from trialjob.model.masking import names_secret
from trialjob.model.paths import path_text

#: What a check of our own says stands behind it; durations alone have one.
_OURS: Final = "Value error, "


def problems_of(
    fields: Mapping[str, Any], instead_of: Mapping[str, str], errors: Sequence[Mapping[str, Any]]
) -> Iterator[Problem]:
    """``errors`` of pydantic's, of a section with these ``fields``."""
    for error in errors:
        place, kind = error["loc"], error["type"]
        name = str(place[-1])
        if kind == "missing":
            examples = getattr(fields.get(name), "examples", None)
            message, remedy = "is missing", f"write {name}={repr(examples[0]) if examples else '…'}"
        elif kind == "extra_forbidden":
            known = _fields_at(place[:-1], fields)
            message, remedy = "is not known here", _instead(name, known, {} if place[1:] else instead_of)
        else:
            value = "the value" if names_secret(name, str(error["input"])) else repr(error["input"])
            message, remedy = _of_value(value, str(error["msg"]))
        yield Problem(field=path_text(["backend", *place]), message=message, remedy=remedy)


def _fields_at(place: Sequence[object], fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of the part at ``place``; none where it has no fields of its own."""
    for name in place:
        hint = getattr(fields.get(str(name)), "annotation", None)
        models = [each for each in (hint, *get_args(hint)) if hasattr(each, "model_fields")]
        fields = models[0].model_fields if models else {}
    return fields


def _of_value(value: str, said: str) -> tuple[str, str]:
    if said.startswith(_OURS):
        return f"{value} {said.removeprefix(_OURS)}", FORMS
    meant = said.removeprefix("Input should be ")
    return f"{value} is not possible here", f"write {meant if meant[:2] == 'a ' else f'a value {meant}'}"


def _instead(name: str, known: Mapping[str, Any], instead_of: Mapping[str, str]) -> str:
    if name in instead_of and known:
        return f"write {instead_of[name]}"
    close = difflib.get_close_matches(name.lower(), known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known here: {', '.join(known)}" if known else "remove it"
