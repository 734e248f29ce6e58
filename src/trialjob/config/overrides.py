"""``--set limits.max_trials=8``: writes values into a document before it is looked at as a spec."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from trialjob.config.grammar import in_backend, is_free, kinds_at, known_keys
from trialjob.config.paths import parse_path, shown
from trialjob.config.plugins import once_in_estimator
from trialjob.config.yaml_text import load_yaml
from trialjob.errors import Problem, SpecError
from trialjob.model.masking import MASK, is_secret, mask
from trialjob.model.paths import Part, nearest, path_text


def apply_overrides(document: dict[str, Any], overrides: Sequence[str], source: str) -> None:
    """Write all of them into ``document``, in order; SpecError names every one that has no place."""
    problems: list[Problem] = []
    for override in overrides:
        try:
            _apply(document, override)
        except _NoPlace as error:
            problems.append(Problem(field=_named(override), message=error.message, remedy=error.remedy))
        except SpecError as error:
            problems += [
                Problem(field=_named(override), message=p.message, remedy=p.remedy) for p in error.problems
            ]
    if problems:
        raise SpecError(problems, source)


def _named(override: str) -> str:
    """An override for a message, without its value where that is a secret."""
    written, equals, text = override.partition("=")
    parts = parse_path(written.strip()) or [written]
    secret = any(is_secret(str(part), text) for part in parts)
    return mask(f"--set {written}{equals}{MASK if secret else text}")


class _NoPlace(Exception):
    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


def _apply(document: dict[str, Any], override: str) -> None:
    written, equals, text = override.partition("=")
    path = parse_path(written.strip())
    if not equals or path is None:
        raise _NoPlace("is not PATH=VALUE", "write for example --set limits.max_trials=8")
    if not text.strip():
        raise _NoPlace(
            "is not PATH=VALUE: there is no value",
            f"write it behind the '='; nothing at all is {path_text(path)}=null",
        )
    value = load_yaml(text, "--set")
    path = _moved(document, path)
    place: Any = document
    for depth, part in enumerate(path[:-1]):
        place = _entered(place, path[:depth], part)
    if not (_in_space(path) and isinstance(place, dict) and isinstance(value, dict)):
        _check(place, path[:-1], path[-1])
    former = place[path[-1]] if isinstance(place, dict) and path[-1] in place else None
    place[path[-1]] = value
    if in_backend(path) == ["backend", "kind"] and former not in (None, value):
        # What two backends call the same, such as the pause between looks, they do not mean the same by.
        place.clear()
        place["kind"] = value
    elif path[-1] in ("kind", "type"):
        _forget_other_kind(place, path[:-1])


def _in_space(path: list[Part]) -> bool:
    """True where ``path`` is that of a hyperparameter, also of one that a value of a choice brings."""
    # Below a name come "values", a value and the next name.
    return path[0] == "space" and not (len(path) - 2) % 3 and all(isinstance(part, str) for part in path)


def _moved(document: dict[str, Any], path: list[Part]) -> list[Part]:
    """``path`` in the backend that is meant; what is said of it at its other place goes along."""
    name, sections = document.get("backend"), document.get("backends")
    home: list[Part] = ["backend"]
    if isinstance(name, str) and sections is None and path[0] == "backend" and len(path) > 1:
        name = document["backend"] = {"kind": name}
    section, estimator = name, document.get("estimator")
    if isinstance(name, str) and isinstance(sections, dict):
        home, section = ["backends", name], sections.get(name)
    if len(path) > 1 and path[0] == "backend":
        path = [*home, *path[1:]]
    places: list[tuple[list[Part], Any]] = [(["estimator"], estimator), (home, section)]
    for (here, mine), (_, other) in (places, places[::-1]):
        key = path[len(here)] if path[: len(here)] == here and len(path) > len(here) else ""
        if key in once_in_estimator() and isinstance(mine, dict) and isinstance(other, dict) and key in other:
            mine[str(key)] = other.pop(key)
    return path


def _entered(place: Any, path: list[Part], part: Part) -> Any:  # noqa: ANN401 - JSON
    """The part of ``place``, made when the spec may have it and has not."""
    _check(place, path, part)
    if isinstance(place, dict) and place.get(str(part)) is None:
        place[str(part)] = {}
    return place[part]


def _check(place: object, path: list[Part], part: Part) -> None:
    where = path_text(path) or "the spec"
    if isinstance(place, list):
        if not isinstance(part, int) or part >= len(place):
            places = f"it has the places {where}[0] to {where}[{len(place) - 1}]" if place else "it is empty"
            raise _NoPlace(f"{where} has no {part!r}", places)
        return
    if not isinstance(place, dict):
        raise _NoPlace(f"{where} is {shown(place)}, which has no parts", f"set {where} itself")
    if not isinstance(part, str):
        raise _NoPlace(f"{where} is no list", nearest(str(part), known_keys(path, place)))
    known = known_keys(path, place)
    once = path == ["estimator"] and part in once_in_estimator()
    if part not in known and part not in place and not once and not is_free(path):
        remedy = nearest(part, known)
        if _in_space([*path, part]):
            whole = f"{path_text([*path, part])}={{type: uniform, lower: 0, upper: 1}}"
            remedy += f"; a new one is given as a whole: --set {shlex.quote(whole)}"
        raise _NoPlace(f"{path_text([*path, part])} is not known", remedy)


def _forget_other_kind(place: dict[str, Any], path: list[Part]) -> None:
    """Another kind has other keys; those of the former kind are not meant any more."""
    if place.get("type" if path[:1] == ["space"] else "kind") in kinds_at(path):
        known = known_keys(path, place)
        for key in [key for key in place if key not in known]:
            del place[key]
