"""Kinds of backends, samplers, stopping rules and stores, each found by its name.

Rule: a kind is a class. Where it is, is said by a text ``package.module:Class``, whether the kind is one of
our own or comes from an installed package's entry points; nothing is imported before it is asked for.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from trialjob.errors import UsageError

T = TypeVar("T")


class UnknownKind(UsageError):
    """There is no such kind: neither of our own nor of any package that is installed."""


class Registry(Generic[T]):
    """The kinds of one sort of plugin.

    >>> SHAPES = Registry("shape", group="example.shapes", builtin={"circle": "example.circle:Circle"})
    >>> SHAPES.kinds()
    ['circle']
    """

    def __init__(self, sort: str, *, group: str, builtin: Mapping[str, str]) -> None:
        """``sort`` is what people call one of them, ``group`` the entry points' group."""
        self.sort = sort
        self.group = group
        self._builtin = dict(builtin)
        self._found: dict[str, type[T]] = {}

    def builtin(self) -> list[str]:
        """The names of our own kinds."""
        return [*self._builtin]

    def kinds(self) -> list[str]:
        """The names of all kinds, our own first."""
        return [*self._builtin, *(kind for kind in sorted(self._entries) if kind not in self._builtin)]

    def __contains__(self, kind: object) -> bool:
        return kind in self._builtin or kind in self._entries

    def get(self, kind: str) -> type[T]:
        """The class of a kind. Raises UnknownKind, and UsageError for a package that cannot be imported."""
        if kind not in self._found:
            self._found[kind] = self._load(kind)
        return self._found[kind]

    def _load(self, kind: str) -> type[T]:
        where = self._builtin.get(kind)
        if where is not None:
            module, _, name = where.partition(":")
            found: type[T] = getattr(importlib.import_module(module), name)
            return found
        entry = self._entries.get(kind)
        if entry is None:
            near = difflib.get_close_matches(kind, self.kinds(), n=1)
            guess = f"did you mean {near[0]!r}? " if near else ""
            raise UnknownKind(
                f"the {self.sort} {kind!r} is not known\n"
                f"  → {guess}known: {', '.join(self.kinds())}; packages bring others by the entry points "
                f"{self.group}"
            )
        try:
            found = entry.load()
        except Exception as error:
            package = entry.dist.name if entry.dist is not None else entry.value
            raise UsageError(
                f"the {self.sort} {kind!r} of {package} cannot be imported: {type(error).__name__}: {error}\n"
                f"  → repair or remove {package}"
            ) from error
        return found

    @cached_property
    def _entries(self) -> dict[str, EntryPoint]:
        return {entry.name: entry for entry in entry_points(group=self.group)}
