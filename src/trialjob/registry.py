"""Kinds of backends, samplers, stopping rules and stores, each found by its name.

Rule 1: a kind is a class. Where it is, is said by a text ``package.module:Class``, whether the kind is one of
our own or comes from an installed package's entry points; nothing is imported before it is asked for.
Rule 2: a package that is wrong costs its own kinds only: the error names the package and what to do, and
comes when one of them is asked for.
"""

from __future__ import annotations

import difflib
import importlib
import re
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Generic, TypeVar

from trialjob.errors import UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint
    from types import TracebackType

T = TypeVar("T")


class UnknownKind(UsageError):
    """There is no such kind: neither of our own nor of any package that is installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """What a package says of one of its kinds."""

    package: str
    point: EntryPoint


class Registry(Generic[T]):
    """The kinds of one sort of plugin.

    >>> SHAPES = Registry("shape", object, group="example.shapes", builtin={"circle": "example:Circle"})
    >>> SHAPES.kinds()
    ['circle']
    """

    def __init__(
        self,
        sort: str,
        base: type[T],
        *,
        group: str,
        builtin: Mapping[str, str],
        needs: Sequence[tuple[str, ...]] = (),
        sections: bool = True,
    ) -> None:
        """``sort`` is what people call one of them, ``group`` the entry points' group.

        Every kind derives from ``base``, and has, of each of ``needs``, one of its own; ``sections`` are
        written in a spec, so that they are frozen models or dataclasses.
        """
        self.sort = sort
        self.group = group
        self._base = base
        self._builtin = dict(builtin)
        self._needs = needs
        self._are_sections = sections
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
        """The class of a kind. Raises UnknownKind, and UsageError for a package whose kind is of no use."""
        if kind not in self._found:
            self._found[kind] = self._load(kind)
        return self._found[kind]

    def own(self, kind: str) -> type[T]:
        """The class of a kind of our own, whatever packages bring."""
        module, _, name = self._builtin[kind].partition(":")
        found: type[T] = getattr(importlib.import_module(module), name)
        return found

    def described(self, found: type) -> str:
        """A class, with the package that brings it, in words."""
        kind = getattr(found, "kind", "")
        package = _packages(self._entries.get(kind, ())) or _top(found.__module__)
        return f"the {self.sort} {kind or found.__name__!r} of the package {package}"

    def refused(self, kind: str, why: str, remedy: str = "") -> UsageError:
        """The error for a kind of a package's that is of no use."""
        packages = _packages(self._entries.get(kind, ())) or "trialjob"
        remedy = remedy or f"update it, or run: pip uninstall {packages}"
        packages = " and ".join(packages.split())
        return UsageError(f"the {self.sort} {kind!r} of the package {packages} {why}\n  → {remedy}")

    def _load(self, kind: str) -> type[T]:
        entries = self._entries.get(kind, [])
        if kind in self._builtin:
            if entries:
                remedy = f"have it renamed, or run: pip uninstall {_packages(entries)}"
                raise self.refused(kind, "has the name of one of trialjob's own", remedy)
            return self.own(kind)
        match entries:
            case []:
                raise UnknownKind(self._unknown(kind))
            case [entry]:
                return self._imported(kind, entry)
            case _:
                where = " and ".join(entry.point.value for entry in entries)
                remedy = "have one of them renamed, or uninstall a package"
                raise self.refused(kind, f"is named more than once: it is {where}", remedy)

    def _imported(self, kind: str, entry: _Entry) -> type[T]:
        try:
            found = entry.point.load()
        except (Exception, SystemExit) as error:
            why = f"cannot be imported: {type(error).__name__}: {error}"
            remedy = f"install what it needs, update it, or run: pip uninstall {entry.package}"
            raise self.refused(kind, why, remedy) from error
        if why := self._unfit(kind, found):
            raise self.refused(kind, f"cannot be used: {entry.point.value} {why}")
        return found  # type: ignore[no-any-return]  # as was just seen

    def _unfit(self, kind: str, found: object) -> str:
        """Why ``found`` is no such kind; "" when it is one."""
        base = self._base
        if not isinstance(found, type):
            return f"is no class, and must be a subclass of {base.__module__}.{base.__name__}"
        if not issubclass(found, base):
            return f"is no subclass of {base.__module__}.{base.__name__}"
        own = getattr(found, "kind", "")
        if own != kind:
            says = f"says kind = {own!r}" if own else "has no kind"
            return f"{says}, and its entry point {kind!r}; they must be the same"
        for names in self._needs:
            if all(getattr(found, name, None) is getattr(base, name, None) for name in names):
                return f"has no {' or '.join(names)} of its own"
        if not self._are_sections:
            return ""
        if hidden := [name for name in _fields_of(found) if callable(getattr(base, name, None))]:
            return f"has a field {hidden[0]!r}, which is a method of {base.__name__}; give it another name"
        # A class that only inherits the decorator would lose what it adds.
        params = vars(found).get("__dataclass_params__")
        if not hasattr(found, "model_fields") and not (params and params.frozen):
            return "is no frozen dataclass; write @dataclass(frozen=True, kw_only=True) above it"
        return ""

    def _unknown(self, kind: str) -> str:
        near = difflib.get_close_matches(kind, self.kinds(), n=1)
        guess = f"did you mean {near[0]!r}? " if near else ""
        return (
            f"the {self.sort} {kind!r} is not known\n"
            f"  → {guess}known: {', '.join(self.kinds())}; packages bring others by the entry points "
            f"{self.group}: install the one with {kind!r}"
        )

    @property
    def _entries(self) -> dict[str, list[_Entry]]:
        """What packages say of each kind of this sort; more than one entry is an error for the caller."""
        found: dict[str, list[_Entry]] = {}
        for entry in _installed(tuple(sys.path)):
            if entry.point.group == self.group:
                found.setdefault(entry.point.name, []).append(entry)
        return found


def package_of(kind: type) -> str:
    """The package that brings a class; the module's first name where none that is installed does."""
    return _packages_by_module().get(_top(kind.__module__), _top(kind.__module__))


def package_behind(error: BaseException) -> str:
    """The package with a kind of ours in whose code ``error`` was raised; "" when it was none's."""
    found = _trace_of_package(error)
    return found[0] if found else ""


def trace_behind(error: BaseException) -> str:
    """The traceback of ``error`` from the package's first frame on: what stands before it is ours."""
    found = _trace_of_package(error)
    return "".join(traceback.format_exception(type(error), error, found[1] if found else error.__traceback__))


def method_behind(error: BaseException) -> str:
    """What was called of that package, and where in it the error came up; "" when it was none's."""
    found = _trace_of_package(error)
    if found is None:
        return ""
    package, trace = found
    own = [
        each
        for (frame, _), each in zip(traceback.walk_tb(trace), traceback.extract_tb(trace), strict=True)
        if _packages_by_module().get(_top(str(frame.f_globals.get("__name__")))) == package
    ]
    file = re.split(r"[\\/]", own[-1].filename)[-1]
    return f"{own[0].name}() of {file}, line {own[-1].lineno}"


def _trace_of_package(error: BaseException) -> tuple[str, TracebackType] | None:
    """The package nearest to where ``error`` was raised, and the traceback from its first frame on."""
    packages, trace = _packages_by_module(), error.__traceback__
    traces: list[tuple[str, TracebackType]] = []
    while trace is not None:
        if package := packages.get(_top(str(trace.tb_frame.f_globals.get("__name__")))):
            traces.append((package, trace))
        trace = trace.tb_next
    return next((each for each in traces if each[0] == traces[-1][0]), None)


def _packages_by_module() -> dict[str, str]:
    return {_top(entry.point.module): entry.package for entry in _installed(tuple(sys.path))}


def _fields_of(kind: type) -> list[str]:
    """The keys that a section of this kind has."""
    return [*(getattr(kind, "model_fields", None) or getattr(kind, "__dataclass_fields__", {}))]


def _top(module: str) -> str:
    return module.partition(".")[0]


def _packages(entries: Sequence[_Entry]) -> str:
    return " ".join(dict.fromkeys(entry.package for entry in entries))


@cache
def _installed(path: tuple[str, ...]) -> list[_Entry]:
    """All that packages on ``path`` bring for us; one whose metadata cannot be read brings nothing."""
    from importlib.metadata import distributions  # noqa: PLC0415 - our own kinds do without

    found: dict[str, list[_Entry]] = {}
    for package in distributions(path=[*path]):
        try:
            text = package.read_text("entry_points.txt") or ""
            if "[trialjob." not in text:
                continue
            entries = [_Entry(package=package.name, point=point) for point in package.entry_points]
        except Exception:  # noqa: BLE001, S112 - it may have nothing to do with us
            continue
        # Of two of one name the first on the path is what is imported.
        found.setdefault(re.sub(r"[-_.]+", "-", package.name).lower(), entries)
    return [entry for entries in found.values() for entry in entries]
