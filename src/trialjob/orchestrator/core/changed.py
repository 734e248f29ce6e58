"""A frozen value with some of its fields changed, quickly: a journal of 10,000 trials takes half a million.

Rule: ``dataclasses.replace`` in all but speed, for slotted dataclasses that are nothing but their fields. It
asks for each field by name and runs ``__init__``; this copies the slots, in a third of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar

T = TypeVar("T")

_new = object.__new__


@dataclass(frozen=True, slots=True)
class _Slots:
    """How to read all fields of a class, and to set each."""

    read: Callable[[Any], tuple[object, ...]]
    setters: tuple[Callable[[object, object], None], ...]
    by_name: Mapping[str, Callable[[object, object], None]]


def changed(value: T, /, **changes: object) -> T:
    """``value`` with these fields changed. Raises TypeError for a name that is no field."""
    slots = _slots(type(value))  # type: ignore[arg-type] # python/typeshed says that classes have no hash
    new = _new(type(value))
    for put, old in zip(slots.setters, slots.read(value), strict=True):
        put(new, old)
    for name, change in changes.items():
        if name not in slots.by_name:
            raise TypeError(f"{type(value).__name__} has no field {name!r}")
        slots.by_name[name](new, change)
    return new


@cache
def _slots(kind: type) -> _Slots:
    # Asked of each class once: what __init__ would do beside setting fields must not be left out.
    names = [field.name for field in fields(kind)]
    if hasattr(kind, "__post_init__") or len(names) < 2:  # noqa: PLR2004 - one name is read as no tuple
        raise TypeError(f"{kind.__name__} is more or less than its fields")
    by_name = {name: getattr(kind, name).__set__ for name in names}
    return _Slots(attrgetter(*names), tuple(by_name.values()), by_name)
