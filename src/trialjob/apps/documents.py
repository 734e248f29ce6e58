"""From the values that Python code names to what a spec file would hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeAlias

from trialjob.model.limits import Limits
from trialjob.model.secret import Secret

#: A section of a spec.
Document: TypeAlias = dict[str, Any]


def section(value: object) -> Any:  # noqa: ANN401 - JSON, or nearly
    """``value`` as a document: a sampler, a stopping rule, a domain or limits, also inside of others."""
    match value:
        case Secret():
            return value  # it is looked up later, and what it stands for is in no document
        case Limits():
            return _limits(value)
        case Mapping():
            return {key: section(each) for key, each in value.items()}
        case str() | bytes() | type():
            return value
        case Sequence():
            return [section(each) for each in value]
        case _ if is_dataclass(value):
            return _of_dataclass(value)
        case _ if callable(dump := getattr(value, "model_dump", None)):  # the section of a backend
            # What is secret is kept by its name: it goes to the spec as it was given.
            given = {key: each.given for key, each in vars(value).items() if isinstance(each, Secret)}
            given = {key: text for key, text in given.items() if text is not None}
            return {"kind": getattr(value, "kind", None), **dump(mode="json", exclude_unset=True), **given}
        case _ if callable(plain := getattr(value, "tolist", None)):
            return plain()  # NumPy's scalars and arrays, which Hyperopt and others draw
        case _:
            return value


def _of_dataclass(value: Any) -> Document:  # noqa: ANN401 - any plugin's section, or a domain
    if hasattr(type(value), "kind"):
        from trialjob.config.plugins import section_document  # noqa: PLC0415 - importing trialjob stays light

        return section_document(value)
    return {field.name: section(getattr(value, field.name)) for field in fields(value)}


def _limits(limits: Limits) -> Document:
    """What differs from the defaults; ``canary`` has a place of its own in a spec."""
    given = {field.name: (getattr(limits, field.name), field.default) for field in fields(limits)}
    return {name: value for name, (value, usual) in given.items() if value != usual and name != "canary"}
