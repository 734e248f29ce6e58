"""A frozen value with some of its fields changed, quickly: a journal of 10,000 trials takes half a million.

Rule: ``dataclasses.replace`` in all but speed, for slotted dataclasses that are nothing but their fields. It
asks for each field by name and runs ``__init__``; this copies the slots by a function that is written for the
class, as ``dataclasses`` writes its own, in a sixth of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Slots:
    """How to copy a value of a class, and to set each of its fields."""

    copy: Callable[[Any], Any]
    by_name: Mapping[str, Callable[[object, object], None]]


def changed(value: T, /, **changes: object) -> T:
    """``value`` with these fields changed. Raises TypeError for a name that is no field."""
    slots = _slots(type(value))  # type: ignore[arg-type] # python/typeshed says that classes have no hash
    new: T = slots.copy(value)
    for name, change in changes.items():
        if name not in slots.by_name:
            raise TypeError(f"{type(value).__name__} has no field {name!r}")
        slots.by_name[name](new, change)
    return new


@cache
def _slots(kind: type) -> _Slots:
    # Asked of each class once: what __init__ would do beside setting fields must not be left out.
    names = [field.name for field in fields(kind)]
    if hasattr(kind, "__post_init__"):
        raise TypeError(f"{kind.__name__} is more than its fields")
    by_name = {name: getattr(kind, name).__set__ for name in names}
    known: dict[str, Any] = {f"set_{name}": put for name, put in by_name.items()}
    lines = [f" set_{name}(new, old.{name})" for name in names]
    source = "\n".join(["def copy(old):", " new = make(kind)", *lines, " return new"])
    made: dict[str, Any] = {}
    exec(source, known | {"make": object.__new__, "kind": kind}, made)  # noqa: S102 - of names of fields only
    return _Slots(made["copy"], by_name)
