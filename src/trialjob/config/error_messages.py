"""Pydantic's errors → problems in plain words, at the place where the user wrote them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import ErrorDetails

from trialjob.backends.plugin import BACKENDS, DEFAULT_BACKEND
from trialjob.config.grammar import KINDS, kinds_at, known_keys, takes_null
from trialjob.config.paths import shown, shown_at
from trialjob.config.plugins import (
    PLUGINS,
    example_of,
    keys_of,
    once_in_estimator,
    section_model,
    translators,
)
from trialjob.config.space import BRANCHES, DOMAINS
from trialjob.errors import Problem
from trialjob.model.durations import FORMS
from trialjob.model.paths import Part, nearest, path_text

#: How a limit is said not to be there, behind the remedy for one that is.
OR_NULL = "; or null, as if it were left out"
TO_TEXT = "put the value in quotes"
#: Durations in whose place a word may stand.
_WORDED = ("stall_timeout", "metric_deadline")
_FORMS: dict[str, tuple[str, str]] = {
    "string_type": ("is not text", TO_TEXT),
    "bool_type": ("is neither true nor false", "write true or false"),
    "int_type": ("is not a whole number", "write a whole number"),
    "int_from_float": ("is not a whole number", "write a whole number"),
    "int_parsing": ("is not a whole number", "write a whole number"),
    "float_type": ("is not a number", "write a number"),
    "float_parsing": ("is not a number", "write a number"),
    "tuple_type": ("is not a list", "write a list: [a, b]"),
    "sequence_str": ("is not a list", "write a list: [a, b]"),
    "is_instance_of": ("is not a list", "write a list: [a, b]"),
    "list_type": ("is not a list", "write a list: [a, b]"),
    "too_short": ("is empty", "name at least one value"),
    "string_too_short": ("is empty", "write a text"),
    "dict_type": ("is not a mapping", "write key: value pairs"),
    "model_type": ("is not a mapping", "write key: value pairs"),
    "secret": (
        "names no secret",
        "write {secret: VARIABLE}, {secret: {ssm: /path}} or {secret: {secretsmanager: id}}",
    ),
    "model_attributes_type": ("is not a mapping", "write key: value pairs"),
}
#: What may be written where a section, or a field that names no example itself, is missing.
_SECTIONS = {
    "name": "digits-1",
    "estimator": "{kind: script, source_dir: ., entry_point: train.py}",
    "space": "{lr: {type: loguniform, lower: 1.0e-4, upper: 1.0}}",
    "objective": "{metric: val_accuracy, mode: max}",
    "limits": "{max_trials: 32}",
}
_EXAMPLES = {
    "source_dir": ".",
    "entry_point": "train.py",
    "function": "train:run",
    "framework_version": '"2.8.0"',
    "transformers_version": '"4.56.2"',
    "pytorch_version": '"2.8.0"',
    "lower": "1",
    "upper": "10",
    "mu": "0",
    "sigma": "1",
    "q": "1",
    "values": "[1, 2]",
    "metric": "val_accuracy",
    "mode": "max",
    "name": "val_accuracy",
    "regex": '"val_acc=({number})"',
    "max_trials": "32",
    "match": '"out of memory"',
    "then": "no_retry",
    "max_wait": "4h",
    "location": "data/",
    "early_stop": "rules:early_stop",
    "max_resource": "27",
    "truncation_percentage": "20",
    "perturbation_interval": "4",
}
#: What is said of a key, whatever stands there.
NOT_KNOWN = "is not known here"
_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
_UNTAGGED = ("union_tag_invalid", "union_tag_not_found")


def problem_of(error: ErrorDetails, document: Mapping[str, Any]) -> Problem:
    """One error in words."""
    path = _written(error["loc"])
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind in _UNKNOWN:
        known = known_keys(path[:-1], _at(document, path[:-1]))
        message, remedy = NOT_KNOWN, _instead_of(path, document) or nearest(str(path[-1]), known)
        if path[:-1] == ["estimator"] and not remedy.startswith("did"):
            # What machines a job needs is written elsewhere.
            moved = nearest(str(path[-1]), once_in_estimator())
            remedy = moved.replace("'", "'backend.", 1) if moved.startswith("did") else remedy
    elif kind == "missing":
        message, remedy = "is missing", f"write {_example(path, document)}"
    elif value is None and kind in _FORMS and not (example := _example(path, document)).endswith("…"):
        message, remedy = "has no value", f"write {example}"
    elif kind in _UNTAGGED or (kind == "literal_error" and path[-1] == "type"):
        path, message, remedy = _unknown_kind(path, value, tagged=kind in _UNTAGGED)
    elif kind == "literal_error":
        message, remedy = f"{shown(value)} is not one of them", f"write {context['expected']}"
    elif kind == "value_error":
        message, remedy = _value_error(path, value, str(context["error"]))
    else:
        message, remedy = _bound(kind, value, context) or _form(path, kind, value)
    if kind not in (*_UNKNOWN, *_UNTAGGED, "missing") and _may_mean_nothing(value):
        remedy += OR_NULL if takes_null(path, _kind_at(path, document)) else ""
    return Problem(field=path_text(path), message=message, remedy=remedy)


def _written(loc: tuple[Part, ...]) -> list[Part]:
    """The path without the tags that pydantic puts into it."""
    path = list(loc)
    if len(path) > 1 and path[0] in KINDS and path[1] in KINDS[str(path[0])]:
        del path[1]
    return _without_domain_tags(path) if path[0] == "space" else path


def _without_domain_tags(path: list[Part]) -> list[Part]:
    """The same for ``space``, where a tag follows each name, also of those inside a choice of branches."""
    written, rest = path[:1], path[1:]
    while rest:
        written.append(rest.pop(0))
        nested = bool(rest) and rest[0] == BRANCHES
        if rest and (nested or rest[0] in DOMAINS):
            del rest[0]
        inner = 2 if nested else len(rest)
        written += rest[:inner]
        rest = rest[inner:]
    return written


def _at(document: object, path: list[Part]) -> object:
    for part in path:
        if isinstance(document, Mapping):
            document = document.get(part)
        elif isinstance(document, list) and isinstance(part, int):
            document = document[part]
    return document


def _instead_of(path: list[Part], document: Mapping[str, Any]) -> str:
    """What to write for a key that another backend or the service itself calls so; "" where nothing is."""
    kind = _kind_at(path, document) or DEFAULT_BACKEND
    match path:
        case ["space", *_, ("min" | "max" | "min_value" | "max_value" | "low" | "high") as key]:
            return f"write {'upper' if 'max' in key or key == 'high' else 'lower'}, with the same value"
        case ["backend", str(key)] if kind in BACKENDS.builtin():
            if instead := BACKENDS.own(str(kind)).instead_of.get(key):
                return f"write {instead}"
            others = [each for each in BACKENDS.builtin() if key in keys_of("backend", each)]
            return f"write backend.kind: {' or '.join(others)}, or remove it" if others else ""
        case _:
            return ""


def _may_mean_nothing(value: object) -> bool:
    """True for ``none``, ``unlimited``, 0 and what else people write where no limit is meant."""
    return value in (0, -1) or (isinstance(value, str) and not re.search(r"\d", value))


def _kind_at(path: list[Part], document: Mapping[str, Any]) -> object:
    """The kind of the section in which ``path`` is."""
    return _at(document, [path[0], "kind"])


def _unknown_kind(path: list[Part], value: object, *, tagged: bool) -> tuple[list[Part], str, str]:
    key = "type" if path[0] == "space" else "kind"
    known = kinds_at(path[:1])
    if path[0] == "estimator":
        known = [*known, *translators()]  # which have become other kinds when the models look at them
    path = [*path, key] if tagged else path
    given = value.get(key) if tagged and isinstance(value, Mapping) else value
    listed = f"known: {', '.join(known)}"
    if given is None:
        return path, "is missing", f"write one; {listed}"
    guess = nearest(given, known) if isinstance(given, str) else ""
    return path, f"{shown(given)} is not known", f"{guess} {listed}" if guess.startswith("did") else listed


def _value_error(path: list[Part], value: object, words: str) -> tuple[str, str]:
    if path[0] == "space":
        message, _, remedy = words.partition("; ")
        return message, remedy or "correct the range"
    return f"{shown(value)} {words}", f"{FORMS}; or auto, or none" if path[-1] in _WORDED else FORMS


def _bound(kind: str, value: object, context: Mapping[str, Any]) -> tuple[str, str] | None:
    words: dict[str, tuple[str, Callable[[Any], str]]] = {
        "greater_than": ("gt", lambda bound: f"above {bound:g}"),
        "greater_than_equal": ("ge", lambda bound: f"of at least {bound}"),
        "less_than_equal": ("le", lambda bound: f"of at most {bound}"),
        "string_too_long": ("max_length", lambda bound: f"of at most {bound} characters"),
    }
    if kind not in words:
        return None
    key, say = words[kind]
    size = {"le": "too large", "max_length": "too long"}.get(key, "too small")
    return f"{shown(value)} is {size}", f"write a value {say(context[key])}"


def _form(path: list[Part], kind: str, value: object) -> tuple[str, str]:
    message, remedy = _FORMS.get(kind, ("is not possible here", "see the documentation of the spec"))
    if path[0] == "space" and kind == "dict_type" and isinstance(value, list):
        remedy = f"write {{type: choice, values: {shown(value or [1, 2])}}}"
    if kind == "model_type" and path[0] == "backend" and (keys := known_keys(path, value)):
        remedy += f" of {', '.join(keys)}"
    what = "it" if kind == "secret" else shown_at(path, value)
    return f"{what} {message}", remedy


def _example(path: list[Part], document: Mapping[str, Any]) -> str:
    kind = _kind_at(path, document) if path[0] in PLUGINS and len(path) > 1 else None
    example = example_of(section_model(str(path[0]), str(kind)), path[1:]) if kind else None
    if example is None and len(path) > 1:
        example = _EXAMPLES.get(str(path[-1]), "…")
    if example is not None:
        return f"{path[-1]}: {example}"
    return f"{path_text(path)}: {_SECTIONS.get(str(path[0]), '…')}"
