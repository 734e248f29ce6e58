"""A backend that is made wrongly in Python, in the words in which a spec file's is refused.

Rule: every field at once, each with its value and what to write; pydantic's own words are for no user.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, get_args

from trialjob.errors import Problem
from trialjob.model.durations import FORMS
from trialjob.model.masking import names_secret
from trialjob.model.paths import nearest, path_text

#: What a check of our own says stands behind it; durations alone have one.
_OURS: Final = "Value error, "
#: How pydantic's names for what is of the wrong type begin, and what is meant.
_TYPES: Final = {
    "string": "a text, in quotes",
    "int": "a whole number",
    "float": "a number",
    "bool": "True or False",
    "dict": "a dict, such as {'name': 'value'}",
    "model": "a dict of its fields",
    "tuple": "a list, such as ['a', 'b']",
    "list": "a list, such as ['a', 'b']",
}


def problems_of(
    fields: Mapping[str, Any], instead_of: Mapping[str, str], errors: Sequence[Mapping[str, Any]]
) -> Iterator[Problem]:
    """``errors`` of pydantic's, of a section with these ``fields``."""
    for error in errors:
        place, kind = error["loc"], error["type"]
        if not place:  # a package's own check of all fields together
            yield Problem(field="backend", message=str(error["msg"]).removeprefix(_OURS))
            continue
        name = str(place[-1])
        if kind == "missing":
            example = _example(_fields_at(place[:-1], fields).get(name))
            message, remedy = "is missing", f"write {name}={example!r}" if example else f"give it a {name}"
        elif kind == "extra_forbidden":
            known = _fields_at(place[:-1], fields)
            instead = None if place[1:] else instead_of.get(name)
            message, remedy = "is not known here", f"write {instead}" if instead else nearest(name, known)
        else:
            value = "the value" if names_secret(name, str(error["input"])) else repr(error["input"])
            parts = {key: _example(each) for key, each in _fields_at(place, fields).items() if _example(each)}
            message, remedy = _of_value(value, kind, str(error["msg"]), parts)
        yield Problem(field=path_text(["backend", *place]), message=message, remedy=remedy)


def _fields_at(place: Sequence[object], fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of the part at ``place``; none where it has no fields of its own."""
    for name in place:
        hint = getattr(fields.get(str(name)), "annotation", None)
        models = [each for each in (hint, *get_args(hint)) if hasattr(each, "model_fields")]
        fields = models[0].model_fields if models else {}
    return fields


def _example(field: Any) -> Any:  # noqa: ANN401 - one of pydantic's
    return next(iter(getattr(field, "examples", None) or ()), None)


def _of_value(value: str, kind: str, said: str, parts: Mapping[str, Any]) -> tuple[str, str]:
    if said.startswith(_OURS):
        return f"{value} {said.removeprefix(_OURS)}", FORMS
    if (what := _TYPES.get(kind.partition("_")[0])) and kind.endswith(("_type", "_parsing", "_from_float")):
        example = f", such as {parts}" if parts else ""
        return f"{value} is not {what.partition(',')[0]}", f"write {what}{example}"
    meant = said.removeprefix("Input should be ")
    return f"{value} is not possible here", f"write {meant if meant[:2] == 'a ' else f'a value {meant}'}"
