"""The user's own file: what all of their specs would say alike, such as a role, a bucket and tags.

Rule 1: it fills in what a spec file leaves out, and overrules nothing: ``--set`` goes before the spec, the
spec before the environment, and the environment before this. Rule 2: what it has filled in is part of the
spec from then on, so that a journal never depends on it.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from trialjob.backends.plugin import BACKENDS, BaseBackend
from trialjob.config.plugins import translators
from trialjob.config.yaml_text import load_yaml
from trialjob.errors import Problem, UsageError
from trialjob.files import DISK
from trialjob.reporting.typed_commands import command
from trialjob.user_settings import STORE, read, where

#: The mode of a file that may name accounts.
_MODE: Final = 0o600


def keys() -> list[str]:
    """Every key that may be set; of those that end in a dot, anything may follow."""
    found = [STORE]
    for kind in BACKENDS.kinds():
        with suppress(UsageError):  # a package that is broken
            section = BACKENDS.get(kind)
            ends = {name: "." if _is_mapping(section, name) else "" for name in sorted(section.user_fields)}
            found += [f"{kind}.{name}{end}" for name, end in ends.items()]
    return found


def flat(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each value that is set, by its key."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from ((f"{key}.{inner}", each) for inner, each in flat(value))
        else:
            yield key, value


def with_value(settings: dict[str, Any], key: str, text: str) -> dict[str, Any]:
    """``settings`` with another value. Raises UsageError for a key or a value that cannot be."""
    path = _path(key)
    if not text.strip():
        raise UsageError(
            f"{key}: there is no value; `{command('config', 'unset', key, store=None)}` takes one away"
        )
    value = text if key == STORE else _value(path, text)
    place = settings
    for part in path[:-1]:
        place = place.setdefault(part, {})
    place[path[-1]] = value
    return settings


def without(settings: dict[str, Any], key: str) -> dict[str, Any]:
    """``settings`` without a value, or without all below it. Raises UsageError where there is none."""
    *above, last = key.split(".")
    place: Any = settings
    for part in above:
        place = place.get(part, {}) if isinstance(place, Mapping) else {}
    if not isinstance(place, dict) or last not in place:
        raise UsageError(f"{key} is not set in {where()}{_near(key, [each for each, _ in flat(settings)])}")
    del place[last]
    return {name: value for name, value in settings.items() if value != {}}


def write(settings: Mapping[str, Any]) -> Path:
    """Replace the file. Raises UsageError where it cannot be written."""
    path = where()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        DISK.write(path, "".join(_toml(settings)).encode())
        path.chmod(_MODE)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror or error}; TRIALJOB_CONFIG names another"
        ) from error
    return path


def fill(document: dict[str, Any]) -> dict[str, str]:
    """Fill in what the sections of backends leave out; the fields that were, each with its key here."""
    settings, filled = read(), dict[str, str]()
    estimator = document.get("estimator")
    written = estimator if isinstance(estimator, Mapping) else {}
    for place, section in _sections(document):
        kind = section.get("kind")
        values = settings.get(kind) if isinstance(kind, str) else None
        if not isinstance(values, Mapping) or kind not in BACKENDS.kinds():
            continue
        model = BACKENDS.get(kind)
        known = {name for name in values if name in model.user_fields}
        known -= {name for name in known if any(map(os.environ.get, model.said_by.get(name, ())))}
        known -= written.keys()  # where it is read from as well
        if written.get("kind") in translators() and model.once_in_estimator is not None:
            known -= model.once_in_estimator.model_fields.keys()  # a whole request says them
        for name in sorted(known):
            given, value = section.get(name), values[name]
            if isinstance(value, Mapping) and isinstance(given, Mapping | None):
                more = {key: each for key, each in value.items() if key not in (given or {})}
                section[name] = {**(given or {}), **more}
                filled |= {f"{place}.{name}.{key}": f"{kind}.{name}.{key}" for key in more}
            elif given is None:
                section[name] = value
                filled[f"{place}.{name}"] = f"{kind}.{name}"
    return filled


def placed(problem: Problem, filled: Mapping[str, str]) -> Problem:
    """``problem``, which says where its value comes from when that is not the spec."""
    for field, key in filled.items():
        if problem.field == field or problem.field.startswith((f"{field}.", f"{field}[")):
            source = f"it comes from {where()}; `{command('config', 'unset', key, store=None)}` takes it away"
            return replace(problem, remedy=f"{problem.remedy}; {source}" if problem.remedy else source)
    return problem


def _sections(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    one, several = document.get("backend"), document.get("backends")
    if isinstance(one, dict):
        yield "backend", one
    for name, section in several.items() if isinstance(several, Mapping) else ():
        if isinstance(section, dict):
            yield f"backends.{name}", section


def _path(key: str) -> list[str]:
    """The parts of a key that may be set. Raises UsageError, with the nearest, for others."""
    known = keys()
    free = [each for each in known if each.endswith(".") and key.startswith(each) and key != each]
    if key not in known and not free:
        raise UsageError(f"{key!r} is nothing that can be set{_near(key, known)}")
    if key.endswith("."):
        raise UsageError(f"{key!r} lacks a name behind the dot, such as {key}team")
    head = free[0] if free else ""
    return [*head.rstrip(".").split("."), key.removeprefix(head)] if free else key.split(".")


def check_key(key: str) -> None:
    """Raise UsageError, with the nearest, for a key that cannot be set."""
    _path(key)


def _near(key: str, known: list[str]) -> str:
    near = [each for each in known if each.endswith(f".{key}")] or difflib.get_close_matches(key, known, n=1)
    listed = ", ".join(f"{each}NAME" if each.endswith(".") else each for each in known)
    return f"; did you mean {near[0]}?" if near else f"; there is: {listed or 'nothing'}"


def _value(path: list[str], text: str) -> Any:  # noqa: ANN401 - what the field takes
    """The text as it is, or what it is in YAML. Raises UsageError for what the field does not take."""
    section, name = BACKENDS.get(path[0]), path[1]
    field = TypeAdapter(section.model_fields[name].rebuild_annotation())
    wrong = ""
    for value in (text, load_yaml(text, "the value")):
        try:
            field.validate_python({path[2]: value} if _is_mapping(section, name) else value)
        except ValidationError as error:
            wrong = error.errors(include_url=False)[0]["msg"]
        else:
            return value
    raise UsageError(f"{'.'.join(path)}: {text!r} is no value of it: {wrong}")


def _is_mapping(section: type[BaseBackend], name: str) -> bool:
    return section.model_fields[name].default_factory is dict


def _toml(settings: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """As TOML, whose strings are written as JSON's are."""
    for key, value in settings.items():
        if not isinstance(value, Mapping):
            yield f"{json.dumps(key)} = {json.dumps(value)}\n"
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield f"\n[{above}{json.dumps(key)}]\n"
            yield from _toml(value, f"{above}{json.dumps(key)}.")
