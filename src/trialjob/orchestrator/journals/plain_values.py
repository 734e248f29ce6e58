"""Values of the core as JSON and back, by the standard library alone, so that a look loads nothing more.

Rule 1: what comes back is what was given, type by type: a tuple is no list, 1 is not 1.0.
Rule 2: only dataclasses and enums of the model and the core are made, by their names; nothing else is called.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from importlib import import_module
from typing import Any, Final

_HOMES: Final = ("trialjob.model.", "trialjob.orchestrator.core.")
#: What JSON has itself.
_PLAIN: Final = (type(None), bool, int, float, str)
#: What an object is, beside its fields; no field has this name.
_KIND: Final = ""


def dumped(value: object) -> bytes:
    """The JSON of a value. Raises ValueError for what could not be had back."""
    return json.dumps(_object(value), separators=(",", ":")).encode()


def loaded(data: bytes) -> object:
    """The value of some JSON. Raises ValueError, KeyError or TypeError for what ``dumped`` did not make."""
    return json.loads(data, object_hook=_value)


def _object(value: object) -> object:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is list:
        return [_object(each) for each in value]  # type: ignore[attr-defined] # as was just seen
    if kind in (tuple, frozenset):
        return {_KIND: kind.__name__, "of": [_object(each) for each in value]}  # type: ignore[attr-defined]
    if isinstance(value, Mapping):
        return {_KIND: "dict", "of": [[_object(key), _object(each)] for key, each in value.items()]}
    name = f"{kind.__module__}:{kind.__name__}"
    found = _class(name)
    if isinstance(value, Enum):
        return {_KIND: name, "value": value.value}
    known = [(field, getattr(value, field.name)) for field in fields(found)]
    return {_KIND: name, **{field.name: _object(had) for field, had in known if had is not field.default}}


def _value(members: dict[str, Any]) -> object:
    kind = members.pop(_KIND)
    match kind:
        case "tuple":
            return tuple(members["of"])
        case "frozenset":
            return frozenset(members["of"])
        case "dict":
            return dict(members["of"])
        case _:
            return _class(kind)(**members)


@cache
def _class(name: str) -> type[Any]:
    """A dataclass or an enum. Raises ValueError for the name of anything else."""
    module, _, attribute = name.partition(":")
    found = getattr(import_module(module), attribute, None) if module.startswith(_HOMES) else None
    if not isinstance(found, type) or not (is_dataclass(found) or issubclass(found, Enum)):
        raise ValueError(f"{name} is no value of the core")
    return found
